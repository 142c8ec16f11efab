"""H-score: how much of the features' variance lies between classes, measured in the features' own metric?"""

from __future__ import annotations

import numpy as np

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.ranking.shared import score_classes

NULL = 1e-12
"""Eigenvalues below this share of the largest count as zero."""


class HScore(Scorer):
    """tr(cov(F)^+ cov(E[F | y])) (definition 2), between 0 and min(C - 1, D).

    Null directions of the covariance are left out, so constant features do no harm. With no more items than dimensions
    classes look perfectly apart whatever the source: the score is C - 1 for all, and `hscore-regularised` is the one to
    ask. One class gives 0.
    """

    name = "hscore"
    paper = "Bao et al. 2019, An information-theoretic approach to transferability in task transfer learning"

    def score(self, evidence: Evidence) -> Score:
        return score_classes(evidence, _hscore)


def between(features: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(C, D) means of the classes less the mean of all, weighted by the square root of the class's size."""
    counts = np.bincount(classes)
    sums = np.zeros((len(counts), features.shape[1]))
    np.add.at(sums, classes, features - features.mean(axis=0))
    scaled: np.ndarray = sums / np.sqrt(counts)[:, None]
    return scaled


def _hscore(features: np.ndarray, classes: np.ndarray) -> float:
    centred = features - features.mean(axis=0)
    tall = len(centred) >= centred.shape[1]
    values, vectors = np.linalg.eigh(centred.T @ centred if tall else centred @ centred.T)
    keep = values > NULL * max(float(values[-1]), np.finfo(float).tiny)
    axes = vectors[:, keep] if tall else centred.T @ (vectors[:, keep] / np.sqrt(values[keep]))
    return float(((between(features, classes) @ axes) ** 2 / values[keep]).sum())
