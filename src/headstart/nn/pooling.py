"""One vector for a text: what its tokens are pooled to. Padding never counts."""

from __future__ import annotations

from torch import Tensor

POOLINGS = ("mean", "cls", "last")


def real_tokens(batch: Tensor) -> Tensor:
    """(B, T) bool, true where a batch of texts (B, 2, T) holds a token and no padding."""
    return batch[:, 1] >= 0


def pool(tokens: Tensor, real: Tensor, how: str) -> Tensor:
    """tokens: (B, T, D). real: (B, T) bool, the real tokens first -> (B, D).

    how: "mean" of the real tokens (zero where there are none), "cls" the first token, "last" the last real one.
    """
    if how == "cls":
        return tokens[:, 0]
    if how == "last":
        last = (real.sum(1) - 1).clamp(min=0)
        return tokens.gather(1, last.view(-1, 1, 1).expand(-1, 1, tokens.shape[2])).squeeze(1)
    weight = real.unsqueeze(2).to(tokens.dtype)
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)
