"""Kernel mean matching: weights under which the source's mean in the kernel's feature space is the target's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Weighting, require_above, require_not_below
from headstart.methods.adaptation.shallow.shared import gaussian, median_width

ROUNDS, ENOUGH = 3000, 1e-7
"""Projected gradient steps at most; it ends where no weight moves by more than this share of the largest."""


@dataclass(eq=False)
class KMM(Weighting):
    """min_b b'Kb / 2 - k'b with k_i = Ns / Nt sum_j k(s_i, t_j), 0 <= b <= bound, |mean b - 1| <= slack.

    Solved by accelerated projected gradients. It keeps (Ns, Ns) numbers. bound: the largest weight before the mean is
    made 1. The paper's 1000 is none for most data, and lets few items stand for all. width: of the Gaussian kernel, in
    units of the features; None takes the median distance over both domains. slack: None takes (sqrt(Ns) - 1) /
    sqrt(Ns), as the paper does.
    """

    name = "kmm"
    paper = "Huang et al. 2006, Correcting sample selection bias by unlabeled data"

    bound: float = 10.0
    width: float | None = None
    slack: float | None = None

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        require_not_below(1, bound=self.bound)
        require_not_below(0, slack=self.slack or 0.0)
        width = median_width(np.concatenate([source, target])) if self.width is None else self.width
        require_above(0, width=width)
        number = len(source)
        slack = 1 - 1 / np.sqrt(number) if self.slack is None else self.slack
        kernel = gaussian(source, source, width)
        wanted = number * gaussian(source, target, width).mean(axis=1)
        weights = _solve(kernel, wanted, self.bound, number * max(1 - slack, 0.0), number * (1 + slack))
        self.weights_ = weights / weights.mean() if weights.mean() > 0 else np.ones(number)


def _solve(kernel: np.ndarray, wanted: np.ndarray, bound: float, low: float, high: float) -> np.ndarray:
    """(N,) that minimises b'Kb / 2 - wanted'b, 0 <= b <= bound, low <= sum b <= high (Beck and Teboulle 2009, with the
    restarts of O'Donoghue and Candes 2015)."""
    step = 1 / float(kernel.sum(axis=1).max())  # no eigenvalue is larger than a row's sum
    weights: np.ndarray = np.ones(len(wanted))
    ahead = weights
    momentum = 1.0
    for _ in range(ROUNDS):
        moved = _project(ahead - step * (kernel @ ahead - wanted), bound, low, high)
        if (ahead - moved) @ (moved - weights) > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = moved + (momentum - 1) / following * (moved - weights)
        change = float(np.abs(moved - weights).max())
        weights, momentum = moved, following
        if change <= ENOUGH * max(1.0, float(weights.max())):
            break
    return weights


def _project(values: np.ndarray, bound: float, low: float, high: float) -> np.ndarray:
    """The nearest point with 0 <= b <= bound and low <= sum b <= high: all values moved by one number, and cut off."""
    cut: np.ndarray = np.clip(values, 0, bound)
    total = cut.sum()
    if low <= total <= high:
        return cut
    goal = low if total < low else high
    below, above = float(values.min()) - bound, float(values.max())  # moved by these, the sum is all or nothing
    for _ in range(100):
        middle = (below + above) / 2
        cut = np.clip(values - middle, 0, bound)
        if cut.sum() > goal:
            below = middle
        else:
            above = middle
    return cut
