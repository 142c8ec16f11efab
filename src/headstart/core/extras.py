"""Optional dependencies: imported where they are used, with the exact pip line when absent."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from headstart.core.errors import MissingExtra


def require(module: str, extra: str, purpose: str) -> Any:
    """Import `module`, or raise MissingExtra naming the extra that brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        wanted = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != wanted:
            raise
        raise MissingExtra(wanted, extra, purpose) from None
