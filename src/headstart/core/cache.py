"""Where headstart keeps what it can make again: converted weights, stored features."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """`$HEADSTART_CACHE`, else the platform's cache folder. It need not exist yet."""
    chosen = os.environ.get("HEADSTART_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("headstart", appauthor=False))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that every reader, also in another process, sees all of it or what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
