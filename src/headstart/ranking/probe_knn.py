"""The linear probe and the nearest neighbours together: the mean of what they say of items held out.

The default. Over thousands of fine-tunings a linear probe or k-NN ranks sources as well as anything that was proposed
since, and fails least (Renggli et al. 2022; Agostinelli et al. 2022, "How stable are transferability metrics
evaluations?"). They err on different targets: a head sees directions and misses curved classes, neighbours see places
and are drowned by directions that mean nothing.
"""

from __future__ import annotations

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.ranking.knn import Neighbours
from headstart.ranking.probe import LinearProbe


class ProbeAndNeighbours(Scorer):
    """mean_i (p_i + k_i) / 2, with p_i what `probe` and k_i what `knn` says of item i. Defined where both are."""

    name = "probe-knn"
    paper = "Renggli et al. 2022, arXiv:2010.06402"

    def score(self, evidence: Evidence) -> Score:
        probe, neighbours = evidence.asked(LinearProbe), evidence.asked(Neighbours)
        if probe.items is None or neighbours.items is None:
            return Score.undefined(probe.reason or neighbours.reason)
        items = (probe.items + neighbours.items) / 2
        return Score(float(items.mean()), items)
