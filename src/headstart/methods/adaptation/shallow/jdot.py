"""Joint distribution optimal transport: a model of the target, and the plan that carries labels to it, in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.methods.adaptation.shallow.base import Predictor, require_above, require_not_below
from headstart.methods.adaptation.shallow.pot import exact_plan
from headstart.methods.adaptation.shallow.shared import class_numbers, gaussian, median_width, squared_distances
from headstart.methods.adaptation.shallow.tcr import quantities


@dataclass(eq=False)
class JDOT(Predictor):
    """min_{f, G} sum_ij G_ij (alpha |s_i - t_j|^2 + |y_i - f(t_j)|^2) + ridge |f|^2, f a kernel ridge.

    Given f the plan G is exact optimal transport; given G each target item has the mean label Nt sum_i G_ij y_i of what
    is carried to it, and f is fitted to those. The first plan looks at features alone. It ends where the plan stays, or
    after `rounds`. Classes are indicators, and what f says of them is cut off at 0 and made to sum to 1.

    kind: "single", one class an item, or "number", quantities (Ns,) or (Ns, K), which are standardised. alpha: weight
    of the features; None takes 1 / the largest squared distance. ridge: as a share of the number of target items. The
    kernel is Gaussian, its width the median distance in the target.
    """

    name = "jdot"
    paper = "Courty et al. 2017, Joint distribution optimal transportation for domain adaptation, arXiv:1705.08848"

    kind: Literal["single", "number"] = "single"
    alpha: float | None = None
    ridge: float = 1e-3
    rounds: int = 10

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        assert labels is not None
        require_above(0, ridge=self.ridge, rounds=self.rounds)
        require_not_below(0, alpha=self.alpha or 0.0)
        wanted = self._wanted(labels)
        distances = squared_distances(source, target)
        alpha = 1 / (distances.max() or 1.0) if self.alpha is None else self.alpha
        self.rows_, self.width_ = target, median_width(target)
        solver = np.linalg.inv(gaussian(target, target, self.width_) + self.ridge * len(target) * np.eye(len(target)))
        plan = exact_plan(alpha * distances)
        for _ in range(self.rounds):
            carried = len(target) * plan.T @ wanted
            self.offset_ = carried.mean(axis=0)
            self.weights_ = solver @ (carried - self.offset_)
            moved = exact_plan(alpha * distances + squared_distances(wanted, self._fitted(target)))
            if np.allclose(moved, plan):
                break
            plan = moved

    def _wanted(self, labels: np.ndarray) -> np.ndarray:
        """(Ns, K) of what f is to say."""
        if self.kind == "single":
            self.classes_, numbers = class_numbers(labels)
            indicators: np.ndarray = np.eye(len(self.classes_))[numbers]
            return indicators
        self.classes_ = None
        values = quantities(labels)
        self.mean_, scale = values.mean(axis=0), values.std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1)
        standard: np.ndarray = (values - self.mean_) / self.scale_
        return standard

    def _fitted(self, rows: np.ndarray) -> np.ndarray:
        said: np.ndarray = gaussian(rows, self.rows_, self.width_) @ self.weights_ + self.offset_
        return said

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        said = self._fitted(rows)
        if self.classes_ is None:
            values: np.ndarray = said * self.scale_ + self.mean_
            return values
        kept = np.maximum(said, 0)
        total = kept.sum(axis=1, keepdims=True)
        shares: np.ndarray = np.where(total > 0, kept / np.where(total > 0, total, 1), 1 / kept.shape[1])
        return shares
