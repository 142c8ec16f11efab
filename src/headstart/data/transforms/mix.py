"""Mixing the items of a batch with each other, and their targets with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from headstart.core.config import AugmentConfig


def mix(batch: Tensor, targets: Tensor, classes: int, augment: AugmentConfig, seed: int) -> tuple[Tensor, Tensor]:
    """mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019) of a batch with a permutation of itself.

    batch: (B, 3, H, W) float. targets: (B,) class indices, or (B, K) labels or numbers. classes: K.
    Returns the mixed batch and (B, K) targets in the batch's dtype; the inputs are unchanged. One share, drawn from
    Beta(a, a) with a = `augment.mixup` or `augment.cutmix`, serves the whole batch; where both are on, one is drawn.
    Determined by `seed` (0 or larger); the same on every device.
    """
    soft = softened(targets, classes).to(batch.dtype)
    if not augment.mixup and not augment.cutmix:
        return batch, soft
    rng = np.random.Generator(np.random.Philox(seed))
    order = torch.from_numpy(rng.permutation(len(batch))).to(batch.device)
    cut = rng.random() < 0.5 if augment.mixup and augment.cutmix else bool(augment.cutmix)
    alpha = augment.cutmix if cut else augment.mixup
    share = float(rng.beta(alpha, alpha))
    if not cut:
        mixup = Mixup(order, share)
        return mixup(batch), mixup(soft)
    height, width = batch.shape[-2:]
    top, bottom, left, right = cut_box(height, width, share, rng)
    mixed = batch.clone()
    mixed[..., top:bottom, left:right] = batch[order][..., top:bottom, left:right]
    return mixed, Mixup(order, 1 - (bottom - top) * (right - left) / (height * width))(soft)


@dataclass(frozen=True)
class Mixup:
    """Each item of a batch blended with another. order: (B,), which. share: what stays of the item itself."""

    order: Tensor
    share: float

    @classmethod
    def drawn(cls, count: int, alpha: float, seed: int, device: torch.device) -> Mixup:
        """For a batch of `count`: a permutation of itself, and a share from Beta(alpha, alpha)."""
        rng = np.random.Generator(np.random.Philox(seed))
        return cls(torch.from_numpy(rng.permutation(count)).to(device), float(rng.beta(alpha, alpha)))

    def __call__(self, values: Tensor) -> Tensor:
        """(B, ...) float of any meaning: inputs, features, soft targets."""
        return torch.lerp(values[self.order], values, self.share)


def softened(targets: Tensor, classes: int) -> Tensor:
    """(B,) class indices -> (B, K) float; (B, K) labels or numbers as they are."""
    return one_hot(targets.long(), classes).float() if targets.ndim == 1 else targets


def cut_box(height: int, width: int, share: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a box with 1 - share of the area about a uniform centre, cut at the edges."""
    ratio = math.sqrt(1 - share)
    half_height, half_width = int(height * ratio) // 2, int(width * ratio) // 2
    y, x = int(rng.integers(height)), int(rng.integers(width))
    return max(0, y - half_height), min(height, y + half_height), max(0, x - half_width), min(width, x + half_width)
