"""Other wordings of a text: easy data augmentation (Wei and Zou 2019) and back-translation (Sennrich et al. 2016).

For texts and pairs that have a label as a whole. Tags of words and places of answers would not fit what comes out.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from headstart.core.config import AugmentConfig
from headstart.core.errors import ConfigError, DataError, ShapeError
from headstart.data.encodings import read_text
from headstart.metrics.answers import form_of

Text = str | tuple[str, str]

Synonyms = Mapping[str, tuple[str, ...]]
"""Word in lower case -> others that may stand in its place."""

Translator = Callable[[Sequence[str]], Sequence[str]]
"""Texts in one language -> the same in another, in order."""

_RUN: Final = re.compile(r"[A-Za-z0-9]+|\s+")


def reworded(text: Text, augment: AugmentConfig, seed: int) -> Text:
    """A training view of a text, or of each part of a pair: see `Eda`. Determined by `seed` (0 or larger).

    Raises DataError where the file of synonyms cannot be read, ConfigError where it is needed and not given.
    """
    shares = (augment.word_replace, augment.word_insert, augment.word_swap, augment.word_delete)
    if not any(shares):
        return text
    eda = _eda(*shares, augment.synonyms)
    rng = np.random.Generator(np.random.Philox(seed))
    return eda(text, rng) if isinstance(text, str) else (eda(text[0], rng), eda(text[1], rng))


@dataclass(frozen=True)
class Eda:
    """One change of four, or none, drawn anew for each text: words replaced by a synonym, synonyms of its words
    inserted anywhere, pairs of words swapped, words deleted.

    replace, insert, swap, delete: share of the words, 0 never draws it; at least one word is changed, and one stays.
    Words are parted by spaces; in text that is mostly of scripts without them (Chinese, Japanese, Thai) they are the
    longest entries of `synonyms`, and single characters elsewhere.
    synonyms: words that it lacks, such as stop words, are neither replaced nor give insertions.
    """

    replace: float = 0.0
    insert: float = 0.0
    swap: float = 0.0
    delete: float = 0.0
    synonyms: Synonyms = field(default_factory=dict)

    def __call__(self, text: str, rng: np.random.Generator) -> str:
        """The text itself where no change that is on can be made to it."""
        dense = form_of([text]) == "cmrc"
        words = self._dense_words(text) if dense else text.split()
        known = [place for place, word in enumerate(words) if self._others(word)]
        changes = {
            self._replaced: bool(self.replace and known),
            self._inserted: bool(self.insert and known),
            self._swapped: bool(self.swap and len(words) > 1),
            self._deleted: bool(self.delete and len(words) > 1),
        }
        able = [change for change, can in changes.items() if can]
        drawn = int(rng.integers(len(able) + 1))
        if drawn == len(able):
            return text
        return ("" if dense else " ").join(able[drawn](words, known, rng))

    def _replaced(self, words: list[str], known: list[int], rng: np.random.Generator) -> list[str]:
        changed = list(words)
        for place in rng.permutation(known)[: _number(self.replace, words)]:
            changed[place] = self._other(words[place], rng)
        return changed

    def _inserted(self, words: list[str], known: list[int], rng: np.random.Generator) -> list[str]:
        changed = list(words)
        for _ in range(_number(self.insert, words)):
            word = self._other(_core(words[rng.choice(known)]).lower(), rng)
            changed.insert(int(rng.integers(len(changed) + 1)), word)
        return changed

    def _swapped(self, words: list[str], known: list[int], rng: np.random.Generator) -> list[str]:
        changed = list(words)
        for _ in range(_number(self.swap, words)):
            one, other = rng.choice(len(words), size=2, replace=False)
            changed[one], changed[other] = changed[other], changed[one]
        return changed

    def _deleted(self, words: list[str], known: list[int], rng: np.random.Generator) -> list[str]:
        number = min(_number(self.delete, words), len(words) - 1)
        gone = set(rng.permutation(len(words))[:number].tolist())
        return [word for place, word in enumerate(words) if place not in gone]

    def _others(self, word: str) -> tuple[str, ...]:
        return self.synonyms.get(_core(word).lower(), ())

    def _other(self, word: str, rng: np.random.Generator) -> str:
        """A synonym in the word's place: with the marks about it, and its capital."""
        core, others = _core(word), self._others(word)
        other = others[rng.integers(len(others))]
        return word.replace(core, other[:1].upper() + other[1:] if core[:1].isupper() else other, 1)

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.synonyms), default=1)

    def _dense_words(self, text: str) -> list[str]:
        words, start = [], 0
        while start < len(text):
            run = _RUN.match(text, start)
            ends = range(min(len(text), start + self._longest), start + 1, -1)
            end = next((end for end in ends if text[start:end].lower() in self.synonyms), start + 1)
            end = max(end, run.end() if run else end)
            words.append(text[start:end])
            start = end
        return words


