"""The H-score with a shrunken covariance: what to take where items are not many times the dimensions."""

from __future__ import annotations

import numpy as np

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.ranking.hscore import NULL, between
from headstart.ranking.shared import score_classes


class RegularisedHScore(Scorer):
    """(1 - a) tr(S_a^-1 cov(E[F | y])) with S_a = (1 - a) cov(F) + a tr(cov(F)) / D I (eq. 4).

    a is the shrinkage of Ledoit and Wolf (2004) that the data ask for. Features that never vary give 0, one class does.
    """

    name = "hscore-regularised"
    paper = "Ibrahim et al. 2022, arXiv:2110.06893; Ledoit and Wolf 2004"

    def score(self, evidence: Evidence) -> Score:
        return score_classes(evidence, _regularised)


def _regularised(features: np.ndarray, classes: np.ndarray) -> float:
    number, width = features.shape
    centred = features - features.mean(axis=0)
    tall = number >= width
    values, vectors = np.linalg.eigh(centred.T @ centred if tall else centred @ centred.T)
    values = np.maximum(values, 0) / number
    mean = float(values.sum()) / width
    if mean <= np.finfo(float).tiny or number < 2:
        return 0.0
    shrinkage = _ledoit_wolf(centred, values, mean)
    means = between(features, classes)
    keep = values > NULL * values[-1]  # class means have no part in the other directions
    values = values[keep]
    axes = vectors[:, keep] if tall else centred.T @ (vectors[:, keep] / np.sqrt(values * number))
    trace = ((means @ axes) ** 2 / ((1 - shrinkage) * values + shrinkage * mean)).sum()
    return float((1 - shrinkage) * trace / (number - 1))


def _ledoit_wolf(centred: np.ndarray, values: np.ndarray, mean: float) -> float:
    """The shrinkage a in 0..1. values: eigenvalues of the covariance, at least those that are not 0."""
    number, width = centred.shape
    spread = float((values**2).sum())
    distance = spread / width - mean**2  # of the covariance from a multiple of the identity
    fourth = float(((centred**2).sum(axis=1) ** 2).sum()) / number
    noise = (fourth - spread) / (width * number)
    return min(noise, distance) / distance if distance > 0 and noise > 0 else 0.0
