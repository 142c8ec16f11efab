"""Transfer component analysis: components on which the means of both domains agree in the kernel's feature space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform, require_above
from headstart.methods.adaptation.shallow.components import Kernel, components, contrast, features


@dataclass(eq=False)
class TCA(Transform):
    """min_A tr A'F'MFA + penalty |A|^2 subject to A'F'HFA = I, M of the squared maximum mean discrepancy.

    See `components`. The penalty is against M scaled to norm 1. components: how many at most. penalty: the larger, the
    nearer to (kernel) principal components. kernel: "linear" works on the features themselves; "gaussian" takes the
    median distance for its width.
    """

    name = "tca"
    paper = "Pan et al. 2011, Domain adaptation via transfer component analysis"

    components: int = 30
    penalty: float = 1.0
    kernel: Kernel = "linear"

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        require_above(0, components=self.components, penalty=self.penalty)
        rows = np.concatenate([source, target])
        self.features_ = features(rows, self.kernel)
        means = contrast(np.ones(len(source)), np.ones(len(target)))
        self.axes_ = components(self.features_(rows), [(1.0, means)], self.components, self.penalty)

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        moved: np.ndarray = self.features_(rows) @ self.axes_
        return moved
