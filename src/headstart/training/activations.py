"""Activations where the frozen part of a network ends: computed once for a few views of each item, then trained on.

Those of texts are (T, D), as many as a text has tokens, and NaN behind them where they stand beside a longer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import psutil
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from headstart.data.tokens import MULTIPLE

WORTH = 0.8
"""Kept only where at most this share of the frozen part's forward passes remains to be done."""


class Activations:
    """Stands in for the views of a phase whose first blocks are frozen.

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
        """While it lasts, the encoder takes activations in place of views."""
        self._train = train
        self._validation = validation
        self._views = views
        self._size = size
        self._known: dict[int, list[Tensor]] = {}
        self._judged: list[Tensor] | None = None

    def training(self, epoch: int, indices: Sequence[int]) -> Tensor:
        """(B, ...) of the items at `indices`. The first time a view is asked for, all of it is computed."""
        view = epoch % self._views
        if view not in self._known:
            self._known[view] = self._all(self._train(view))
        return _together([self._known[view][i] for i in indices])

    def validation(self) -> Iterator[Tensor]:
        """Every validation item in order, in batches."""
        judged = self._judged = self._all(self._validation()) if self._judged is None else self._judged
        starts = range(0, len(judged), self._size)
        return (_together(judged[start : start + self._size]) for start in starts)

    def _all(self, batches: Iterable[Tensor]) -> list[Tensor]:
        return [_alone(row) for batch in batches for row in self._bottom(batch).cpu()]


def worthwhile(train: int, validation: int, epochs: int, views: int, bytes_each: float) -> bool:
    """Whether keeping activations saves work and fits in memory.

    train, validation: items. views: of each training item, at most as many as epochs. bytes_each: of one item's
    activations, on average.
    """
    anew = train * epochs + validation * (epochs + 1)
    kept = train * views + validation
    room = min(1e9, psutil.virtual_memory().available / 8)
    return views > 0 and kept <= WORTH * anew and kept * bytes_each <= room


def _alone(row: Tensor) -> Tensor:
    """One item: channels last in memory, as networks of pictures want them; with no more padding than it has alone."""
    if row.ndim == 3:
        return row.movedim(0, -1).contiguous()
    if row.ndim == 2:
        length = int((~row[:, 0].isnan()).sum())
        return row[: -(-length // MULTIPLE) * MULTIPLE].clone()
    return row


def _together(rows: Sequence[Tensor]) -> Tensor:
    """Items (...) -> (B, ...), of two dimensions padded to the longest."""
    if rows[0].ndim == 2:
        return pad_sequence(list(rows), batch_first=True, padding_value=torch.nan)
    found = torch.stack(list(rows))
    return found.movedim(-1, 1) if found.ndim == 4 else found
