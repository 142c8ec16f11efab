"""Sentences and contexts as rows, one a word; see `headstart.core.passages`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np

from headstart.core.errors import DataError
from headstart.core.passages import NOWHERE, Passage, Place, Units
from headstart.data.dataset import Dataset, Item
from headstart.metrics.answers import DENSE

_WORD: Final = re.compile(rf"[{DENSE}]|[^\W_{DENSE}]+(?:['’][^\W_{DENSE}]+)*|[^\w\s]|_")
"""A character of a script that is written without spaces, a run of letters and digits, or a mark."""
_DENSE: Final = re.compile(f"[{DENSE}]")
MOST: Final = 3_000_000
"""Words of one part of the data: each is an item, with features of its own."""


def by_word(dataset: Dataset, *, asked: bool = False) -> tuple[Dataset, Units]:
    """Each word of each item as an item of its own, and which belong together.

    The words of tagged items are as they were tagged; others are cut at spaces, marks and, where a script is written
    without spaces, at every character. asked: items without labels are of a question and a text each.
    Labels: a word's tag; of questions (1 or 0, 1 or 0): an answer begins here, and ends here.
    Raises DataError for an item without a word, or that is no pair though a question is asked, and for more than 3
    million words.
    """
    read = _tagged if dataset.kind == "tags" else _asked if asked or dataset.kind == "answers" else _text
    passages, rows, starts = [], [], [0]
    for item in dataset.items:
        passage, labels = read(item)
        if not passage.words:
            raise DataError(f"{item.id} holds no word. Give it one or remove it.")
        places = range(passage.first, len(passage.words))
        for word, label in zip(places, labels or [None] * len(places), strict=True):
            place = Place(passage, word)
            rows.append(replace(item, id=place.id, input=place, label=label, group=item.group or item.id))
        passages.append(passage)
        starts.append(len(rows))
        if len(rows) > MOST:
            most = len(passages) - 1
            raise DataError(
                f"{dataset.name} has {len(dataset):,} texts, and {most + 1:,} of them alone have more than {MOST:,} "
                f"words to predict, each an item with features of its own. Give at most {most:,} texts of this length."
            )
    return dataset.with_items(rows), Units(tuple(passages), np.array(starts))


def _tagged(item: Item) -> tuple[Passage, Sequence[Any] | None]:
    words = [str(word) for word in cast(tuple[Any, ...], item.input)]
    text, spans = joined(words)
    return Passage(item.id, text, spans), item.label


def joined(words: Sequence[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Words with spaces between, where their script has them, and where each begins and ends."""
    gaps = ["" if _DENSE.match(a[-1:]) and _DENSE.match(b[:1]) else " " for a, b in pairwise(words)]
    text, spans = "", []
    for word, gap in zip(words, [*gaps, ""], strict=False):
        spans.append((len(text), len(text) + len(word)))
        text += word + gap
    return text, tuple(spans)


def _text(item: Item) -> tuple[Passage, None]:
    if not isinstance(item.input, str):
        raise DataError(f"{item.id} is no text but a {type(item.input).__name__}. Expected one text.")
    return Passage(item.id, item.input, words_of(item.input)), None


def words_of(text: str) -> tuple[tuple[int, int], ...]:
    """Where each word of a text begins and ends."""
    return tuple(found.span() for found in _WORD.finditer(text))


def _asked(item: Item) -> tuple[Passage, Sequence[Any] | None]:
    given = item.input
    if not isinstance(given, tuple) or len(given) != 2 or not all(isinstance(part, str) for part in given):
        raise DataError(f"{item.id} is no pair of texts. Expected a question and the text that it is asked of.")
    question, text = given
    answers = item.label
    passage = Passage(item.id, text, words_of(text), question, tuple(dict.fromkeys(a for _, a in answers or ())))
    if answers is None:
        return passage, None
    flags = np.zeros((len(passage.words) + 1, 2), int)
    flags[0] = not answers
    ends = np.array([end for _, end in passage.words])
    starts = np.array([start for start, _ in passage.words])
    for start, answer in answers:
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(starts, start + len(answer), side="left")) - 1
        if first <= last:
            flags[1 + first, 0] = flags[1 + last, 1] = 1
    return passage, [tuple(row) for row in flags.tolist()]


def surroundings(place: Place, reach: int = 100) -> str:
    """The word of a place in brackets, between what stands around it; of a question, after it."""
    passage = place.passage
    asked = f"{passage.question} — " if passage.question else ""
    if place.word == NOWHERE:
        return asked + "[no answer]"
    start, end = passage.words[place.word]
    before, after = passage.text[max(0, start - reach) : start], passage.text[end : end + reach]
    left = "…" if start > reach else ""
    right = "…" if end + reach < len(passage.text) else ""
    return asked + " ".join(f"{left}{before}[{passage.text[start:end]}]{after}{right}".split())
