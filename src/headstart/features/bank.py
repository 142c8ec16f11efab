"""Frozen features of one encoder over the parts of a target, each extracted at most once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from headstart.features.extract import extract
from headstart.nn.device import Precision
from headstart.nn.encoder import Encoder


class FeatureBank:
    """bank("train") -> (N, D) float32, in the part's order.

    encoder: with the weights it keeps. parts: name -> a function that gives the part's batches anew.
    prepare: as in `extract`.
    """

    def __init__(
        self,
        encoder: Encoder,
        parts: Mapping[str, Callable[[], Iterable[Tensor]]],
        prepare: Callable[[Tensor], Tensor],
        *,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self._encoder = encoder
        self._parts = parts
        self._prepare = prepare
        self._device = device
        self._precision = precision
        self._rows: dict[str, np.ndarray] = {}

    def __call__(self, part: str) -> np.ndarray:
        if part not in self._rows:
            self._rows[part] = extract(
                self._encoder, self._parts[part](), self._prepare, device=self._device, precision=self._precision
            )
        return self._rows[part]

    def holds(self, encoder: Encoder) -> bool:
        """Whether `encoder` has the very weights that this bank's features come from."""
        mine, theirs = self._encoder.state_dict(), encoder.state_dict()
        return mine.keys() == theirs.keys() and all(torch.equal(mine[n].to(t.device), t) for n, t in theirs.items())
