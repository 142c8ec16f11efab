"""Why a model said what it said: what each part of an input adds to the answer."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np

from headstart.evaluation import pictures
from headstart.evaluation.blocks import blocks, share

GRID: Final = 7
"""Rows and columns of the coarse grid of a picture."""


SHADES: Final = " ░▒▓█"
AGAINST: Final = "-"
STRONGEST: Final = 8
"""Words of each sign that a terminal shows."""


class Evidence(ABC):
    """What the parts of one input add to an output: above 0 they speak for it, below 0 against it."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The attributions, for programs."""

    @abstractmethod
    def lines(self) -> list[str]:
        """The same in short, for a terminal."""

    def picture(self) -> bytes | None:
        """A PNG of the input with its attributions; None where it has no picture."""
        return None


@dataclass(frozen=True)
class Seen(Evidence):
    """Of a picture. view: uint8 (S, S, 3), the square that the network sees. map: (h, w) over the same square."""

    view: np.ndarray
    map: np.ndarray

    @property
    def grid(self) -> np.ndarray:
        """(7, 7) sums of the map."""
        return blocks(self.map, GRID, GRID)

    def to_json(self) -> dict[str, Any]:
        return {"grid": _rounded(self.grid)}

    def lines(self) -> list[str]:
        return drawn(self.grid)

    def picture(self) -> bytes:
        return pictures.overlay(self.view, self.map)


@dataclass(frozen=True)
class Word:
    """A word of a text, or what a tokenizer reads as one where words are not parted by spaces.

    start, end: characters of the text. part: 0, or 1 in the second text of a pair. seen: False where the text was cut
    before it.
    """

    word: str
    start: int
    end: int
    score: float
    part: int = 0
    seen: bool = True


@dataclass(frozen=True)
class Words(Evidence):
    """Of a text, or of the two of a pair. words: in order. rest: what the tokenizer's own tokens add."""

    texts: tuple[str, ...]
    words: tuple[Word, ...]
    rest: float

    def to_json(self) -> dict[str, Any]:
        return {"words": [asdict(word) for word in self.words], "rest": self.rest}

    def lines(self) -> list[str]:
        return _for_and_against([(word.word, word.score) for word in self.words])

    def pieces(self, part: int) -> list[tuple[str, float]]:
        """The text as pieces with their share, -1..1, of the strongest word; 0 between words."""
        strength = share([word.score for word in self.words])
        text, found, at = self.texts[part], [], 0
        for word, value in zip(self.words, strength.tolist(), strict=True):
            if word.part == part:
                found += [(text[at : word.start], 0.0), (text[word.start : word.end], value)]
                at = word.end
        return [(piece, value) for piece, value in [*found, (text[at:], 0.0)] if piece]


@dataclass(frozen=True)
class Sound(Evidence):
    """Of a recording. map: (bands, frames), the lowest band first. hertz: (bands + 1,) and seconds: (frames + 1,) where
    the cells of the map begin and end. levels: (bands, frames) loudness, of any cells over the same area, to draw."""

    map: np.ndarray
    hertz: np.ndarray
    seconds: np.ndarray
    levels: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """A grid of at most 8 bands by 16 stretches of time, a row a band, the lowest first."""
        rows, columns = min(8, self.map.shape[0]), min(16, self.map.shape[1])
        return {
            "grid": _rounded(blocks(self.map, rows, columns)),
            "hertz": _edges(self.hertz, rows),
            "seconds": _edges(self.seconds, columns),
        }

    def lines(self) -> list[str]:
        rows, columns = min(8, self.map.shape[0]), min(16, self.map.shape[1])
        hertz, grid = _edges(self.hertz, rows), drawn(blocks(self.map, rows, columns))
        side = [f"{hertz[i]:6.0f}-{hertz[i + 1]:.0f} Hz".ljust(16) + line for i, line in enumerate(grid)]
        return [*side[::-1], " " * 16 + f"0 to {self.seconds[-1]:g} s"]

    def picture(self) -> bytes:
        return pictures.spectrogram(self.levels, self.map, self.hertz, self.seconds)


