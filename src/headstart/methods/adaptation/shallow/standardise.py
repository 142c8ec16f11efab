"""Per-domain standardisation: each feature has mean 0 and deviation 1 in either domain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform


@dataclass(eq=False)
class Standardise(Transform):
    """Rows x of a domain become (x - mean) / deviation, both of that domain. A constant feature becomes 0.

    Whatever differs between two laboratories by a shift and a factor a feature is gone, and so is a difference in how
    frequent the classes are: with uneven classes the domains are pulled apart where they agreed.
    """

    name = "standardise"
    paper = "Li et al. 2017, Revisiting batch normalization for practical domain adaptation, arXiv:1603.04779"

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        self.mean_ = {"source": source.mean(axis=0), "target": target.mean(axis=0)}
        self.scale_ = {"source": _scale(source), "target": _scale(target)}

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        moved: np.ndarray = (rows - self.mean_[domain]) / self.scale_[domain]
        return moved


def _scale(rows: np.ndarray) -> np.ndarray:
    """(D,) deviations; infinity for a constant."""
    deviation = rows.std(axis=0)
    constant = deviation <= 1e-8 * np.maximum(1e-300, np.abs(rows).max(axis=0))
    return np.where(constant, np.inf, deviation)
