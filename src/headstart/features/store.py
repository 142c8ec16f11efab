"""The feature store: what an encoder said of an item, kept on disk, so that no item is encoded twice.

A shelf holds the rows of one encoder under one preprocessing in one number format. It is two files that only grow:
`rows.bin`, the rows one after the other, and `keys.bin`, for each row the sha256 of the item's bytes and a checksum
over both. A row is written before its key, under a lock, so that a process that is killed leaves at most a tail that
the next writer cuts off; and a row is believed only if its checksum is right, whatever happened to the disk. Readers
take no lock. The store is an aid: where it cannot be written, work goes on without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import threading
import time
import weakref
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from headstart.core.cache import cache_dir, write_whole
from headstart.core.errors import ConfigError, ShapeError

FORMAT = 1
KEY = np.dtype([("digest", "V32"), ("check", "<u4")])
ROW = np.dtype("<f4")
CHUNK = 4096
"""Rows read at a time where all of them would be too many."""
LIMIT = 5_000_000_000
"""Bytes on disk, unless HEADSTART_CACHE_LIMIT says otherwise."""


@dataclass(frozen=True)
class ShelfInfo:
    """What `headstart cache info` tells of a shelf. used: seconds since the epoch."""

    name: str
    about: Mapping[str, Any]
    rows: int
    size_bytes: int
    used: float


class FeatureStore:
    """Shelves below one folder, together no larger than a limit: the one that was used longest ago goes first.

    folder: None is `features` in the cache. limit: bytes; None is `$HEADSTART_CACHE_LIMIT` (as in "500MB"), else 5 GB;
    with 0 nothing is kept. Raises ConfigError where the limit is no size.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        self.folder = folder if folder is not None else cache_dir() / "features"
        self.limit = size_of(os.environ.get("HEADSTART_CACHE_LIMIT", str(LIMIT))) if limit is None else limit

    def shelf(self, about: Mapping[str, Any], width: int) -> Shelf | None:
        """The shelf of an encoder. about: everything that the numbers depend on (plain JSON). width: D of a row.

        None where the store keeps nothing.
        """
        if not self.limit:
            return None
        about = {**about, "format": FORMAT, "width": width}
        return Shelf(self, self.folder / digest_of(about)[:32], about, width)

    def remember(self, about: Mapping[str, Any], value: str) -> None:
        """Keep a small fact, to be had again by `recall` with the same `about`."""
        if self.limit:
            with contextlib.suppress(OSError):
                write_whole(self.folder / "facts" / digest_of(about)[:32], value.encode())

    def recall(self, about: Mapping[str, Any]) -> str | None:
        try:
            return (self.folder / "facts" / digest_of(about)[:32]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def info(self) -> list[ShelfInfo]:
        """Every shelf, the last used first."""
        found = []
        for card in self.folder.glob("*/card.json"):
            with contextlib.suppress(OSError, ValueError):  # being evicted, or damaged: it will not be found either
                about, place = json.loads(card.read_text(encoding="utf-8")), card.parent
                rows = (place / "keys.bin").stat().st_size // KEY.itemsize if (place / "keys.bin").exists() else 0
                size = sum(file.stat().st_size for file in place.iterdir())
                found.append(ShelfInfo(place.name, about, rows, size, card.stat().st_mtime))
        return sorted(found, key=lambda shelf: (-shelf.used, shelf.name))

    def clear(self) -> int:
        """Remove every shelf that no process is writing; the bytes that were set free."""
        shutil.rmtree(self.folder / "facts", ignore_errors=True)
        return sum(self._remove(shelf) for shelf in self.info())

    def evict(self, spare: str | None = None) -> None:
        """Remove the shelves that were used longest ago until the rest fits. spare: the name of one that stays."""
        shelves = self.info()
        total = sum(shelf.size_bytes for shelf in shelves)
        for shelf in reversed(shelves):
            if total > self.limit and shelf.name != spare:
                total -= self._remove(shelf)

    def _remove(self, shelf: ShelfInfo) -> int:
        place = self.folder / shelf.name
        try:
            with FileLock(place / ".lock", timeout=0):
                (place / "card.json").unlink(missing_ok=True)
                shutil.rmtree(place, ignore_errors=True)
        except (Timeout, OSError):
            return 0
        return shelf.size_bytes


class Shelf:
    """Rows (D,) float32 by the sha256 of an item's bytes. Safe with other processes, and after one was killed."""

    def __init__(self, store: FeatureStore, place: Path, about: Mapping[str, Any], width: int) -> None:
        self.place = place
        self.about = about
        self.width = width
        self._store = store
        self._index: dict[bytes, int] = {}
        self._checks = np.zeros(0, np.uint32)
        self._rows = np.zeros((0, width), ROW)
        self._read()

    def get(self, digests: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(rows (N, D), known (N,)): the rows there are, zeros for the others."""
        rows = np.zeros((len(digests), self.width), ROW)
        known = np.zeros(len(digests), bool)
        for i, digest in enumerate(digests):
            key = bytes.fromhex(digest)
            at = self._index.get(key)
            if at is not None and _check(key, row := self._rows[at]) == self._checks[at]:
                rows[i], known[i] = row, True
        return rows, known

    def rows(self, digests: Sequence[str]) -> StoredRows | None:
        """The rows of these items, left on disk; None where one is missing."""
        where = np.fromiter((self._index.get(bytes.fromhex(digest), -1) for digest in digests), np.int64, len(digests))
        if len(where) and where.min() < 0:
            return None
        try:
            found = StoredRows(self.place / "rows.bin", where, self.width)
        except OSError:
            return None
        for start in range(0, len(where), CHUNK):
            part = found[start : start + CHUNK]
            for digest, at, row in zip(digests[start : start + CHUNK], where[start : start + CHUNK], part, strict=True):
                if _check(bytes.fromhex(digest), row) != self._checks[at]:
                    return None
        return found

    def put(self, digests: Sequence[str], rows: np.ndarray) -> bool:
        """Append rows (N, D) of items; whether they were kept. Of an item that comes twice the later row counts."""
        if rows.shape != (len(digests), self.width):
            raise ShapeError(f"expected rows of shape ({len(digests)}, {self.width}), got {rows.shape}.")
        rows = np.ascontiguousarray(rows, ROW)
        keys = np.zeros(len(digests), KEY)
        for i, digest in enumerate(digests):
            raw = bytes.fromhex(digest)
            keys[i] = (np.void(raw), _check(raw, rows[i]))
        if rows.nbytes > self._store.limit:
            return False
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            with FileLock(self.place / ".lock"):
                write_whole(self.place / "card.json", json.dumps(dict(self.about), sort_keys=True).encode())
                self._append(rows, keys)
        except OSError:  # full, read-only, or swept away under us: the rows are in the caller's hands anyway
            return False
        self._store.evict(spare=self.place.name)
        self._read()
        return True

    def _append(self, rows: np.ndarray, keys: np.ndarray) -> None:
        names, numbers = self.place / "keys.bin", self.place / "rows.bin"
        whole = names.stat().st_size // KEY.itemsize if names.exists() else 0
        if numbers.exists():
            whole = min(whole, numbers.stat().st_size // (ROW.itemsize * self.width))
        else:
            whole = 0
        for path, content, size in (
            (numbers, rows, ROW.itemsize * self.width),
            (names, keys, KEY.itemsize),
        ):
            with path.open("ab") as out:
                out.truncate(whole * size)  # what a killed writer left behind
                out.write(content.tobytes())
                out.flush()
                os.fsync(out.fileno())

    def _read(self) -> None:
        """Take up what is on disk now."""
        names, numbers = self.place / "keys.bin", self.place / "rows.bin"
        try:
            keys = np.fromfile(names, KEY, count=names.stat().st_size // KEY.itemsize)
            here = numbers.stat().st_size // (ROW.itemsize * self.width)
            keys = keys[: min(len(keys), here)]
            rows = np.memmap(numbers, ROW, "r", shape=(len(keys), self.width)) if len(keys) else self._rows[:0]
            with contextlib.suppress(OSError):
                os.utime(self.place / "card.json", (now := time.time(), now))
        except OSError:
            return
        self._index = {digest: i for i, digest in enumerate(keys["digest"].tolist())}
        self._checks, self._rows = keys["check"], rows


class StoredRows:
    """(N, D) float32 rows of a shelf, read when a slice of them is asked for; also after the shelf was cleared.

    where: (N,) number of each row in the file.
    """

    def __init__(self, file: Path, where: np.ndarray, width: int) -> None:
        self.shape = (len(where), width)
        self._where = where
        self._file = file.open("rb", buffering=0)
        self._lock = threading.Lock()
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: Any) -> np.ndarray:
        """(M, D) of a slice, or of an array of positions or of booleans."""
        where = self._where[index]
        out = np.empty((len(where), self.shape[1]), ROW)
        size = ROW.itemsize * self.shape[1]
        breaks = [0, *(np.flatnonzero(np.diff(where) != 1) + 1).tolist(), len(where)]
        for start, stop in itertools.pairwise(breaks):
            if stop > start:
                with self._lock:
                    self._file.seek(size * int(where[start]))
                    self._file.readinto(out[start:stop].data)
        return out


def digest_of(value: Mapping[str, Any]) -> str:
    """sha256 over the canonical JSON of a value."""
    return hashlib.sha256(json.dumps(dict(value), sort_keys=True).encode()).hexdigest()


def size_of(text: str) -> int:
    """ "500MB" -> 500000000; units kB, MB, GB, TB or none. Raises ConfigError."""
    units = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
    number = text.strip().lower().rstrip("bkmgt ")
    unit = text.strip().lower()[len(number) :].strip()
    try:
        size = float(number) * units[unit]
    except (ValueError, KeyError):
        size = -1.0
    if not 0 <= size < 2**63:
        raise ConfigError(f"HEADSTART_CACHE_LIMIT={text!r} is no size. Expected for instance 5GB, 500MB or 0.")
    return int(size)


def _check(key: bytes, row: np.ndarray) -> int:
    return zlib.crc32(row.tobytes(), zlib.crc32(key))
