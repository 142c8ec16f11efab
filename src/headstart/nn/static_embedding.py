"""A table of word vectors: every token has one, whatever stands around it."""

from __future__ import annotations

from torch import Tensor, nn

from headstart.core.types import Features
from headstart.nn.pooling import pool, real_tokens


class StaticEmbedding(nn.Module):
    """The mean of the vectors of a text's tokens: one matrix, hence one block.

    vocabulary: number of tokens. width: of their vectors.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocabulary, width)

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 2, T) int64, ids and segments -> pooled (B, D), tokens (B, T, D)."""
        tokens: Tensor = self.embedding(batch[:, 0])
        return Features(pool(tokens, real_tokens(batch), "mean"), tokens=tokens)
