"""Frozen features of one encoder over the parts of a target, each item encoded at most once, ever."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from headstart.core.types import Rows
from headstart.features.extract import extract, trusted_precision
from headstart.features.store import ROW, FeatureStore, Shelf
from headstart.nn.device import Precision, resolve_precision
from headstart.nn.encoder import Encoder
from headstart.nn.memory import release_freed_memory

SAMPLE = 8
HELD = 64_000_000
"""Bytes of features of one part that are held in memory; of more, slices are read from the store when they are used."""
TOGETHER = 512
"""Rows that are written to the store at once: what a process that is killed may lose."""


@dataclass(frozen=True)
class Views:
    """The evaluation views of a part's items.

    digests: sha256 of each item's bytes. batches: gives those of the items at some indices, in order. lengths: of the
    views at some indices, where they come in several (`Modality.length`): those of one length are encoded together, so
    that what an item's features are does not depend on its company.
    """

    digests: Sequence[str]
    batches: Callable[[Sequence[int]], Iterable[Tensor]]
    lengths: Callable[[Sequence[int]], Sequence[int]] = lambda indices: [0] * len(indices)


class FeatureBank:
    """bank("train") -> (N, D) float32, in the part's order.

    load: gives the encoder with the weights it keeps; asked only where something is missing in the store.
    width: D. about: what tells this encoder and its preprocessing from every other (plain JSON).
    prepare: as in `extract`. wanted: the number format; "auto" is the fastest, if a sample of items allows it.
    store: None keeps features in memory only.
    """

    def __init__(
        self,
        load: Callable[[], Encoder],
        parts: Mapping[str, Views],
        prepare: Callable[[Tensor], Tensor],
        *,
        width: int,
        about: Mapping[str, Any],
        device: torch.device,
        wanted: str = "auto",
        store: FeatureStore | None = None,
    ) -> None:
        self.encoded = 0
        """Items that have gone through the encoder."""
        self._load = load
        self._parts = parts
        self._prepare = prepare
        self._width = width
        self._about = {**about, "torch": torch.__version__, "device": device.type}
        self._device = device
        self._wanted = wanted
        self._store = store
        self._rows: dict[str, Rows] = {}

    @cached_property
    def encoder(self) -> Encoder:
        return self._load()

    @cached_property
    def precision(self) -> Precision:
        """What features are computed in: `wanted`, unless a few items show that they suffer from it."""
        wanted = resolve_precision(self._wanted, self._device)
        if wanted == "float32":
            return wanted
        name, views = next((n, v) for n, v in self._parts.items() if len(v.digests))
        sample = range(min(SAMPLE, len(views.digests)))
        key = {**self._about, "wanted": wanted, "sample": [views.digests[i] for i in sample]}
        known = self._store.recall(key) if self._store else None
        if known not in get_args(Precision):
            batch = next(iter(self._parts[name].batches(sample)))
            known = trusted_precision(self.encoder, self._prepare(batch), self._device, wanted)
            if self._store:
                self._store.remember(key, known)
        return cast(Precision, known)

    def __call__(self, part: str) -> Rows:
        """(N, D) of all items."""
        if part not in self._rows:
            views = self._parts[part]
            self._rows[part] = self._stored(views) or self._find(views, range(len(views.digests)))
        return self._rows[part]

    def some(self, part: str, indices: Sequence[int]) -> np.ndarray:
        """(M, D) of the items at `indices`."""
        if part in self._rows:
            return self._rows[part][np.asarray(indices, dtype=int)]
        return self._find(self._parts[part], indices)

    def missing(self, part: str, indices: Sequence[int]) -> int:
        """How many of the items at `indices` would have to be encoded."""
        if part in self._rows:
            return 0
        digests = [self._parts[part].digests[i] for i in indices]
        shelf = self._shelf()
        return len(digests) - int(shelf.get(digests)[1].sum()) if shelf is not None else len(digests)

    def holds(self, encoder: Encoder) -> bool:
        """Whether `encoder` has the very weights that this bank's features come from."""
        mine, theirs = self.encoder.state_dict(), encoder.state_dict()
        return mine.keys() == theirs.keys() and all(torch.equal(mine[n].to(t.device), t) for n, t in theirs.items())

    def _shelf(self) -> Shelf | None:
        about = {**self._about, "precision": self.precision}
        return self._store.shelf(about, self._width) if self._store else None

    def _stored(self, views: Views) -> Rows | None:
        """Rows that are left in the store, where they are too many to hold and it can keep them."""
        count, width = len(views.digests), self._width
        shelf = self._shelf() if count * width * ROW.itemsize > HELD else None
        if shelf is None:
            return None
        for start in range(0, count, TOGETHER):
            self._find(views, range(start, min(start + TOGETHER, count)), shelf)
        return shelf.rows(views.digests)

    def _find(self, views: Views, wanted: Sequence[int], shelf: Shelf | None = None) -> np.ndarray:
        digests = [views.digests[i] for i in wanted]
        shelf = shelf or self._shelf()
        if shelf is not None:
            rows, known = shelf.get(digests)
        else:
            rows, known = np.zeros((len(digests), self._width), np.float32), np.zeros(len(digests), bool)
        missing = np.flatnonzero(~known)
        lengths = np.array(views.lengths([wanted[int(i)] for i in missing]), dtype=int)
        missing = missing[np.argsort(lengths, kind="stable")]
        waiting: list[np.ndarray] = []
        done = 0
        for found in self._extracted(views, [wanted[int(i)] for i in missing]):
            waiting.append(found)
            count = sum(map(len, waiting))
            if count >= TOGETHER or done + count == len(missing):
                part = missing[done : done + count]
                rows[part], waiting, done = np.concatenate(waiting), [], done + count
                if shelf is not None:
                    shelf.put([digests[i] for i in part], rows[part])
        if len(missing):
            release_freed_memory()
        return rows

    def _extracted(self, views: Views, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Features of the items at `indices`, a batch at a time."""
        for alike in _of_one_length(indices, views.lengths(indices)):
            batches = views.batches(alike)
            for found in extract(self.encoder, batches, self._prepare, device=self._device, precision=self.precision):
                self.encoded += len(found)
                yield found


def _of_one_length(indices: Sequence[int], lengths: Sequence[int]) -> Iterator[Sequence[int]]:
    """Runs of neighbours of the same length."""
    for _, run in groupby(zip(lengths, indices, strict=True), key=itemgetter(0)):
        yield [index for _, index in run]
