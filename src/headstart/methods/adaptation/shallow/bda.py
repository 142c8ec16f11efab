"""Balanced distribution adaptation: JDA, with the domains and the classes weighed by how far apart each are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.core.errors import ConfigError
from headstart.methods.adaptation.shallow.base import Domain, Transform, require_above
from headstart.methods.adaptation.shallow.components import Kernel, features, guessing_components, unit_rows
from headstart.methods.adaptation.shallow.shared import proxy_a_distance


@dataclass(eq=False)
class BDA(Transform):
    """JDA's problem with M = (1 - balance) M_0 + balance sum_c M_c.

    balance: 0 is TCA, 1 looks at classes alone. None weighs them by their proxy A-distances d on the components of the
    round before (Wang et al. 2018): 1 - d_0 / (d_0 + sum_c d_c), d = 2 (1 - 2 error) of a linear classifier that
    tells two domains apart, on items that it did not learn from. The rest as in JDA.
    """

    name = "bda"
    paper = "Wang et al. 2017, Balanced distribution adaptation for transfer learning, arXiv:1807.00516"
    needs_labels = True

    components: int = 100
    penalty: float = 1.0
    kernel: Kernel = "linear"
    rounds: int = 10
    balance: float | None = None

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        assert labels is not None
        require_above(0, components=self.components, penalty=self.penalty, rounds=self.rounds)
        if self.balance is not None and not 0 <= self.balance <= 1:
            raise ConfigError(f"balance={self.balance}: expected a number from 0 to 1, or None.")
        rows = np.concatenate([source, target])
        self.features_ = features(rows, self.kernel)
        self.axes_ = guessing_components(
            self.features_(rows), labels, self._balance, self.components, self.penalty, self.rounds
        )

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        return unit_rows(self.features_(rows) @ self.axes_)

    def _balance(self, source: np.ndarray, target: np.ndarray, classes: np.ndarray, guesses: np.ndarray) -> float:
        if self.balance is not None:
            return self.balance
        apart = proxy_a_distance(source, target)
        by_class = sum(
            proxy_a_distance(source[classes == c], target[guesses == c]) for c in np.intersect1d(classes, guesses)
        )
        return by_class / (apart + by_class) if apart + by_class > 0 else 0.5
