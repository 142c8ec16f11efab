"""How large an encoder is, without giving it memory."""

from __future__ import annotations

import torch

from headstart.core.card import Architecture, Input
from headstart.sources import build


def measure(architecture: Architecture, input: Input) -> tuple[int, int]:
    """(number of parameters, D) of the encoder that `build` makes."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        encoder = build(architecture, input)
    return sum(p.numel() for p in encoder.parameters()), encoder.width
