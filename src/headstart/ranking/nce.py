"""NCE: how much doubt about the target's class is left once the source's class is known?"""

from __future__ import annotations

import numpy as np

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.ranking.shared import score_predictions


class NCE(Scorer):
    """-H(y | z) = sum_{y,z} P(y, z) log P(y | z), z the class that the source's head gives each item; 0 at best.

    Source classes that no item is given count for nothing. One target class gives 0. Not defined without a head. With
    few items and many source classes it flatters every source: each item may have a source class for itself.
    """

    name = "nce"
    paper = "Tran et al. 2019, arXiv:1908.08142"

    def score(self, evidence: Evidence) -> Score:
        return score_predictions(evidence, _nce)


def _nce(probabilities: np.ndarray, classes: np.ndarray) -> float:
    joint = np.zeros((classes.max() + 1, probabilities.shape[1]))
    np.add.at(joint, (classes, probabilities.argmax(axis=1)), 1 / len(classes))
    conditional = joint / np.maximum(joint.sum(axis=0), np.finfo(float).tiny)
    return float((joint * np.log(np.where(joint > 0, conditional, 1))).sum())
