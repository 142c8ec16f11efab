"""Why a model said what it said: what each part of an input adds to the answer."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np

from headstart.evaluation import pictures
from headstart.evaluation.blocks import blocks, share

GRID: Final = 7
"""Rows and columns of the coarse grid of a picture."""


SHADES: Final = " ░▒▓█"
AGAINST: Final = "-"


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
class Explanation:
    """Why one input got its answer.

    input, label, scores: as in a Prediction. target: the output that is explained. value: of it: log-odds of a label, a
    number in the user's units. method: how it was found. gap: by how much attributions miss what they should add up to,
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
    """The answer, with its probability where it is a label."""
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


def _rounded(grid: np.ndarray) -> list[list[float]]:
    return [[float(f"{value:.4g}") for value in row] for row in grid]
