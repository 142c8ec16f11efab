"""Whether validation data say that one model is better than another, when they have been asked before.

Each question put to the same validation items makes it likelier that one answer is yes by luck. The level at which
luck is believed is therefore spent: question k gets level / (k (k + 1)) of it, which sums to the level however many
there are (alpha spending, as in Foster and Stine 2008). If nothing that is tried is better, the chance that anything is
ever taken for better is at most the level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.core.extras import require

LEVEL = 0.2
"""Chance of one needless replacement, over all of them. Generous: what is replaced is at worst about as good."""
FEWEST = 5
"""Pairs below which a t test is not asked."""


@dataclass(frozen=True)
class Evidence:
    """gain: how much lower the challenger's mean loss is. p_value: one-sided. level: what it had to be below."""

    gain: float
    p_value: float
    level: float

    @property
    def convinces(self) -> bool:
        return self.p_value < self.level


def evidence(champion: np.ndarray, challenger: np.ndarray, *, looks: int, groups: np.ndarray | None = None) -> Evidence:
    """Paired and one-sided: is the challenger's loss lower on the same items?

    champion, challenger: (N,) loss of each item. looks: which question this is, from 1. groups: (N,) what belongs
    together; their sums are then what is paired. A t test; with fewer than five pairs nothing convinces. Fewer than
    five groups (one speaker who validates, say) would never convince: then items are paired, which says something of
    these groups alone, and the challenger must be better in each of them.
    """
    level = LEVEL / (looks * (looks + 1))
    difference = np.asarray(champion, dtype=np.float64) - np.asarray(challenger, dtype=np.float64)
    gain = float(difference.mean()) if len(difference) else 0.0
    if groups is not None:
        sums = np.bincount(np.unique(groups, return_inverse=True)[1].reshape(-1), difference).astype(np.float64)
        if len(sums) >= FEWEST:
            difference = sums
        elif (sums <= 0).any():
            return Evidence(gain, 1.0, level)
    count = len(difference)
    if count < FEWEST:
        return Evidence(gain, 1.0, level)
    error = float(difference.std(ddof=1)) / math.sqrt(count)
    mean = float(difference.mean())
    if error == 0:
        return Evidence(gain, 0.0 if mean > 0 else 1.0, level)
    special = require("scipy.special", "train", "weighing evidence")
    return Evidence(gain, float(special.stdtr(count - 1, -mean / error)), level)


def item_losses(logits: np.ndarray, targets: np.ndarray, kind: Literal["single", "multi", "number"]) -> np.ndarray:
    """(N, K) raw outputs and targets -> (N,) log loss, or squared error, the mean over outputs where there are several.

    targets: (N,) class indices, (N, K) zeros and ones, or (N, K) numbers in the unit of the outputs.
    """
    z = np.asarray(logits, dtype=np.float64)
    out: np.ndarray
    if kind == "single":
        top = z.max(axis=1)
        out = top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z[np.arange(len(z)), targets]
    elif kind == "multi":
        out = (np.logaddexp(0, z) - z * targets).mean(axis=1)
    else:
        out = ((z - targets) ** 2).mean(axis=1)
    return out
