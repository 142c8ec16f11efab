"""Checks and messages about the names of a task's outputs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from headstart.core.errors import ConfigError


def require_names(what: str, names: tuple[str, ...], at_least: int) -> None:
    """Raise ConfigError unless there are enough names, all of them text and different."""
    if len(names) < at_least:
        number = "two different" if at_least == 2 else "one"
        raise ConfigError(
            f"a task needs at least {number} {what} to predict, but was given {', '.join(map(repr, names)) or 'none'}. "
            f"Give data with more {what}."
        )
    if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"the {what} of a task should be different names, but they are {list(names)!r}.")


def unknown_label(label: object, known: Sequence[str]) -> str:
    """The message for a label that the task does not have, with the closest ones that it has."""
    close = difflib.get_close_matches(str(label), known, n=3, cutoff=0.5)
    near = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    return (
        f"label {label!r} is not one that this task predicts.{near} It predicts: {shown}. "
        "Correct the label, or fit a model that knows it."
    )
