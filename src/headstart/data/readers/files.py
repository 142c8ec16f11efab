"""What readers of folders share: which files are there, and what their names say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headstart.core.errors import ConfigError
from headstart.data.dataset import SPLIT_NAMES, LabelKind, Role
from headstart.data.readers.base import SLICES, Columns

_CONLL_2003: Final[dict[str, Role]] = {"testa": "validation", "testb": "test"}


def walk(folder: Path) -> Iterator[Path]:
    """Files below a folder, sorted; hidden names are left out and no folder is entered twice (symlinks)."""
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(here, name) for name in sorted(files) if not name.startswith("."))


def role_of(path: Path) -> Role | None:
    """The split that a file's name, or else a folder above it, has as a word, as `emerging.test.annotated` does.

    path: relative to the data.
    """
    for part in reversed(path.parts):
        for word in re.split(r"[^a-z]+", part.lower()):
            if role := (SPLIT_NAMES | _CONLL_2003).get(word):
                return role
    return None


def domain_of(path: Path) -> str | None:
    """The folders of a relative path, but for those that name a split; None where there are none."""
    return "/".join(part for part in path.parent.parts if role_of(Path(part)) is None) or None


def refuse_columns(columns: Columns, form: str, kind: LabelKind) -> None:
    """Raise ConfigError where the user names columns or another kind of label than the form of data has."""
    given = [f"--{name}" for name in ("input", "label", "group", "split") if getattr(columns, name) is not None]
    given += ["--slice"] if columns.slice not in (None, *SLICES) else []
    if given:
        raise ConfigError(f"{', '.join(given)} name columns of a table; the data given is {form}, which has none.")
    if columns.kind not in (None, kind):
        raise ConfigError(f"labels of {form} are {kind}, not {columns.kind!r}. Give a table for other kinds.")
