"""LEEP: how well do the source's own classes, as they are, tell the target's classes?"""

from __future__ import annotations

import numpy as np

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.ranking.shared import score_predictions


class LEEP(Scorer):
    """1/N sum_i log sum_z P(y_i | z) p_iz, with P(y, z) = 1/N sum_{i: y_i = y} p_iz (eq. 1-2); 0 at best.

    p_iz: what the source's head says of item i, over its classes z. A source class that no item has any of is left out:
    it says nothing. One target class gives 0. Not defined without a head.
    """

    name = "leep"
    paper = "Nguyen et al. 2020, arXiv:2002.12462"

    def score(self, evidence: Evidence) -> Score:
        return score_predictions(evidence, _leep)


def _leep(probabilities: np.ndarray, classes: np.ndarray) -> float:
    joint = np.zeros((classes.max() + 1, probabilities.shape[1]))
    np.add.at(joint, classes, probabilities)
    mass = joint.sum(axis=0)
    conditional = joint / np.where(mass > 0, mass, 1)
    expected = np.einsum("iz,iz->i", probabilities, conditional[classes])
    return float(np.log(np.maximum(expected, np.finfo(float).tiny)).mean())
