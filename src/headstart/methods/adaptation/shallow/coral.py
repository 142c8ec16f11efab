"""CORAL: the source's covariance becomes the target's, by whitening and recolouring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform, require_not_below
from headstart.methods.adaptation.shallow.shared import covariances, power


@dataclass(eq=False)
class Coral(Transform):
    """Source rows x become (x - mean_s) C_s^(-1/2) C_t^(1/2) + mean_t (algorithm 1); the target stays.

    The paper takes features of mean 0; here the means are aligned with the rest. ridge: added to each variance, in
    units of squared features (the paper adds 1 to standardised ones); None shrinks each covariance as much as its
    number of items asks for (Ledoit and Wolf 2004).
    """

    name = "coral"
    paper = "Sun et al. 2016, Return of frustratingly easy domain adaptation"

    ridge: float | None = None

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        require_not_below(0, ridge=self.ridge or 0.0)
        self.mean_, self.shift_ = source.mean(axis=0), target.mean(axis=0)
        of_source, of_target = covariances(source, target, self.ridge)
        self.map_ = power(of_source, -0.5) @ power(of_target, 0.5)

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        return (rows - self.mean_) @ self.map_ + self.shift_ if domain == "source" else rows