@dataclass(frozen=True)
class Columns(Evidence):
    """Of a row of a table: name, value (None where it is missing) and score of each column."""

    rows: tuple[tuple[str, float | str | None, float], ...]

    def to_json(self) -> dict[str, Any]:
        return {"columns": [dict(zip(("column", "value", "score"), row, strict=True)) for row in self.rows]}

    def lines(self) -> list[str]:
        return _for_and_against([(f"{name} = {value}", score) for name, value, score in self.rows])


@dataclass(frozen=True)
class Explanation:
    """Why one input got its answer.

    input, label, scores: as in a Prediction; where words are predicted, `input` names one, `scores` are its own, and
    `label` is the entity or answer that it is part of, None where it was not the model that chose the word. target: the
    output that is explained. value: of it: log-odds of a label, a number in the user's units. method: how it was found.
    gap: by how much attributions miss what they should add up to,
    as a share of it; None where they promise no sum. evidence: None where that gap is too large; `refused` then says
    so. picture: the file that shows it, where one was written.
    """

    input: str
    label: Any
    scores: dict[str, float]
    target: str
    value: float
    method: str
    gap: float | None
    evidence: Evidence | None
    refused: str = ""
    picture: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "input": self.input,
            "label": self.label,
            "scores": self.scores,
            "target": self.target,
            "value": self.value,
            "method": self.method,
            "gap": self.gap,
            "refused": self.refused or None,
            "attributions": None if self.evidence is None else self.evidence.to_json(),
            "picture": self.picture,
        }


def answer_of(one: Explanation) -> str:
    """The answer, with its probability where it is a label, or an entity or answer of a text."""
    if one.label is None:
        return f"{one.target} {one.scores[one.target]:.0%}"
    if isinstance(one.label, dict):
        kind = next((f"{one.label[key]}: " for key in ("type", "tag") if key in one.label), "")
        return f"{kind}{one.label['text'] or '(no answer)'} {one.label['probability']:.0%}"
    if isinstance(one.label, str):
        return f"{one.label} {one.scores[one.label]:.0%}"
    if isinstance(one.label, list):
        return ", ".join(f"{name} {one.scores[name]:.0%}" for name in one.label) or "none"
    return ", ".join(f"{name} {value:.4g}" for name, value in one.scores.items())


def promise_of(one: Explanation) -> str:
    """How it was found, and how well it adds up."""
    words = one.method.replace("-", " ")
    return words if one.gap is None else f"{words}; adds up to within {max(one.gap, 0.001):.1%}"


def save_pictures(folder: Path, explained: Sequence[Explanation]) -> list[Explanation]:
    """Write a PNG of each explanation that has one into the folder, and name it in the explanation."""
    folder.mkdir(parents=True, exist_ok=True)
    named = []
    for number, one in enumerate(explained):
        picture = one.evidence.picture() if one.evidence is not None else None
        if picture is not None:
            stem = re.sub(r"[^\w.-]+", "_", PurePath(one.input).stem)[-60:]
            path = folder / f"{number:04d}-{stem}.png"
            path.write_bytes(picture)
            one = replace(one, picture=str(path))
        named.append(one)
    return named


def drawn(grid: np.ndarray) -> list[str]:
    """A grid as lines of text: the darker a cell, the more it speaks for the output; "--" speaks against it."""
    lines = []
    for row in share(grid):
        shades = (AGAINST if v < -0.2 else SHADES[round(4 * max(0.0, v))] for v in row)
        lines.append("".join(2 * shade for shade in shades).rstrip())
    return lines


def _for_and_against(scored: Sequence[tuple[str, float]]) -> list[str]:
    """The strongest of each sign."""
    lines = []
    for words, sign in (("for", 1), ("against", -1)):
        best = sorted((one for one in scored if sign * one[1] > 0), key=lambda one: -abs(one[1]))[:STRONGEST]
        lines.append(f"{words:8}" + (", ".join(f"{name} {score:+.2f}" for name, score in best) or "nothing"))
    return lines


def _edges(edges: np.ndarray, count: int) -> list[float]:
    """Edges of `count` cells as wide as (len(edges) - 1) / count of these."""
    places = np.linspace(0, len(edges) - 1, count + 1)
    return [float(f"{value:.6g}") for value in np.interp(places, np.arange(len(edges)), edges)]


def _rounded(grid: np.ndarray) -> list[list[float]]:
    return [[float(f"{value:.4g}") for value in row] for row in grid]
