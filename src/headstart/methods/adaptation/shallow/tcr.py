"""Transfer component regression: a ridge regression on transfer components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.core.errors import ShapeError
from headstart.methods.adaptation.shallow.base import Predictor
from headstart.methods.adaptation.shallow.components import Kernel
from headstart.methods.adaptation.shallow.tca import TCA
from headstart.nn.linear import fit_linear


@dataclass(eq=False)
class TCR(Predictor):
    """Quantities are linear in the transfer components: min |TCA(source) w + b - y|^2 plus a ridge, which the paper
    locates WiFi receivers by. How strong the ridge is cross-validation on the source chooses.

    source_labels: (Ns,) or (Ns, K) numbers. components, penalty, kernel: as in TCA. seed: of the division into folds.
    """

    name = "tcr"
    paper = "Pan et al. 2011, Domain adaptation via transfer component analysis"

    components: int = 30
    penalty: float = 1.0
    kernel: Kernel = "linear"
    seed: int = 0

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        wanted = quantities(labels)
        self.transform_ = TCA(self.components, self.penalty, self.kernel).fit(source, target)
        rows = self.transform_.transform(source, "source")
        self.regression_ = fit_linear(rows, wanted, "number", wanted.shape[1], seed=self.seed)

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        return self.regression_.logits(self.transform_.transform(rows, "target"))


def quantities(labels: np.ndarray | None) -> np.ndarray:
    """(N,) or (N, K) numbers -> (N, K) float64. Raises ShapeError where they are none."""
    try:
        wanted = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError):
        raise ShapeError("source_labels should be numbers, (items,) or (items, quantities).") from None
    if wanted.ndim not in (1, 2) or not np.isfinite(wanted).all():
        raise ShapeError(f"source_labels of shape {wanted.shape} should be finite, (items,) or (items, quantities).")
    return wanted.reshape(len(wanted), -1)
