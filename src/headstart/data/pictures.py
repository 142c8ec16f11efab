"""The pictures of a data set, each decoded once where memory allows."""

from __future__ import annotations

import threading

import numpy as np
import psutil

from headstart.core.card import ImageInput
from headstart.data.dataset import Item
from headstart.data.images import decode, picture


def default_memory_limit() -> int:
    """Bytes to spend on pictures: a quarter of the free memory, at most 2 GB."""
    return int(min(2e9, psutil.virtual_memory().available / 4))


class Pictures:
    """Pictures of one contract by item id, kept in memory up to a limit and decoded again beyond it.

    memory_limit: bytes; None is `default_memory_limit()`. Safe to use from many threads.
    """

    def __init__(self, contract: ImageInput, memory_limit: int | None = None) -> None:
        self.contract = contract
        self._room = default_memory_limit() if memory_limit is None else memory_limit
        self._kept: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def of(self, item: Item) -> np.ndarray:
        """uint8 (H, W, 3); see `headstart.data.images.picture`. Raises DataError where the item cannot be decoded."""
        kept = self._kept.get(item.id)
        if kept is None:
            kept = picture(decode(item, short=self.contract.resize), self.contract)
            self.keep(item, kept)
        return kept

    def keep(self, item: Item, made: np.ndarray) -> None:
        """Store a picture if there is room for it."""
        with self._lock:
            if item.id not in self._kept and made.nbytes <= self._room:
                self._room -= made.nbytes
                self._kept[item.id] = made
