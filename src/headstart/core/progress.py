"""How long work tells what it is doing. The terminal's version is `headstart.cli.progress`."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a recipe reports while it works. Every call is cheap and never fails the work."""

    def stage(self, name: str) -> None:
        """A new stage begins ("reading the data", "training: head")."""

    def advance(self, name: str, done: int, total: int) -> None:
        """`done` of `total` steps of `name` are over."""

    def say(self, text: str) -> None:
        """One line that the user should read, e.g. a warning about the data."""


class Silent:
    """Reports nothing: the default of every recipe called from Python."""

    def stage(self, name: str) -> None:
        del name

    def advance(self, name: str, done: int, total: int) -> None:
        del name, done, total

    def say(self, text: str) -> None:
        del text
