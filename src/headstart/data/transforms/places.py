"""Words where they stand, as counts of their own and their neighbours' looks: what a tagger without a network has."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from headstart.core.passages import NOWHERE, Passage, Place

SHAPES: Final = 256
WORDS: Final = 768
"""Columns that looks are hashed to, each with a sign (Weinberger et al. 2009): the few that shapes and places have, and
the many of words and their ends, which would drown them."""
NEAR: Final = (3, 10)
"""Words to either side within which those of the question are counted."""


def described(places: Sequence[Place]) -> np.ndarray:
    """(N, 1024) float32: each word itself, its beginning, end and shape, and those beside it; where a question is
    asked, also how many of its words stand near, and how it begins."""
    found = np.zeros((len(places), SHAPES + WORDS), np.float32)
    passage: Passage | None = None
    words: list[str] = []
    near: list[list[int]] = []
    for row, place in enumerate(places):
        if place.passage is not passage:
            passage = place.passage
            words = [passage.text[start:end] for start, end in passage.words]
            near = _near(words, passage.question)
        for look, few in _looks(place, words, near):
            code = zlib.crc32(look.encode(errors="surrogatepass"))
            column = code % SHAPES if few else SHAPES + code % WORDS
            found[row, column] += 1 if code & 0x80000000 else -1
    return found


def shape(word: str) -> str:
    """Its letters as X, x and 0, runs of three or more cut to three."""
    plain = "".join("X" if c.isupper() else "x" if c.isalpha() else "0" if c.isdigit() else c for c in word)
    return re.sub(r"(.)\1{2,}", r"\1\1\1", plain)


def _looks(place: Place, words: Sequence[str], near: Sequence[Sequence[int]]) -> Iterator[tuple[str, bool]]:
    """What there is to see, and whether it is one of few that there can be."""
    yield "any", True
    if place.word == NOWHERE:
        yield "nowhere", True
        return
    for step in (-2, -1, 0, 1, 2):
        at = place.word + step
        word = words[at] if 0 <= at < len(words) else "<end>"
        yield f"{step} {word.casefold()}", False
        yield f"{step} {shape(word)}", True
    word = words[place.word].casefold()
    yield f"begins {word[:3]}", False
    yield f"ends {word[-3:]}", False
    if place.passage.question:
        begins = place.passage.question.split(maxsplit=1)[0].casefold()
        yield f"asked {begins} {shape(words[place.word])}", True
        for reach, counts in zip(NEAR, near, strict=True):
            yield f"near {reach} {min(counts[place.word], 8)}", True
        yield f"in question {near[0][place.word] > 0 and word in place.passage.question.casefold()}", True


def _near(words: Sequence[str], question: str) -> list[list[int]]:
    """Of each word and reach, how many words around it are the question's."""
    asked = set(re.findall(r"\w+", question.casefold()))
    shared = np.cumsum([0, *(word.casefold() in asked for word in words)])
    count = len(words)
    return [[int(shared[min(count, i + r + 1)] - shared[max(0, i - r)]) for i in range(count)] for r in NEAR]
