"""TransRate: how many bits fewer do the features take once the class is known?"""

from __future__ import annotations

import numpy as np

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.ranking.shared import score_classes

DISTORTION = 1e-4
NULL = 1e-14
"""Eigenvalues below this share of the largest are rounding."""


class TransRate(Scorer):
    """R(Z) - 1/C sum_c R(Z_c) with R(Z) = 1/2 log det(I + Z'Z / (n e)), e = 1e-4, Z centred as a whole (eq. 4).

    Classes count alike, as in the authors' code. It grows with the features' length and width, so that sources of
    different architecture are compared on unequal terms. One class gives 0.
    """

    name = "transrate"
    paper = "Huang et al. 2022, arXiv:2106.09362"

    def score(self, evidence: Evidence) -> Score:
        return score_classes(evidence, _transrate)


def _transrate(features: np.ndarray, classes: np.ndarray) -> float:
    centred = features - features.mean(axis=0)
    rates = [_rate(centred[classes == c]) for c in range(classes.max() + 1)]
    return _rate(centred) - float(np.mean(rates))


def _rate(rows: np.ndarray) -> float:
    gram = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
    values = np.linalg.eigvalsh(gram)  # a determinant loses the identity beside large features
    values = np.where(values > NULL * values[-1], values, 0)
    return 0.5 * float(np.log1p(values / (len(rows) * DISTORTION)).sum())
