"""Metrics of one label an item. N items, K classes, R resamples; see `headstart.metrics` for `counts`.

Averages follow scikit-learn where a class is missing: precision, recall and F1 average over the classes that occur
among targets or predictions, an undefined one counting 0; balanced accuracy over the classes among targets; ROC-AUC
over the classes that have both items in and items out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headstart.metrics import curves
from headstart.metrics.calibration import expected_error, gaps
from headstart.metrics.ratios import mean_where, share
from headstart.metrics.resampling import Metrics, once


@dataclass(frozen=True)
class Tally:
    """Per class and resample, each (K, R): items of the class, items called so, and both."""

    support: np.ndarray
    predicted: np.ndarray
    right: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """(K, R) bool: the class occurs among targets or predictions."""
        return np.logical_or(self.support > 0, self.predicted > 0)

    @property
    def precision(self) -> np.ndarray:
        return share(self.right, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        return share(self.right, self.support)

    @property
    def f1(self) -> np.ndarray:
        return share(2 * self.right, self.support + self.predicted)


def tally(targets: np.ndarray, predicted: np.ndarray, classes: int, counts: np.ndarray) -> Tally:
    """targets, predicted: (N,) class indices. counts: (N, R)."""
    each = np.arange(classes)[:, None]
    is_target = (targets == each).astype(np.float32)
    is_predicted = (predicted == each).astype(np.float32)
    return Tally(is_target @ counts, is_predicted @ counts, (is_target * is_predicted) @ counts)


def metrics(
    targets: np.ndarray, scores: np.ndarray, counts: np.ndarray | None = None, only: str | None = None
) -> Metrics:
    """Every metric of single-label classification (or `only` one, which is quicker), each (R,).

    targets: (N,) class indices. scores: (N, K) probabilities. counts: (N, R), None is the sample itself.
    """
    counts = once(len(targets)) if counts is None else counts
    predicted = scores.argmax(axis=1)
    right = predicted == targets
    total = counts.sum(axis=0, dtype=np.float64)
    measures: dict[str, Callable[[Tally], np.ndarray]] = {
        "accuracy": lambda _: right.astype(np.float32) @ counts / total,
        "balanced_accuracy": lambda cells: mean_where(cells.recall, cells.support > 0),
        "precision_macro": lambda cells: mean_where(cells.precision, cells.present),
        "recall_macro": lambda cells: mean_where(cells.recall, cells.present),
        "f1_macro": lambda cells: mean_where(cells.f1, cells.present),
        "f1_micro": lambda _: right.astype(np.float32) @ counts / total,
        "roc_auc": lambda _: roc_auc(targets, scores, counts),
        "log_loss": lambda _: surprise(targets, scores) @ counts / total,
        "ece": lambda _: expected_error(gaps(scores.max(axis=1), right), counts),
    }
    cells = tally(targets, predicted, scores.shape[1], counts)
    return {name: measures[name](cells) for name in ([only] if only else measures)}


def roc_auc(targets: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R,) one-vs-rest area under the ROC curve, averaged over the classes that have it; of two classes, the second's.

    NaN where no class has items both in and out.
    """
    classes = scores.shape[1]
    watched = [1] if classes == 2 else range(classes)
    areas = np.stack([curves.roc_auc(scores[:, k], targets == k, counts) for k in watched])
    return mean_where(areas, np.isfinite(areas))


def surprise(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(N,) negative log of the probability given to the right class, probabilities kept off 0 by the float epsilon."""
    right = scores[np.arange(len(targets)), targets].astype(np.float64)
    loss: np.ndarray = -np.log(np.clip(right, np.finfo(np.float64).eps, 1.0))
    return loss


def confusion(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """(K, K) int64: rows are the true class, columns the predicted one."""
    cells = np.bincount(targets * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)
