"""The multilingual Universal Sentence Encoder, version 3: n-grams in place of attention (Yang et al. 2020).

Word vectors go, normalised, through three branches of two convolutions that look at 2, 3 and 5 tokens; words and
branches together are projected, summed over the text (divided by the square root of its length) and sent through dense
layers to a point on the unit sphere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from headstart.core.types import Features
from headstart.nn.pooling import real_tokens

WINDOWS = ((2, 0), (3, 1), (5, 2))
"""Of each branch: how many tokens it looks at, and how many of them stand before its own."""

EPSILON = 1e-12


class UseMultilingual(nn.Module):
    """vocabulary: number of tokens. words, branch, hidden, width: sizes of a word's vector, of a branch, of the dense
    layers and of the result."""

    def __init__(
        self, vocabulary: int, words: int = 512, branch: int = 256, hidden: int = 320, width: int = 512
    ) -> None:
        super().__init__()
        self.width = width
        joined = branch * len(WINDOWS)
        self.embedding = nn.Embedding(vocabulary, words)
        self.project = nn.Linear(words, joined)
        self.settle = nn.LayerNorm(joined, eps=EPSILON)
        self.near = Branches(branch)
        self.far = Branches(branch)
        self.normalise = nn.LayerNorm(words + joined, eps=EPSILON)
        self.output = nn.Linear(words + joined, width)
        self.lower = Shortcut(width, hidden, hidden)
        self.upper = Shortcut(hidden, width, width)

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 2, T) int64, ids and segments -> pooled (B, D) of length 1, tokens (B, T, D)."""
        real = real_tokens(batch).unsqueeze(2).float()
        words = self.embedding(batch[:, 0])
        branches = self.settle(self.project(words)).chunk(len(WINDOWS), dim=2)
        seen = self.far(self.near(branches, real), real)
        tokens = self.output(self.normalise(torch.cat([words, *seen], 2)))
        mean = (tokens * real).sum(1) / real.sum(1).clamp(min=1).sqrt()
        sentence = self.upper(self.lower(mean).relu()).tanh()
        return Features(nn.functional.normalize(sentence, eps=EPSILON**0.5), tokens=tokens)


class Branches(nn.Module):
    """A convolution in every branch, added to what it looked at."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size * width, width) for size, _ in WINDOWS)

    def forward(self, branches: Sequence[Tensor], real: Tensor) -> list[Tensor]:
        """branches: (B, T, C) each. real: (B, T, 1), 1 for a token, 0 for padding."""
        rows = zip(branches, self.layers, WINDOWS, strict=True)
        return [x + layer(windows(x * real, size, before)).relu() for x, layer, (size, before) in rows]


class Shortcut(nn.Module):
    """Two dense layers, and one past them: (B, inner) -> (B, outer)."""

    def __init__(self, inner: int, middle: int, outer: int) -> None:
        super().__init__()
        self.first = nn.Linear(inner, middle, bias=False)
        self.second = nn.Linear(middle, outer, bias=False)
        self.past = nn.Linear(inner, outer, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.past(x) + self.second(self.first(x).relu())
        return result


def windows(x: Tensor, size: int, before: int) -> Tensor:
    """(B, T, C) -> (B, T, size * C): every token with its neighbours, `before` of them before it; zeros beyond."""
    padded = nn.functional.pad(x, (0, 0, before, size - 1 - before))
    return torch.cat([padded[:, i : i + x.shape[1]] for i in range(size)], 2)
