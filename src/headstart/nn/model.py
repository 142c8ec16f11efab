"""A model: an encoder and the head that a task puts on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headstart.core.types import Features
from headstart.nn.encoder import Encoder


class Model(nn.Module):
    """encoder -> dropout -> head.

    encoder: gives Features. outputs: K of the linear head. dropout: on the pooled features, while training.
    """

    def __init__(self, encoder: Encoder, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.width, outputs)
        reset_head(self)

    def forward(self, batch: Tensor) -> Tensor:
        """(B, ...) prepared batch -> (B, K) logits."""
        return self.through(self.encoder, batch)

    def through(self, encoder: Encoder, batch: Tensor) -> Tensor:
        """The same, by another form of the encoder that says what it says, only faster."""
        features: Features = encoder(batch)
        return self.answer(self.dropout(features.pooled))

    def answer(self, pooled: Tensor) -> Tensor:
        """(B, D) pooled features -> (B, K) logits."""
        # The head is small, and its rounding would show in the probabilities: it never runs in reduced precision.
        with torch.autocast(pooled.device.type, enabled=False):
            logits: Tensor = self.head(pooled.to(self.head.weight.dtype))
        return logits


def reset_head(model: Model) -> None:
    """Zero the head: the first gradients into the encoder then come from a head that has begun to fit, and the
    result does not depend on a draw."""
    with torch.no_grad():
        nn.init.zeros_(model.head.weight)
        nn.init.zeros_(model.head.bias)


def encoder_state(model: Model) -> dict[str, Tensor]:
    """A detached copy of the encoder's floating-point parameters by name (the `w0` of L2-SP and WiSE-FT)."""
    return {n: p.detach().clone() for n, p in model.encoder.named_parameters()}
