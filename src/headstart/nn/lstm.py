"""A recurrent network for texts: AWD-LSTM (Merity et al. 2018), pooled as in ULMFiT (Howard and Ruder 2018, 3.3)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core.types import Features
from headstart.nn.pooling import pool, real_tokens


class Locked(nn.Module):
    """Dropout that drops the same numbers at every place of a text (Gal and Ghahramani 2016)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        if not self.training or not self.p:
            return x
        return x * functional.dropout(torch.ones_like(x[:, :1]), self.p)


class _Layer(nn.Module):
    """A layer whose recurrent weights are dropped at random while training (DropConnect, Wan et al. 2013)."""

    def __init__(self, before: int, width: int, dropout: float, weight_dropout: float) -> None:
        super().__init__()
        self.cell = nn.LSTM(before, width, batch_first=True)
        self.dropout = Locked(dropout)
        self.weight_dropout = weight_dropout

    def forward(self, x: Tensor) -> Tensor:
        weights: dict[str, Tensor] = dict(self.cell.named_parameters())
        if self.training:
            weights["weight_hh_l0"] = functional.dropout(weights["weight_hh_l0"], self.weight_dropout)
        start = x.new_zeros(1, len(x), self.cell.hidden_size)
        ordered = [weights[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        out = torch.lstm(x, (start, start), ordered, True, 1, 0.0, self.training, False, True)[0]
        dropped: Tensor = self.dropout(out)
        return dropped


class LSTM(nn.Module):
    """Token vectors, then layers of LSTM, the last as wide as a token vector.

    What is said of a token is its state, and the maximum and the mean of all states up to it; of a text, what is said
    of its last token. vocabulary: number of tokens. width: three times `embedding`.
    """

    causal = True

    def __init__(
        self,
        vocabulary: int,
        embedding: int = 256,
        hidden: int = 512,
        depth: int = 3,
        dropout: float = 0.25,
        weight_dropout: float = 0.25,
    ) -> None:
        super().__init__()
        self.width = 3 * embedding
        self.embedding = nn.Embedding(vocabulary, embedding)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.dropout = Locked(dropout)
        sizes = [embedding, *[hidden] * (depth - 1), embedding]
        self.layers = nn.ModuleList(_Layer(before, size, dropout, weight_dropout) for before, size in pairwise(sizes))

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 2, T) int64, ids and segments -> pooled (B, 3 E), tokens (B, T, 3 E)."""
        x = self.dropout(self.embedding(batch[:, 0]))
        for layer in self.layers:
            x = layer(x)
        so_far = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)[:, None]
        tokens = torch.cat([x, x.cummax(1).values, x.cumsum(1) / so_far], dim=2)
        return Features(pool(tokens, real_tokens(batch), "last"), tokens=tokens)
