"""Joint distribution adaptation: means of the domains agree, and means of each class, by labels it guesses anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform, require_above
from headstart.methods.adaptation.shallow.components import Kernel, features, guessing_components, unit_rows


@dataclass(eq=False)
class JDA(Transform):
    """TCA's problem with M = M_0 + sum_c M_c: the domains' discrepancy, and that of each class.

    The target's classes are guessed by the nearest source item on the components found so far (none at first: all
    classes then only count through M_0), until the guesses stay or `rounds` are over. Rows are given unit length, as
    the authors' code does. components, penalty, kernel: as in TCA.
    """

    name = "jda"
    paper = "Long et al. 2013, Transfer feature learning with joint distribution adaptation"
    needs_labels = True

    components: int = 100
    penalty: float = 1.0
    kernel: Kernel = "linear"
    rounds: int = 10

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        assert labels is not None
        require_above(0, components=self.components, penalty=self.penalty, rounds=self.rounds)
        rows = np.concatenate([source, target])
        self.features_ = features(rows, self.kernel)
        self.axes_ = guessing_components(
            self.features_(rows), labels, _even, self.components, self.penalty, self.rounds
        )

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        return unit_rows(self.features_(rows) @ self.axes_)


def _even(source: np.ndarray, target: np.ndarray, classes: np.ndarray, guesses: np.ndarray) -> float:
    """The domains' discrepancy and that of each class count alike."""
    return 0.5
