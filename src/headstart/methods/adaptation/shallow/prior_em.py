"""Class shares by expectation maximisation: predictions are mended by the shares, the shares taken from them anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Correction, reweighted

ROUNDS, ENOUGH = 2000, 1e-9


@dataclass(eq=False)
class PriorEM(Correction):
    """p_t(y) <- mean_j p_t(y | t_j), with p_t(y | x) proportional to p_s(y | x) p_t(y) / p_s(y).

    The shares of highest likelihood, if p_s(y | x) is right: it wants calibrated probabilities (Alexandari et al.
    2020). Starts from the source's shares.
    """

    name = "prior-em"
    paper = "Saerens et al. 2002, Adjusting the outputs of a classifier to new a priori probabilities"

    def _estimate(self, source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> np.ndarray:
        shares = self.source_priors_
        for _ in range(ROUNDS):
            moved = reweighted(target, shares, self.source_priors_).mean(axis=0)
            moved = np.where(self.source_priors_ > 0, moved, 0)
            if not moved.sum() > 0:
                return shares
            moved /= moved.sum()
            change = float(np.abs(moved - shares).max())
            shares = moved
            if change < ENOUGH:
                break
        return shares
