"""Subspace alignment: the source's principal axes are turned into the target's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform, require_above
from headstart.methods.adaptation.shallow.shared import principal_axes


@dataclass(eq=False)
class SubspaceAlignment(Transform):
    """Source rows S become S P_s P_s' P_t, target rows T become T P_t (algorithm 1), each less its domain's mean.

    P_s, P_t: the principal axes of each domain. P_s'P_t minimises |P_s M - P_t|. components: axes of each
    domain, as many as the poorer one has at most.
    """

    name = "subspace"
    paper = "Fernando et al. 2013, Unsupervised visual domain adaptation using subspace alignment"

    components: int = 30

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        require_above(0, components=self.components)
        self.mean_ = {"source": source.mean(axis=0), "target": target.mean(axis=0)}
        of_source, of_target = (principal_axes(rows, self.components) for rows in (source, target))
        common = min(of_source.shape[1], of_target.shape[1])
        of_source, of_target = of_source[:, :common], of_target[:, :common]
        self.axes_ = {"source": of_source @ (of_source.T @ of_target), "target": of_target}

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        moved: np.ndarray = (rows - self.mean_[domain]) @ self.axes_[domain]
        return moved
