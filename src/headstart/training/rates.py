"""Choosing a learning rate and a batch size by trying."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch.optim import Optimizer

from headstart.nn.model import Model


def range_test(
    optimizer: Optimizer, step: Callable[[int], float], *, low: float = 1e-6, high: float = 0.1, steps: int = 40
) -> float:
    """A learning rate for an optimiser whose groups hold their ratios to it in "lr" (Smith 2017, section 3.3).

    The rate rises by equal factors from low to high over `steps` optimiser steps, until the smoothed loss is four times
    its lowest or not finite; the answer is a tenth of the rate at which it was lowest. step: runs the i-th step and
    gives its loss.
    """
    ratios = [group["lr"] for group in optimizer.param_groups]
    rates = np.geomspace(low, high, steps)
    smooth, lowest, answer = 0.0, math.inf, low
    for i, rate in enumerate(rates):
        for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
            group["lr"] = rate * ratio
        loss = step(i)
        if not math.isfinite(loss):
            break
        smooth = 0.8 * smooth + 0.2 * loss
        corrected = smooth / (1 - 0.8 ** (i + 1))
        if corrected < lowest:
            lowest, answer = corrected, float(rate)
        elif corrected > 4 * lowest:
            break
    return answer / 10


def largest_batch(model: Model, items: int, attempt: Callable[[int], None], *, most: int, steps: int = 10) -> int:
    """The largest power of two that gives `steps` steps an epoch (8 to `most`) and fits in memory.

    attempt: one forward and backward pass at a size; torch.OutOfMemoryError makes the size half.
    """
    size = int(2 ** np.clip(math.floor(math.log2(max(items / steps, 1))), 3, math.log2(most)))
    parameter = next(model.parameters())
    while parameter.device.type != "cpu" and size > 1:
        try:
            attempt(size)
            break
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            size //= 2
    return size
