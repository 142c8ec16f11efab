"""Overlapping stretches of a spectrogram, for networks that were trained on short ones."""

from __future__ import annotations

from torch import Tensor, nn


def windows(batch: Tensor, size: int, step: int, least: int) -> Tensor:
    """(B, bands, frames) -> (B, P, bands, size): a stretch every `step` frames.

    Zeros follow the last one where it is too short; with fewer than `least` frames it is left out, unless it is alone.
    """
    frames = batch.shape[2]
    count = 1 + max(0, -(-(frames - size) // step))
    if count > 1 and frames - (count - 1) * step < least:
        count -= 1
    wanted = (count - 1) * step + size
    batch = nn.functional.pad(batch[..., :wanted], (0, max(0, wanted - frames)))
    return batch.unfold(2, size, step).transpose(1, 2)


def mean_of_sounding(vectors: Tensor, parts: Tensor) -> Tensor:
    """The mean (B, D) of the vectors (B, P, D) of those stretches (B, P, bands, size) that are not silent, that is,
    zero throughout; of all where all are."""
    sounding = parts.flatten(2).ne(0).any(2, keepdim=True)
    weights = (sounding | ~sounding.any(1, keepdim=True)).to(vectors.dtype)
    return (vectors * weights).sum(1) / weights.sum(1)
