"""Mixing pairs of items: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from headstart.core.config import AugmentConfig


def mix(batch: Tensor, targets: Tensor, classes: int, augment: AugmentConfig, seed: int) -> tuple[Tensor, Tensor]:
    """(mixed batch, soft targets (B, K)), determined by the seed; batch and targets stay on their device.

    batch: (B, C, H, W) float. targets: (B,) class indices, or (B, K). With both mixings on, each batch draws one of
    them. The share that an item keeps is drawn from Beta(a, a); for CutMix it is the area that is really kept.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    if targets.ndim == 1:
        targets = torch.nn.functional.one_hot(targets, classes)
    soft = targets.to(batch.dtype)
    cut = augment.cutmix > 0 and (augment.mixup == 0 or rng.random() < 0.5)
    strength = augment.cutmix if cut else augment.mixup
    if strength == 0:
        return batch, soft
    kept = float(rng.beta(strength, strength))
    partner = torch.as_tensor(rng.permutation(len(batch)), device=batch.device)
    if not cut:
        return kept * batch + (1 - kept) * batch[partner], kept * soft + (1 - kept) * soft[partner]
    height, width = batch.shape[-2:]
    tall, wide = round(height * math.sqrt(1 - kept)), round(width * math.sqrt(1 - kept))
    middle, centre = int(rng.integers(height)), int(rng.integers(width))
    top, bottom = max(0, middle - tall // 2), min(height, middle - tall // 2 + tall)
    left, right = max(0, centre - wide // 2), min(width, centre - wide // 2 + wide)
    mixed = batch.clone()
    mixed[..., top:bottom, left:right] = batch[partner][..., top:bottom, left:right]
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, kept * soft + (1 - kept) * soft[partner]
