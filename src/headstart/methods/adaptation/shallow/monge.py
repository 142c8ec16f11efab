"""Linear Monge map: the cheapest way to carry one normal distribution into another, which is linear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform, require_not_below
from headstart.methods.adaptation.shallow.shared import covariances, power


@dataclass(eq=False)
class LinearMonge(Transform):
    """Source rows x become (x - mean_s) A + mean_t, A = C_s^(-1/2) (C_s^(1/2) C_t C_s^(1/2))^(1/2) C_s^(-1/2).

    Of all linear maps that give the source the target's mean and covariance it moves rows least: where the domains
    agree it is the identity. The target stays. ridge: as in CORAL.
    """

    name = "monge"
    paper = "Flamary et al. 2019, Concentration bounds for linear Monge mapping estimation, arXiv:1905.10155"

    ridge: float | None = None

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        require_not_below(0, ridge=self.ridge or 0.0)
        self.mean_, self.shift_ = source.mean(axis=0), target.mean(axis=0)
        of_source, of_target = covariances(source, target, self.ridge)
        root, inverse = power(of_source, 0.5), power(of_source, -0.5)
        self.map_ = inverse @ power(root @ of_target @ root, 0.5) @ inverse

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        return (rows - self.mean_) @ self.map_ + self.shift_ if domain == "source" else rows
