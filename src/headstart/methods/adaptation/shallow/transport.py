"""Optimal transport with class regularisation: source items are carried to where the target's are, classes together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform, require_above, require_not_below
from headstart.methods.adaptation.shallow.pot import smooth_plan
from headstart.methods.adaptation.shallow.shared import class_numbers, nearest, squared_distances

ROUNDS, OFFSET = 10, 1e-3


@dataclass(eq=False)
class ClassTransport(Transform):
    """min_G <G, C> + entropy sum G log G + together / Nt sum_j sum_c (Nt sum_(i in c) G_ij)^(1/2) over plans G of even
    mass: a target item should be given mass by one class.

    C: squared distances, in units of their mean. Each round takes the last term for its tangent at the plan before,
    which leaves a Sinkhorn problem (Courty et al. 2014). Source rows of `fit` become the mean of what they are carried
    to; new ones move as the nearest of those does. The target stays. It keeps (Ns, Nt) numbers. entropy: how much the
    plan is blurred. together: 0 does not look at classes.
    """

    name = "transport"
    paper = "Courty et al. 2017, Optimal transport for domain adaptation, arXiv:1507.00504"
    needs_labels = True

    entropy: float = 0.1
    together: float = 0.1

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        assert labels is not None
        require_above(0, entropy=self.entropy)
        require_not_below(0, together=self.together)
        _, classes = class_numbers(labels)
        member = np.eye(classes.max() + 1)[classes]
        cost = squared_distances(source, target)
        cost = cost / (cost.mean() or 1.0)
        plan = smooth_plan(cost, self.entropy)
        for _ in range(ROUNDS if self.together else 0):
            of_class = member.T @ plan * len(target)  # (K, Nt): the shares of each target item's mass
            slope = 0.5 / np.sqrt(of_class + OFFSET)
            plan = smooth_plan(cost + self.together * (member @ slope), self.entropy)
        self.plan_ = plan
        self.rows_ = source
        mass = plan.sum(axis=1, keepdims=True)
        self.moves_ = np.where(mass > 0, plan @ target / np.where(mass > 0, mass, 1), source) - source

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        return rows + self.moves_[nearest(rows, self.rows_)] if domain == "source" else rows
