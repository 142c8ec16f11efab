"""The interface of a tracker: somewhere that numbers are sent while a run is being made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Values = Mapping[str, float | int | str | None]
"""What is recorded at a step. Text says what the numbers belong to (`{"phase": "head", "train_loss": 0.7}`)."""


class Tracker(ABC):
    """Making one imports the package it needs, and raises MissingExtra where that is not installed.

    What goes wrong later is raised too; the Recorder sees to it that no run dies of it.
    """

    @abstractmethod
    def start(self, folder: Path, config: Mapping[str, Any], *, resume: bool) -> None:
        """Begin. folder: of the run. config: the recipe, plain JSON. resume: go on with what this folder has begun."""

    @abstractmethod
    def row(self, step: int, values: Values) -> None:
        """Record values at a step; what was recorded survives the process being killed right after."""

    @abstractmethod
    def text(self, name: str, text: str) -> None:
        """Record words, e.g. a warning about the data or the verdict."""

    @abstractmethod
    def finish(self) -> None:
        """Write out and close. Called once, whether the run ended well or not."""


def numbers(values: Values) -> dict[str, float]:
    """The numeric part of a row."""
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def prefixed(values: Values) -> dict[str, float]:
    """The numeric part of a row, each name below the row's phase: `{"head/train_loss": 0.7}`."""
    phase = values.get("phase")
    return {f"{phase}/{name}" if phase else name: value for name, value in numbers(values).items() if name != "step"}


def identity(folder: Path, tracker: str, resume: bool, fresh: str) -> str:
    """The id under which a tracker's server knows this run: the remembered one when resuming, else `fresh`."""
    place = folder / f"{tracker}.id"
    if resume and place.is_file():
        return place.read_text(encoding="utf-8").strip()
    place.write_text(fresh + "\n", encoding="utf-8")
    return fresh
