"""Files that preprocessing needs beside its contract (a tokenizer), known by the sha256 of their content.

A contract names an asset by its hash. Whoever brings one (a pack, a saved model) says in which folder it lies, or
hands in its bytes; whoever needs one asks for the hash and gets the very bytes that it stands for.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from headstart.core.cache import cache_dir, write_whole
from headstart.core.errors import SourceError

FOLDER = "assets"
_given: dict[str, bytes] = {}
_folders: dict[Path, None] = {}
_offers: dict[str, list[Callable[[], bytes]]] = {}


def know(data: bytes) -> str:
    """Make an asset known in this process. Gives its hash."""
    name = hashlib.sha256(data).hexdigest()
    _given.setdefault(name, data)
    return name


def keep(data: bytes) -> str:
    """Make an asset known, in this process and, where the cache can be written, to those to come. Gives its hash."""
    name = know(data)
    path = cache_dir() / FOLDER / name
    try:
        if not path.is_file() or path.read_bytes() != data:
            write_whole(path, data)
    except OSError:
        pass  # a cache that cannot be written: this process has it
    return name


def offer(name: str, make: Callable[[], bytes]) -> None:
    """Say how an asset is made, should it be asked for and be nowhere on this machine: from a pack's own files.

    make: raises SourceError where it cannot.
    """
    _offers.setdefault(name, []).append(make)


def look_in(folder: Path) -> None:
    """Find assets in a folder, too: files that bear their hash as name."""
    _folders[folder] = None


def known(name: str) -> bool:
    """Whether an asset lies on this machine; whether it is whole, `read` finds out."""
    return name in _given or any((folder / name).is_file() for folder in (*_folders, cache_dir() / FOLDER))


def read(name: str) -> bytes:
    """The bytes of an asset. Raises SourceError where it is not on this machine, or not what its hash says."""
    if name in _given:
        return _given[name]
    for folder in (*_folders, cache_dir() / FOLDER):
        path = folder / name
        if path.is_file():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == name:
                _given[name] = data
                return data
    for make in _offers.get(name, ()):
        with contextlib.suppress(SourceError):
            return make()
    raise SourceError(
        f"the tokenizer {name[:12]} that this network needs is not on this machine, or damaged. Install its source "
        "again (headstart sources install NAME), or load a model folder that is whole."
    )
