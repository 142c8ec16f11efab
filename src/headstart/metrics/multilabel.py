"""Metrics of many labels an item. N items, K labels, R resamples; a label is called where its score is above 0.5."""

from __future__ import annotations

import numpy as np

from headstart.metrics import curves
from headstart.metrics.calibration import expected_error
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


def metrics(targets: np.ndarray, scores: np.ndarray, counts: np.ndarray | None = None) -> Metrics:
    """Every metric of multi-label classification, each (R,).

    targets: (N, K) zeros and ones. scores: (N, K) probabilities. counts: (N, R), None is the sample itself.
    F1 counts 0 for a label that is neither there nor called; ROC-AUC and mAP average over the labels that have them.
    """
    counts = once(len(targets)) if counts is None else counts
    truth, said = targets > 0.5, called(scores)
    cells = tally(targets, scores, counts)
    total = counts.sum(axis=0, dtype=np.float64)
    everywhere = np.ones(cells.f1.shape, dtype=bool)
    labels = range(scores.shape[1])
    areas = np.stack([curves.roc_auc(scores[:, k], truth[:, k], counts) for k in labels])
    precisions = np.stack([curves.average_precision(scores[:, k], truth[:, k], counts) for k in labels])
    return {
        "subset_accuracy": ((truth == said).all(axis=1) @ counts) / total,
        "f1_macro": mean_where(cells.f1, everywhere),
        "f1_micro": share(2 * cells.right.sum(axis=0), (cells.support + cells.predicted).sum(axis=0)),
        "precision_macro": mean_where(cells.precision, everywhere),
        "recall_macro": mean_where(cells.recall, everywhere),
        "roc_auc": mean_where(areas, np.isfinite(areas)),
        "map": mean_where(precisions, np.isfinite(precisions)),
        "hamming": ((truth != said).mean(axis=1) @ counts) / total,
        "ece": mean_where(
            np.stack([expected_error(*confidence(scores[:, k], truth[:, k]), counts) for k in labels]), everywhere
        ),
    }


def confidence(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) confidence in what was said of one label (there or not), and whether that was right."""
    return np.maximum(scores, 1 - scores), (scores > THRESHOLD) == truth
