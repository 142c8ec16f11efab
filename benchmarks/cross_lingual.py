"""Trained on one language, tested on others: topics of the same sentences in 14 languages (SIB-200).

Run:     python benchmarks/cross_lingual.py [--sources NAME,...] [--shots 0,5]
Cost:    about 5 minutes on 2 CPU cores
Expect:  a table; in every language above tf-idf, and but for English a multilingual source above an English one

A probe on 701 English sentences (99 validate), then the 204 test sentences in each language, which are translations of
the same. shots: so many labelled sentences a class of the tested language in the training, too. Intervals: Wilson. All
of it goes through `headstart.fit` and `headstart.predict`, as a user would do it.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, ROOT, machine, markdown

import headstart
from headstart.data.dataset import Dataset, Item, Role
from headstart.data.transforms.tfidf import tfidf
from headstart.metrics.intervals import wilson
from headstart.nn.linear import fit_linear

DATA = ROOT.parent / "shared" / "data" / "sib200_14langs"
KEPT = RESULTS / "cross_lingual.json"
SOURCES = "minilm-l6,use-multilingual,e5-small-multilingual"
ENGLISH = "eng_Latn"
PARTS: dict[str, Role] = {"train": "train", "dev": "validation", "test": "test"}


def sentences(language: str, part: str) -> list[tuple[str, str, str]]:
    """(number, topic, text), in order of the numbers, which say the same in every language."""
    with (DATA / language / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return sorted((row["index_id"], row["category"], row["text"]) for row in rows)


def english(few: Iterable[tuple[str, str, str]] = (), language: str = "") -> Dataset:
    """The English sentences in their splits, and a few of another language to train on."""
    items = [
        Item(f"{ENGLISH} {part} {number}", text, topic, role)
        for part, role in PARTS.items()
        for number, topic, text in sentences(ENGLISH, part)
    ]
    items += [Item(f"{language} {number}", text, topic, "train") for number, topic, text in few]
    return Dataset("SIB-200, English", tuple(items), modality="text")


def few(language: str, shots: int) -> list[tuple[str, str, str]]:
    """So many training sentences a topic."""
    taken: Counter[str] = Counter()
    chosen = []
    rows = sentences(language, "train")
    for at in np.random.default_rng(0).permutation(len(rows)).tolist():
        topic = rows[at][1]
        if taken[topic] < shots:
            taken[topic] += 1
            chosen.append(rows[at])
    return chosen


def right(source: str, languages: list[str], shots: int, scratch: Path) -> dict[str, int]:
    """Test sentences of each language that a model has right."""
    found: dict[str, int] = {}
    run: Any = None
    for language in languages:
        if run is None or shots:
            data = english(few(language, shots) if language != ENGLISH else (), language)
            out = scratch / f"{source}-{language}-{shots}"
            run = headstart.fit(data, source=source, method="probe", verdict="none", track=(), out=out)
        tested = sentences(language, "test")
        answers = headstart.predict(run.path, [text for _, _, text in tested])
        found[language] = sum(a.label == topic for a, (_, topic, _) in zip(answers, tested, strict=True))
    return found


def simple(languages: list[str]) -> dict[str, int]:
    """The same of tf-idf."""
    train = sentences(ENGLISH, "train")
    tested = [sentences(language, "test") for language in languages]
    topics = sorted({topic for _, topic, _ in train})
    rows, *others = tfidf([text for *_, text in train], [[text for *_, text in part] for part in tested])
    labels = np.array([topics.index(topic) for _, topic, _ in train])
    fitted = fit_linear(rows, labels, "single", len(topics), scaling="all")
    return {
        language: sum(
            topics[k] == topic for k, (_, topic, _) in zip(fitted.logits(part).argmax(1).tolist(), of, strict=True)
        )
        for language, part, of in zip(languages, others, tested, strict=True)
    }


def text(result: dict[str, Any]) -> str:
    """What speaks against us, then the table: a row a language, a column a source."""
    n, rows = result["n"], result["right"]
    names = list(rows)
    own, against = [name for name in names if name != "tf-idf"], []
    for name in own:
        below = [language for language, count in rows[name].items() if count <= rows["tf-idf"][language]]
        if below:
            against.append(f"{name} is not above tf-idf in {', '.join(below)}.")
    cells = [[language, *(str(wilson(rows[name][language], n)) for name in names)] for language in rows["tf-idf"]]
    others = [language for language in rows["tf-idf"] if language != ENGLISH]
    cells.append(["mean but English", *(f"{np.mean([rows[s][k] for k in others]) / n:.3f}" for s in names)])
    about = result["machine"]
    foot = f"{n} test sentences a language; {about['cpu']}; {about['date']}, commit {about['commit']}.\n"
    return "\n".join(
        [*(f"- **Against headstart:** {line}" for line in against), "", markdown(["", *names], cells), foot]
    )


def main(arguments: Iterable[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", default=SOURCES)
    parser.add_argument("--shots", default="0", help="labelled sentences a class of the tested language")
    args = parser.parse_args(list(arguments))
    if not DATA.is_dir():
        raise SystemExit(f"the data set is not at {DATA}")
    languages = sorted(
        (path.name for path in DATA.iterdir() if path.is_dir()), key=lambda name: (name != ENGLISH, name)
    )
    counts = {"tf-idf": simple(languages)}
    with tempfile.TemporaryDirectory() as scratch:
        for source in args.sources.split(","):
            for shots in map(int, args.shots.split(",")):
                name = f"{source}, {shots} shots" if shots else source
                counts[name] = right(source, languages, shots, Path(scratch))
                print(name, counts[name], flush=True)
    result = {"right": counts, "n": len(sentences(ENGLISH, "test")), "machine": machine()}
    KEPT.write_text(json.dumps(result, indent=1) + "\n")
    KEPT.with_suffix(".md").write_text(text(result))
    print(text(result))


if __name__ == "__main__":
    main(sys.argv[1:])
