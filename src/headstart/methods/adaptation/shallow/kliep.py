"""KLIEP: the density ratio as a sum of kernels, fitted so that the reweighted source is likely to give the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Weighting, require_above
from headstart.methods.adaptation.shallow.shared import gaussian, median_width, spread

WIDTHS = (0.35, 0.6, 1.0, 1.7, 3.0)
"""Widths that are tried, in units of the median distance. Narrower ones win by target items that have no source item
near, where nothing limits the ratio."""
FOLDS, ROUNDS, ENOUGH = 5, 300, 1e-7


@dataclass(eq=False)
class KLIEP(Weighting):
    """max_a sum_j log w(t_j) subject to mean_i w(s_i) = 1, a >= 0, with w(x) = sum_l a_l k(x, c_l).

    The centres c are target items. With a_l = g_l / mean_i k(s_i, c_l) the g are the shares of a mixture, so that
    expectation maximisation climbs to the optimum of this concave problem with no step size. centres: how many at
    most, evenly spaced among the target's items in lexicographic order. width: of the Gaussian kernel; None chooses it
    by the likelihood of held-out target items (as the paper does).
    """

    name = "kliep"
    paper = "Sugiyama et al. 2008, Direct importance estimation for covariate shift adaptation"

    centres: int = 100
    width: float | None = None

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        require_above(0, centres=self.centres)
        target = spread(target, len(target))
        centres = spread(target, self.centres)
        if self.width is None:
            median = median_width(np.concatenate([source, target]))
            tried = [(_held_out(source, target, centres, median * w), median * w) for w in WIDTHS]
            self.width_ = max(tried)[1]
        else:
            require_above(0, width=self.width)
            self.width_ = self.width
        at_source, at_target = _ratios(source, target, centres, self.width_)
        weights = at_source @ _shares(at_target)
        self.weights_ = weights / weights.mean() if weights.sum() > 0 else np.ones(len(source))


def _ratios(source: np.ndarray, target: np.ndarray, centres: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """(Ns, L), (Nt, L): kernels divided by their mean over the source; centres that it is nowhere near are left out."""
    at_source, at_target = gaussian(source, centres, width), gaussian(target, centres, width)
    mean = at_source.mean(axis=0)
    near = mean > np.finfo(float).eps
    return at_source[:, near] / mean[near], at_target[:, near] / mean[near]


def _shares(at_target: np.ndarray) -> np.ndarray:
    """(Nt, L) -> (L,) that sum to 1 and maximise sum log(at_target @ shares)."""
    number = at_target.shape[1]
    shares = np.full(number, 1 / max(1, number))
    for _ in range(ROUNDS):
        density = np.maximum(at_target @ shares, np.finfo(float).tiny)
        moved = shares * (at_target / density[:, None]).mean(axis=0)
        moved /= max(float(moved.sum()), np.finfo(float).tiny)
        change = float(np.abs(moved - shares).max(initial=0))
        shares = moved
        if change < ENOUGH:
            break
    return shares


def _held_out(source: np.ndarray, target: np.ndarray, centres: np.ndarray, width: float) -> float:
    """Mean log ratio of target items that the ratio was not fitted to."""
    _, at_target = _ratios(source, target, centres, width)
    folds = np.arange(len(target)) % min(FOLDS, len(target))
    if folds.max() == 0 or not at_target.shape[1]:
        return -np.inf
    logs = [np.log(np.maximum(at_target[folds == f] @ _shares(at_target[folds != f]), 1e-300)) for f in set(folds)]
    return float(np.concatenate(logs).mean())
