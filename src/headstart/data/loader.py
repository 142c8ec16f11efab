"""Batches of items as tensors, made by threads while the network works."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
from torch import Tensor

from headstart.core.card import Input
from headstart.core.config import AugmentConfig
from headstart.core.passages import Place
from headstart.data.dataset import Dataset
from headstart.data.kept import Kept
from headstart.data.modalities import MODALITIES

T = TypeVar("T")

VERSIONS = 1
"""Parts the draw of a version from all else that the same seed decides."""


class Batches:
    """Makes batches (B, ...) from the items of a data set: uint8 (B, 3, crop, crop) of images, channels-last in memory;
    int64 (B, 2, T) of texts; see `headstart.data.modalities`.

    dataset: what indices count. kept: made by a survey; None reads on demand, within the default memory limit.
    workers: threads; what decodes, scales and cuts into tokens releases the interpreter's lock.
    `prepare` puts a batch into the form that the encoder takes, on the device.
    """

    def __init__(self, dataset: Dataset, kept: Kept | None, contract: Input, *, workers: int | None = None) -> None:
        if kept is not None and kept.contract != contract:
            kept = None
        self.dataset = dataset
        self.contract = contract
        self.kept = kept or Kept(contract)
        self.modality = MODALITIES[contract.modality]
        self._pool = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1), thread_name_prefix="headstart-data")

    def __len__(self) -> int:
        return len(self.dataset)

    def prepare(self, batch: Tensor) -> Tensor:
        """A batch of these, on its device already, as the encoder takes it."""
        return self.modality.prepare(batch, self.contract)

    def evaluation(self, indices: Sequence[int]) -> Tensor:
        """The evaluation views of the items at `indices`. Raises DataError where one cannot be decoded."""
        return self._together(lambda i: self.modality.evaluation(self.item(i), self.contract), indices)

    def training(self, indices: Sequence[int], seeds: Sequence[int], augment: AugmentConfig) -> Tensor:
        """One random view of each item at `indices`, with back-translation also of its versions, determined by the seed
        (0 or larger) at the same place."""
        read = self._version if augment.back_translation else lambda index, seed: self.item(index)
        return self._together(
            lambda pair: self.modality.training(read(*pair), self.contract, augment, pair[1]),
            list(zip(indices, seeds, strict=True)),
        )

    def evaluations(self, indices: Sequence[int] | None = None, size: int = 32) -> Generator[Tensor]:
        """The evaluation views of the items at `indices`, or of all, in order, (size, ...) or fewer at a time, read
        ahead in the background."""
        wanted = range(len(self)) if indices is None else indices
        return prefetch((lambda part=part: self.evaluation(part)) for part in self.parts(wanted, size))  # type: ignore[misc]

    def parts(self, indices: Sequence[int], size: int) -> list[Sequence[int]]:
        """The items at `indices`, in order, `size` together, or fewer; of words, those that neighbours in `size` texts
        are."""
        if self.contract.by_word:
            texts = [cast(Place, self.dataset[int(i)].input).passage for i in indices]
            first = [i for i in range(len(texts)) if i == 0 or texts[i] is not texts[i - 1]]
            return [indices[a:b] for a, b in pairwise([*first[::size], len(texts)])]
        return [indices[start : start + size] for start in range(0, len(indices), size)]

    def lengths(self, indices: Sequence[int]) -> list[int]:
        """Of each item at `indices`, as `Modality.length` gives it."""
        return list(self._pool.map(lambda i: self.modality.length(self.item(i), self.contract), indices))

    def item(self, index: int) -> Any:
        """What is kept of an item."""
        return self.kept.of(self.dataset[int(index)])

    def _version(self, index: int, seed: int) -> Any:
        """What is kept of an item, or of another version of it, each as likely."""
        item = self.dataset[int(index)]
        drawn = int(np.random.default_rng((seed, VERSIONS)).integers(1 + len(item.versions))) if item.versions else 0
        if not drawn:
            return self.item(index)
        return self.modality.read(replace(item, input=item.versions[drawn - 1]), self.contract)

    def _together(self, make: Callable[[T], np.ndarray], arguments: Sequence[T]) -> Tensor:
        return self.modality.collate(list(self._pool.map(make, arguments)), self.contract)


def prefetch(work: Iterable[Callable[[], T]], depth: int = 2) -> Generator[T]:
    """Results of the callables in order, up to `depth` of them computed ahead by one background thread.

    An exception in `work` or a callable is raised here, in its place. Where the consumer stops early, the thread
    ends after the callable it is in.
    """
    done: queue.Queue[tuple[T | None, BaseException | None] | None] = queue.Queue(maxsize=max(1, depth))
    stop = threading.Event()

    def put(entry: tuple[T | None, BaseException | None] | None) -> None:
        while not stop.is_set():
            try:
                return done.put(entry, timeout=0.05)
            except queue.Full:
                continue

    def run() -> None:
        try:
            for call in work:
                if stop.is_set():
                    return
                put((call(), None))
            put(None)
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=run, name="headstart-prefetch", daemon=True)
    thread.start()
    try:
        while (entry := done.get()) is not None:
            result, error = entry
            if error is not None:
                raise error
            yield result  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
