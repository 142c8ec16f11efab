"""Density ratios from a classifier that tells the domains apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Weighting
from headstart.nn.linear import fit_linear


@dataclass(eq=False)
class DensityRatio(Weighting):
    """w(x) = p(target | x) / p(source | x), by logistic regression, made to have mean 1.

    How strongly it is penalised is chosen by cross-validation: domains that it cannot tell apart get even weights.
    seed: of the division into folds.
    """

    name = "density-ratio"
    paper = "Bickel et al. 2007, Discriminative learning for differing training and test distributions"

    seed: int = 0

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        domains = np.repeat([0, 1], [len(source), len(target)])
        fitted = fit_linear(np.concatenate([source, target]), domains, "single", 2, seed=self.seed)
        logits = fitted.logits(source)
        odds = logits[:, 1] - logits[:, 0]
        weights = np.exp(odds - odds.max())
        self.weights_ = weights / weights.mean()
