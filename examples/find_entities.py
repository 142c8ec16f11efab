"""People, places and companies in sentences, learned from 66 that are tagged: names that were never seen.

Run:     python examples/find_entities.py [FOLDER]     (train.conll, dev.conll and test.conll)
Cost:    a minute on one CPU core
Expect:  91 sentences to be judged on, which share no name with those: an F1 of whole entities of .69, of the looks of
         words .67, and a neutral verdict: in sentences so alike, what stands around a name gives it away. Then what is
         found in two sentences of another form, mistakes included

Needs `pip install 'headstart[text]'`.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from string import Formatter

import headstart
from headstart.data.dataset import Dataset, Item, Role

NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "person": ("Maria Lopez", "Ahmed Khan", "Ingrid Svensson", "David Cohen"),
        "place": ("Berlin", "Lake Victoria", "Osaka", "Brazil"),
        "company": ("Siemens", "Toyota Motors", "Nestle", "Vodafone"),
    },
    "validation": {
        "person": ("Chen Wei", "Olga Petrova"),
        "place": ("Toronto", "Kenya"),
        "company": ("Volvo", "Intel"),
    },
    "test": {
        "person": ("Anna Schmidt", "Kofi Mensah", "Pierre Dubois", "Yuki Tanaka"),
        "place": ("Madrid", "Norway", "Cape Town", "Chicago"),
        "company": ("Samsung", "General Electric", "Heineken", "Nokia"),
    },
}
SAID = (
    "{person} moved to {place} last year .",
    "The offices of {company} in {place} are closed .",
    "Yesterday {company} hired {person} as a director .",
    "Nobody in {place} had heard of {person} before .",
    "Shares of {company} fell after the report .",
    "We met {person} on the train to {place} .",
    "A spokesman of {company} said that the weather was to blame .",
)


def tagged(said: str, names: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a sentence and their tags, IOB2."""
    words, tags = [], []
    for text, kind, _, _ in Formatter().parse(said):
        words += text.split()
        tags += ["O"] * len(text.split())
        if kind:
            name = names[kind].split()
            words += name
            tags += [f"{'I' if i else 'B'}-{kind}" for i in range(len(name))]
    return tuple(words), tuple(tags)


def sentences() -> Dataset:
    items: list[Item] = []
    steps: dict[Role, int] = {"train": 3, "validation": 2, "test": 5}
    for split, step in steps.items():
        kinds = NAMES[split]
        every: list[tuple[str, ...]] = list(product(*kinds.values()))
        for number, (names, said) in enumerate(product(every[::step], SAID)):
            if split != "train" or number % 7 < 3:
                words, tags = tagged(said, dict(zip(kinds, names, strict=True)))
                items.append(Item(f"{split} {number}", words, tags, split))
    return Dataset("names", tuple(items), modality="text", kind="tags")


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else sentences()
    run = headstart.fit(data, method="lp-ft", out="runs/examples/find_entities", overwrite=True)
    print(run.summary())

    for text in ("Grace Okafor left Philips for a university in Lisbon.", "It rained in Warsaw all week."):
        (prediction,) = run.predict([text])
        found = [f"{one['text']} ({one['type']})" for one in prediction.label]
        print(f"{text} {', '.join(found) or 'nothing'}")


if __name__ == "__main__":
    main()
