"""Metrics of one score against one yes-or-no target that depend on the order of the scores alone. Ties count right."""

from __future__ import annotations

import numpy as np

from headstart.metrics.ratios import share


def _by_threshold(scores: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts between and at the P distinct scores of positive items, lowest first.

    scores: (N,). positive: (N,) bool. counts: (N, R).
    Returns the positives at each threshold (P, R), and all items in 2P + 1 bins: even bins lie strictly between
    thresholds, odd bins hold what is tied with one.
    """
    thresholds = np.unique(scores[positive])
    bins = np.searchsorted(thresholds, scores, "left") + np.searchsorted(thresholds, scores, "right")
    order = np.argsort(bins, kind="stable")
    present, first = np.unique(bins[order], return_index=True)
    everything = np.zeros((2 * len(thresholds) + 1, counts.shape[1]))
    everything[present] = np.add.reduceat(counts[order], first, axis=0)
    of_positives = order[positive[order]]
    _, first = np.unique(bins[of_positives], return_index=True)
    return np.add.reduceat(counts[of_positives], first, axis=0).astype(np.float64), everything


def roc_auc(scores: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: how often a positive scores above a negative, a tie counting half.

    scores: (N,). positive: (N,) bool. counts: (N, R). Returns (R,); NaN where a resample lacks one of the two sides.
    """
    if not positive.any():
        return np.full(counts.shape[1], np.nan)
    hits, everything = _by_threshold(scores, positive, counts)
    misses = everything
    misses[1::2] -= hits
    below = np.cumsum(misses, axis=0)[0:-1:2] + 0.5 * misses[1::2]
    pairs = hits.sum(axis=0) * misses.sum(axis=0)
    return share((hits * below).sum(axis=0), pairs, empty=np.nan)


def average_precision(scores: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average precision: precision at each threshold, weighted by the recall gained there; no interpolation.

    scores: (N,). positive: (N,) bool. counts: (N, R). Returns (R,); NaN where a resample has no positive.
    """
    if not positive.any():
        return np.full(counts.shape[1], np.nan)
    hits, everything = _by_threshold(scores, positive, counts)
    found = np.cumsum(hits[::-1], axis=0)
    taken = np.cumsum(everything[::-1], axis=0)[0:-1:2] + everything[-2::-2]
    precision = share(found, taken)
    return share((hits[::-1] * precision).sum(axis=0), hits.sum(axis=0), empty=np.nan)
