"""Ten labelled sentences a class: what a pretrained network of words makes of them, and what word counts do.

Run:     python examples/text_few_shots.py [TABLE.csv]     (columns text and label, and split if there are splits)
Cost:    15 seconds on one CPU core
Expect:  20 sentences about food and travel to learn from, 60 to be judged on, which share no noun with them: minilm-l6
         has all right, tf-idf .60, and the verdict says positive

Needs `pip install 'headstart[text]'`.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import headstart
from headstart.data.dataset import Dataset, Item

SEEN = {
    "food": ("soup", "bread", "cheese", "salad", "coffee"),
    "travel": ("train", "airport", "hotel", "ticket", "luggage"),
}
UNSEEN = {
    "food": ("rice", "pancakes", "tomatoes", "steak", "chocolate"),
    "travel": ("passport", "ferry", "motorway", "suitcase", "flight"),
}
SAID = (
    "I was not happy about the {} at all.",
    "Tell me what you think of this {}.",
    "Nobody had warned us about the {}.",
    "In the end the {} was better than last year.",
    "We had to wait an hour for the {}.",
    "My sister always complains about the {}.",
)


def sentences() -> Dataset:
    """Sentences that say the same of different things: 20 to learn from, 20 to validate, 60 to test."""
    items = []
    for label in SEEN:
        for thing, (n, said) in product(SEEN[label], enumerate(SAID[:4])):
            items.append(Item(f"{thing} {n}", said.format(thing), label, "train" if n < 2 else "validation"))
        for thing, (n, said) in product(UNSEEN[label], enumerate(SAID)):
            items.append(Item(f"{thing} {n}", said.format(thing), label, "test"))
    return Dataset("food or travel", tuple(items), modality="text")


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else sentences()
    run = headstart.fit(data, out="runs/examples/text_few_shots", overwrite=True)
    print(run.summary())

    for text in ("A dish of noodles with ginger.", "The bus to the harbour leaves at nine."):
        (prediction,) = run.predict([text])
        print(f"{text} {prediction.label} ({prediction.scores[prediction.label]:.2f})")


if __name__ == "__main__":
    main()
