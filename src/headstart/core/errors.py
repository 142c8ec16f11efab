"""The exceptions of headstart.

    HeadstartError
    +-- UserError            what was given is at fault: one clear message, exit code 2
    |   +-- ConfigError      an option, a name or a combination that does not exist
    |   +-- DataError        the data set: unreadable, empty, contradictory
    |   +-- SourceError      a pretrained source: unknown, not here, damaged
    |   +-- OfflineError     a hub or host that cannot be reached
    |   +-- MissingExtra     an optional dependency that is not installed
    |   +-- ArtifactError    a saved model or run: damaged, tampered with, from another version
    |   +-- ShapeError       tensors or arrays that do not fit together
    +-- InternalError        our fault: exit code 1

Every message says what was given, what was expected and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

KNOWN = 50
"""Names that a message lists at most."""


class HeadstartError(Exception):
    """Base of everything headstart raises on purpose."""

    exit_code = 1


class InternalError(HeadstartError):
    """A state that headstart promised would never be reached."""


class UserError(HeadstartError):
    """What the user gave is at fault. The message is all they need; no traceback is shown."""

    exit_code = 2


class ConfigError(UserError):
    """An option, a name or a combination that does not exist."""


class DataError(UserError):
    """The data set is unreadable, empty or contradictory."""


class SourceError(UserError):
    """A pretrained source is unknown, absent or damaged."""


class OfflineError(UserError):
    """A hub or host cannot be reached."""


class ArtifactError(UserError):
    """A saved model or run is damaged, was tampered with, or comes from another version."""


class ShapeError(UserError):
    """Arrays or tensors do not fit together."""


class MissingExtra(UserError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'headstart[{extra}]' (in a checkout: pip install '.[{extra}]')"
        )


def some(names: Iterable[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def unknown_name(kind: str, given: str, known: Iterable[str], hint: str = "") -> str:
    """The message for a name that nobody registered, with the closest ones that exist."""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    near = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    tail = f" {hint}" if hint else ""
    return f"unknown {kind} {given!r}.{near} Known: {some(names, KNOWN)}.{tail}"