def back_translated(texts: Sequence[str], forth: Translator, back: Translator) -> list[str]:
    """Each text translated by `forth` and again by `back`; the text itself where nothing comes back.

    Raises ShapeError where a translator does not give one text for each.
    """
    there = _translated(texts, forth)
    return [again if again.strip() else text for again, text in zip(_translated(there, back), texts, strict=True)]


def read_synonyms(path: Path) -> dict[str, tuple[str, ...]]:
    """A table of synonyms: lines of words parted by tabs, the first being what the others may replace; or one JSON
    object of lists (.json). Raises DataError naming the line or the word that is broken."""
    text, _ = read_text(path)
    rows: dict[str, list[str]] = {}
    if path.suffix.lower() == ".json":
        try:
            given = json.loads(text)
        except ValueError as error:
            raise DataError(f"{path} is not JSON: {error}. Expected an object such as {{'good': ['fine']}}.") from None
        if not isinstance(given, dict):
            raise DataError(f"{path} holds no JSON object. Expected one such as {{'good': ['fine']}}.")
        for word, others in given.items():
            if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
                raise DataError(f"{path}: the synonyms of {word!r} are not a list of words. Expected ['fine', ...].")
            rows.setdefault(word.strip().lower(), []).extend(others)
    else:
        for number, line in enumerate(text.split("\n"), start=1):
            word, *others = line.strip("\r").split("\t")
            if line.strip() and not (word.strip() and others):
                raise DataError(f"{path} line {number} has no synonym: {line!r}. Expected word, tab, synonym, ...")
            if line.strip():
                rows.setdefault(word.strip().lower(), []).extend(others)
    stripped = {w: [o.strip() for o in others if o.strip() and o.strip().lower() != w] for w, others in rows.items()}
    return {word: tuple(dict.fromkeys(others)) for word, others in stripped.items() if word and others}


def neighbours(
    vocabulary: Sequence[str], vectors: np.ndarray, wanted: Sequence[str], *, count: int = 5, least: float = 0.6
) -> dict[str, tuple[str, ...]]:
    """Synonyms from static embeddings: of each wanted word that has a vector, the `count` nearest by cosine, if at
    least so near. Nearest is not the same in meaning: opposites ("good", "bad") are near, too, so where sentiment is
    the label, a table made by people is safer.

    vocabulary: V words in lower case. vectors: (V, D) float.
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    row = {word: place for place, word in enumerate(vocabulary)}
    found: dict[str, tuple[str, ...]] = {}
    for word in dict.fromkeys(w.lower() for w in wanted):
        if word not in row:
            continue
        near = unit @ unit[row[word]]
        near[row[word]] = -np.inf
        order = np.argsort(-near, kind="stable")[:count]
        if others := tuple(vocabulary[place] for place in order if near[place] >= least):
            found[word] = others
    return found


@lru_cache(maxsize=4)
def _eda(replace: float, insert: float, swap: float, delete: float, synonyms: str) -> Eda:
    if (replace or insert) and not synonyms:
        raise ConfigError(
            "augment.word_replace and augment.word_insert need synonyms. Name a file of them with --set "
            "augment.synonyms=FILE, or set both to 0."
        )
    return Eda(replace, insert, swap, delete, read_synonyms(Path(synonyms)) if synonyms else {})


def _number(share: float, words: Sequence[str]) -> int:
    return max(1, round(share * len(words)))


def _core(word: str) -> str:
    """The word without the marks about it."""
    return word.strip(string.punctuation + "“”‘’«»…—–")


def _translated(texts: Sequence[str], translator: Translator) -> Sequence[str]:
    found = translator(texts)
    if len(found) != len(texts):
        raise ShapeError(f"a translator gave {len(found)} texts for {len(texts)}. Expected one for each.")
    return found
