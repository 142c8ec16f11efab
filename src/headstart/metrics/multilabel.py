"""Metrics of many labels an item. N items, K labels, R resamples; a label is called where its score is above 0.5."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headstart.metrics import curves
from headstart.metrics.calibration import expected_error, gaps
from headstart.metrics.classification import Tally
from headstart.metrics.ratios import mean_where, share
from headstart.metrics.resampling import Metrics, once

THRESHOLD = 0.5


def called(scores: np.ndarray) -> np.ndarray:
    """(N, K) bool: which labels are predicted."""
    return scores > THRESHOLD


def tally(targets: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> Tally:
    """targets: (N, K) zeros and ones. scores: (N, K). counts: (N, R). F1 of a label is over all items."""
    truth, said = (targets > 0.5).astype(np.float32), called(scores).astype(np.float32)
    return Tally(truth.T @ counts, said.T @ counts, (truth * said).T @ counts)


def metrics(
    targets: np.ndarray, scores: np.ndarray, counts: np.ndarray | None = None, only: str | None = None
) -> Metrics:
    """Every metric of multi-label classification (or `only` one, which is quicker), each (R,).

    targets: (N, K) zeros and ones. scores: (N, K) probabilities. counts: (N, R), None is the sample itself.
    F1 counts 0 for a label that is neither there nor called; ROC-AUC and mAP average over the labels that have them.
    """
    counts = once(len(targets)) if counts is None else counts
    truth, said = targets > 0.5, called(scores)
    total = counts.sum(axis=0, dtype=np.float64)

    def share_of(items: np.ndarray) -> np.ndarray:
        share_of_items: np.ndarray = items @ counts / total
        return share_of_items

    def over_labels(measure: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        values = np.stack([measure(scores[:, k], truth[:, k]) for k in range(scores.shape[1])])
        return mean_where(values, np.isfinite(values))

    measures: dict[str, Callable[[Tally], np.ndarray]] = {
        "subset_accuracy": lambda _: share_of((truth == said).all(axis=1)),
        "f1_macro": lambda cells: cells.f1.mean(axis=0),
        "f1_micro": lambda cells: share(
            2 * cells.right.sum(axis=0), cells.support.sum(axis=0) + cells.predicted.sum(axis=0)
        ),
        "precision_macro": lambda cells: cells.precision.mean(axis=0),
        "recall_macro": lambda cells: cells.recall.mean(axis=0),
        "roc_auc": lambda _: over_labels(lambda score, true: curves.roc_auc(score, true, counts)),
        "map": lambda _: over_labels(lambda score, true: curves.average_precision(score, true, counts)),
        "hamming": lambda _: share_of((truth != said).mean(axis=1)),
        "ece": lambda _: expected_error(gaps(*confidence(targets, scores)), counts),
    }
    cells = tally(targets, scores, counts)
    return {name: measures[name](cells) for name in ([only] if only else measures)}


def confidence(targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) confidence in what was said of each label (there or not), and whether that was right."""
    return np.maximum(scores, 1 - scores), called(scores) == (targets > 0.5)
