"""The speaker encoder of Resemblyzer, trained to tell voices apart (generalised end-to-end loss, Wan et al. 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from headstart.core.types import Features
from headstart.nn.windows import mean_of_sounding, windows

SIZE, STEP, LEAST = 160, 77, 121
"""Frames that the network was trained on (1.6 s), from one stretch to the next (1.3 a second), and in the last one."""


class Resemblyzer(nn.Module):
    """(B, bands, frames) -> pooled (B, D) of length 1: the mean over stretches; tokens (B, P, D), one each.

    A recurrent network reads each stretch; its last state becomes a direction with no negative component. Each layer
    is a module of its own, to be frozen and unfrozen alone.
    """

    def __init__(self, bands: int = 40, width: int = 256, layers: int = 3) -> None:
        super().__init__()
        self.width = width
        self.lstm = nn.ModuleList(nn.LSTM(width if i else bands, width, batch_first=True) for i in range(layers))
        self.linear = nn.Linear(width, width)

    def forward(self, batch: Tensor) -> Features:
        parts = windows(batch, SIZE, STEP, least=LEAST)
        x = parts.flatten(0, 1).transpose(1, 2)  # (B P, frames, bands)
        for layer in self.lstm:
            x, _ = layer(x)
        directions = nn.functional.normalize(self.linear(x[:, -1]).relu(), dim=1)
        tokens = directions.unflatten(0, parts.shape[:2])  # type: ignore[no-untyped-call]
        return Features(nn.functional.normalize(mean_of_sounding(tokens, parts), dim=1), tokens=tokens)
