"""Networks for the columns of a table (Gorishniy et al. 2021): a perceptron, a residual network, a transformer.

A batch is (B, columns) float32: standardised numbers, NaN where one is missing, which is then the mean; the place of a
category among its levels, -1 for one that is missing or new. levels: of each column how many it has, 0 for a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from headstart.core.errors import ConfigError
from headstart.core.types import Features

MOST_TOKENS = 1000
"""Columns of which every pair can be looked at."""


class Columns(nn.Module):
    """(B, columns) -> (B, width): the numbers, then a vector of each category; that of an unknown one begins as 0."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self._numbers = [i for i, count in enumerate(levels) if not count]
        self._categories = [i for i, count in enumerate(levels) if count]
        sizes = [(levels[i] + 1, min(16, (levels[i] + 3) // 2)) for i in self._categories]
        self.embeddings = nn.ModuleList(nn.Embedding(count, size, padding_idx=0) for count, size in sizes)
        self.width = len(self._numbers) + sum(size for _, size in sizes)

    def forward(self, batch: Tensor) -> Tensor:
        parts = [batch[:, self._numbers].nan_to_num()]
        for i, embedding in zip(self._categories, self.embeddings, strict=True):
            parts.append(embedding(batch[:, i].long() + 1))
        return torch.cat(parts, dim=1)


class MLP(nn.Module):
    """Layers of one width with dropout between them: hard to beat, and the first to try."""

    def __init__(self, levels: Sequence[int], width: int = 256, depth: int = 2, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        self.columns = Columns(levels)
        sizes = [self.columns.width, *[width] * depth]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)) for before, after in pairwise(sizes)
        )

    @property
    def entrance(self) -> nn.Module:
        return self.columns

    def forward(self, batch: Tensor) -> Features:
        x = self.columns(batch)
        for layer in self.layers:
            x = layer(x)
        return Features(x)


class _Residual(nn.Module):
    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.inner = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.outer = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.outer(self.dropout(self.inner(self.norm(x)).relu()))
        return x + change


class ResNet(nn.Module):
    """Blocks of normalisation and two layers whose result is added to what they were given."""

    def __init__(self, levels: Sequence[int], width: int = 192, depth: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        self.columns = Columns(levels)
        self.first = nn.Linear(self.columns.width, width)
        self.blocks = nn.ModuleList(_Residual(width, 2 * width, dropout) for _ in range(depth))
        self.norm = nn.BatchNorm1d(width)

    @property
    def entrance(self) -> nn.Module:
        return self.columns

    def forward(self, batch: Tensor) -> Features:
        x = self.first(self.columns(batch))
        for block in self.blocks:
            x = block(x)
        return Features(self.norm(x).relu())


class _Tokens(nn.Module):
    """(B, columns) -> (B, 1 + columns, width): a vector that will stand for the row, one of each number, scaled by it,
    and one of each category."""

    def __init__(self, levels: Sequence[int], width: int) -> None:
        super().__init__()
        self._numbers = [i for i, count in enumerate(levels) if not count]
        self._categories = [i for i, count in enumerate(levels) if count]
        bound = 1 / math.sqrt(width)
        self.row = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.weight = nn.Parameter(torch.empty(len(self._numbers), width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(len(levels), width).uniform_(-bound, bound))
        self.embeddings = nn.ModuleList(nn.Embedding(levels[i] + 1, width, padding_idx=0) for i in self._categories)

    def forward(self, batch: Tensor) -> Tensor:
        parts = [batch[:, self._numbers].nan_to_num()[:, :, None] * self.weight]
        for i, embedding in zip(self._categories, self.embeddings, strict=True):
            parts.append(embedding(batch[:, i].long() + 1)[:, None])
        columns = torch.cat(parts, dim=1) + self.bias
        return torch.cat([self.row.expand(len(batch), 1, -1), columns], dim=1)


class _Attention(nn.Module):
    """Columns look at one another, then each by itself goes through two layers; both are added to what was given."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.norm1(x)
        q, k, v = (
            part(seen).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.out(mixed))
        found: Tensor = x + self.outer(self.dropout(self.inner(self.norm2(x)).relu()))
        return found


class FTTransformer(nn.Module):
    """A transformer over columns. Its cost grows with the square of their number.

    Raises ConfigError for more than 1,000 columns.
    """

    def __init__(
        self, levels: Sequence[int], width: int = 64, depth: int = 3, heads: int = 8, dropout: float = 0.1
    ) -> None:
        super().__init__()
        if len(levels) > MOST_TOKENS:
            raise ConfigError(
                f"ft-transformer compares every pair of columns, and {len(levels)} are too many for it (at most "
                f"{MOST_TOKENS}). Take mlp or resnet, or fewer columns with --input."
            )
        self.width = width
        self.tokens = _Tokens(levels, width)
        self.blocks = nn.ModuleList(_Attention(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    @property
    def entrance(self) -> nn.Module:
        return self.tokens

    def forward(self, batch: Tensor) -> Features:
        x = self.tokens(batch)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return Features(x[:, 0], tokens=x[:, 1:])
