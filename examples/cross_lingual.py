"""Learned in English, judged in other languages, of which the model has seen no labelled sentence.

Run:     python examples/cross_lingual.py [FOLDER]     (LANGUAGE/train.tsv, dev.tsv and test.tsv with columns category
         and text, and index_id, such as SIB-200's; by default the sentences below)
Cost:    half a minute on one CPU core for the sentences below, a few minutes on SIB-200
Expect:  from 24 English sentences, nearly all of 8 in German, Spanish, French and Chinese each, where word counts have
         nothing to go by; on SIB-200 .82 on average over 13 languages (chance .25, tf-idf .29)

Needs `pip install 'headstart[text]'` and, once, `headstart sources install e5-small-multilingual`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path

import headstart
from headstart.data.dataset import Dataset, Item, Role

ENGLISH = {
    "sports": (
        "The goalkeeper saved the penalty.",
        "She won the race by half a second.",
        "Our team lost the final.",
        "He trains for the marathon every morning.",
        "The referee stopped the match.",
        "They scored twice before the break.",
        "The tennis player broke her racket.",
        "The coach named his players for the cup.",
        "He swam the hundred metres in a minute.",
        "The cyclist fell in the last bend.",
        "A record crowd watched the derby.",
        "The skier came in third.",
    ),
    "cooking": (
        "Boil the potatoes for twenty minutes.",
        "Add a pinch of salt and stir.",
        "The cake burned in the oven.",
        "Chop the onions and fry them in butter.",
        "This soup needs more pepper.",
        "She bakes bread with her own yeast.",
        "Let the dough rest for an hour.",
        "Serve the fish with lemon.",
        "He forgot the sugar in the pudding.",
        "Peel the carrots and grate them.",
        "The sauce is too thick.",
        "We roasted a chicken with garlic.",
    ),
}
OTHERS = {
    "German": {
        "sports": (
            "Der Stürmer schoss das entscheidende Tor.",
            "Sie gewann Gold über zweihundert Meter.",
            "Das Spiel endete unentschieden.",
            "Der Trainer wurde nach der Niederlage entlassen.",
        ),
        "cooking": (
            "Die Nudeln müssen noch kochen.",
            "Man schlägt die Eier mit Zucker schaumig.",
            "Der Braten war zäh.",
            "Gib etwas Petersilie in die Suppe.",
        ),
    },
    "Spanish": {
        "sports": (
            "El delantero marcó el gol decisivo.",
            "Ganó la medalla de oro en doscientos metros.",
            "El partido terminó en empate.",
            "El entrenador fue despedido tras la derrota.",
        ),
        "cooking": (
            "La pasta tiene que hervir más.",
            "Se baten los huevos con el azúcar.",
            "La carne estaba dura.",
            "Echa un poco de perejil en la sopa.",
        ),
    },
    "French": {
        "sports": (
            "L'attaquant a marqué le but décisif.",
            "Elle a gagné l'or sur deux cents mètres.",
            "Le match s'est terminé sur un nul.",
            "L'entraîneur a été renvoyé après la défaite.",
        ),
        "cooking": (
            "Les pâtes doivent encore cuire.",
            "On bat les œufs avec le sucre.",
            "Le rôti était dur.",
            "Mets un peu de persil dans la soupe.",
        ),
    },
    "Chinese": {
        "sports": (
            "前锋踢进了决定性的一球。",
            "她在两百米比赛中夺得金牌。",
            "比赛以平局结束。",
            "输球后教练被解雇了。",
        ),
        "cooking": ("面条还要再煮一会儿。", "把鸡蛋和糖一起打发。", "烤肉太老了。", "在汤里放一点香菜。"),
    },
}


def main() -> None:
    if len(sys.argv) > 1:
        source, others = of_folder(Path(sys.argv[1]))
    else:
        source = labelled("English", ENGLISH)
        others = {language: labelled(language, said) for language, said in OTHERS.items()}
    run = headstart.fit(
        source, source="e5-small-multilingual", method="probe", out="runs/examples/cross_lingual", overwrite=True
    )
    for language, data in others.items():
        found = headstart.evaluate(run.path, data)
        accuracy = found["test"]["accuracy"]
        low, high = accuracy["low"], accuracy["high"]
        print(f"{language:9} {accuracy['value']:.3f} [{low:.3f}, {high:.3f}] of {found['n']['test']} sentences")


def labelled(language: str, said: Mapping[str, tuple[str, ...]]) -> Dataset:
    items = [Item(f"{topic} {n}", text, topic) for topic, texts in said.items() for n, text in enumerate(texts)]
    return Dataset(language, tuple(items), modality="text")


def of_folder(folder: Path) -> tuple[Dataset, dict[str, Dataset]]:
    """English in its splits, and the test sentences of the other languages."""
    english = [
        item
        for part, role in (("train", "train"), ("dev", "validation"), ("test", "test"))
        for item in sentences(folder / "eng_Latn" / f"{part}.tsv", role)  # type: ignore[arg-type]
    ]
    others = {
        place.name: Dataset(place.name, tuple(sentences(place / "test.tsv", None)), modality="text")
        for place in sorted(folder.iterdir())
        if (place / "test.tsv").is_file() and place.name != "eng_Latn"
    }
    return Dataset("English", tuple(english), modality="text"), others


def sentences(path: Path, role: Role | None) -> list[Item]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Item(f"{role} {row['index_id']}", row["text"], row["category"], role) for row in rows]


if __name__ == "__main__":
    main()
