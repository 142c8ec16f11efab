"""Activations where the frozen part of a network ends: computed once for a few views of each item, then trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import psutil
import torch
from torch import Tensor

WORTH = 0.8
"""Kept only where at most this share of the frozen part's forward passes remains to be done."""


class Activations:
    """Stands in for the pictures of a phase whose first blocks are frozen.

    bottom, resumed: of the network's `Truncation`, the first from a batch as the data room gives it.
    train: view number -> that view of all training items, in batches, in order. validation: the same for the evaluation
    view of the validation items. views: how many there are of each training item; epoch e sees number e modulo views.
    size: items in a batch of validation.
    """

    def __init__(
        self,
        bottom: Callable[[Tensor], Tensor],
        resumed: Callable[[], AbstractContextManager[None]],
        train: Callable[[int], Iterable[Tensor]],
        validation: Callable[[], Iterable[Tensor]],
        views: int,
        size: int,
    ) -> None:
        self._bottom = bottom
        self.resumed = resumed
        """While it lasts, the encoder takes activations in place of pictures."""
        self._train = train
        self._validation = validation
        self._views = views
        self._size = size
        self._known: dict[int, Tensor] = {}
        self._judged: Tensor | None = None

    def training(self, epoch: int, indices: Sequence[int]) -> Tensor:
        """(B, ...) of the items at `indices`. The first time a view is asked for, all of it is computed."""
        view = epoch % self._views
        if view not in self._known:
            self._known[view] = self._all(self._train(view))
        return _rows(self._known[view], torch.as_tensor(indices))

    def validation(self) -> Iterator[Tensor]:
        """Every validation item in order, in batches."""
        judged = self._judged = self._all(self._validation()) if self._judged is None else self._judged
        starts = range(0, len(judged), self._size)
        return (_rows(judged, torch.arange(start, min(start + self._size, len(judged)))) for start in starts)

    def _all(self, batches: Iterable[Tensor]) -> Tensor:
        """Channels last in memory, as networks of pictures want them."""
        rows = [self._bottom(batch).cpu() for batch in batches]
        return torch.cat([row.movedim(1, -1) if row.ndim == 4 else row for row in rows]).contiguous()


def worthwhile(train: int, validation: int, epochs: int, views: int, bytes_each: int) -> bool:
    """Whether keeping activations saves work and fits in memory.

    train, validation: items. views: of each training item, at most as many as epochs. bytes_each: of one item's
    activations.
    """
    anew = train * epochs + validation * (epochs + 1)
    kept = train * views + validation
    room = min(1e9, psutil.virtual_memory().available / 8)
    return views > 0 and kept <= WORTH * anew and kept * bytes_each <= room


def _rows(kept: Tensor, indices: Tensor) -> Tensor:
    found = kept[indices]
    return found.movedim(-1, 1) if found.ndim == 4 else found
