"""Optional dependencies: imported where they are used, with the exact pip line when absent."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

from headstart.core.errors import MissingExtra

_EXTRA = re.compile(r"^([A-Za-z0-9_.-]+).*extra\s*==\s*[\"']([^\"']+)")


def explained(error: ModuleNotFoundError, purpose: str) -> MissingExtra | None:
    """What to install for a module that was not found; None where it belongs to no extra of ours."""
    wanted = (error.name or "").partition(".")[0]
    try:
        rows = [_EXTRA.match(text) for text in requires("headstart") or []]
    except PackageNotFoundError:  # run from a source tree that was never installed
        return None
    for row in rows:
        if row and row[1].lower().replace("-", "_") == wanted.lower():
            return MissingExtra(wanted, row[2], purpose)
    return None


def require(module: str, extra: str, purpose: str) -> Any:
    """Import `module`, or raise MissingExtra naming the extra that brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        wanted = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != wanted:
            raise
        raise MissingExtra(wanted, extra, purpose) from None
