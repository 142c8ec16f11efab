"""What was read of a data set's items, each read once where memory allows."""

from __future__ import annotations

import threading
from typing import Any

import psutil

from headstart.core.card import Input
from headstart.data.dataset import Item
from headstart.data.modalities import MODALITIES


def default_memory_limit() -> int:
    """Bytes to spend: a quarter of the free memory, at most 2 GB."""
    return int(min(2e9, psutil.virtual_memory().available / 4))


class Kept:
    """What a modality keeps of items under one contract (pictures, texts, ...), by item id, in memory up to a limit,
    read again beyond it.

    memory_limit: bytes; None is `default_memory_limit()`. Safe to use from many threads.
    """

    def __init__(self, contract: Input, memory_limit: int | None = None) -> None:
        self.contract = contract
        self.modality = MODALITIES[contract.modality]
        self._room = default_memory_limit() if memory_limit is None else memory_limit
        self._kept: dict[str, Any] = {}
        self._lock = threading.Lock()

    def of(self, item: Item) -> Any:
        """As `Modality.read` gives it. Raises DataError where the item cannot be read."""
        kept = self._kept.get(item.id)
        if kept is None:
            kept = self.modality.read(item, self.contract)
            self.keep(item, kept)
        return kept

    def keep(self, item: Item, made: Any) -> None:
        """Store what was read if there is room for it."""
        size = self.modality.weigh(made)
        with self._lock:
            if item.id not in self._kept and size <= self._room:
                self._room -= size
                self._kept[item.id] = made
