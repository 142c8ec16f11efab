"""EasyAdapt: every feature three times, for both domains, for the source and for the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform


@dataclass(eq=False)
class EasyAdapt(Transform):
    """Source rows x become (x, x, 0), target rows (x, 0, x) (eq. 1): a linear model decides for each feature what it
    means everywhere and what it means here.

    It wants labelled items of both domains to learn from, which is the learner's matter: nothing is learned here.
    With labels of the source alone a penalised linear model halves its trust in each feature, and no more.
    """

    name = "easyadapt"
    paper = "Daume 2007, Frustratingly easy domain adaptation, arXiv:0907.1815"

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        """Nothing to learn but the number of features."""

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        nothing = np.zeros_like(rows)
        return np.hstack([rows, rows, nothing] if domain == "source" else [rows, nothing, rows])
