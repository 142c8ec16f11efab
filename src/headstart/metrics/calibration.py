"""Do probabilities mean what they say: temperature scaling, the reliability curve and its error (Guo et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.metrics.ratios import share

BINS = 15
"""Equal-width bins of confidence, as in Guo et al. 2017."""

TEMPERATURES = (0.05, 20.0)
"""Where a temperature is looked for."""


@dataclass(frozen=True)
class Bin:
    """Decisions whose confidence is in (low, high]: how many, how sure on average, how often right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Index of the bin (i / bins, (i + 1) / bins] that holds each confidence; 0 falls in the first."""
    edges = np.linspace(0, 1, bins + 1)
    index: np.ndarray = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    return index


def gaps(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> np.ndarray:
    """(N, bins): what each item adds to the gap between rightness and confidence in each bin.

    confidence: (N,) or, for several decisions an item, (N, M), in 0..1. right: the same shape, bool.
    """
    confidence, right = (a.reshape(len(a), -1).astype(np.float64) for a in (confidence, right))
    items, decisions = confidence.shape
    cell = np.arange(items)[:, None] * bins + _bin_of(confidence, bins)
    added = np.bincount(cell.ravel(), weights=(right - confidence).ravel() / decisions, minlength=items * bins)
    return added.reshape(items, bins)


def expected_error(gap: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R,) expected calibration error: the mean over decisions of |accuracy - confidence| of their bin.

    gap: (N, bins) as from `gaps`. counts: (N, R).
    """
    error: np.ndarray = np.abs(gap.T @ counts).sum(axis=0) / counts.sum(axis=0, dtype=np.float64)
    return error


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> tuple[Bin, ...]:
    """The bins that hold any decision, lowest first. confidence: in 0..1, any shape. right: the same shape, bool."""
    confidence, right = confidence.ravel(), right.ravel()
    index = _bin_of(confidence, bins)
    number = np.bincount(index, minlength=bins)
    sure = share(np.bincount(index, weights=confidence, minlength=bins), number)
    correct = share(np.bincount(index, weights=right.astype(np.float64), minlength=bins), number)
    return tuple(
        Bin(i / bins, (i + 1) / bins, int(number[i]), float(sure[i]), float(correct[i])) for i in np.flatnonzero(number)
    )


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature T that minimises the negative log likelihood of `logits / T` (Guo et al. 2017, sec. 4.2).

    logits: (N, K) of validation items. targets: (N,) class indices (softmax), or (N, K) zeros and ones (sigmoid).
    The likelihood is convex in 1 / T, so bisection on its slope finds the one minimum, within 0.05..20.
    Returns 1.0 where validation items cannot tell: there is none, or dividing by ever less would always look better.
    """
    if targets.ndim == 2:  # a sigmoid is a softmax over (z, 0)
        logits, targets = np.stack([0 * logits.ravel(), logits.ravel()], axis=1), (targets.ravel() > 0.5).astype(int)
    if not len(targets):
        return 1.0
    logits = logits.astype(np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    of_target = logits[np.arange(len(targets)), targets]
    if of_target.min() == 0:
        return 1.0

    def slope(inverse: float) -> float:
        """Derivative of the mean negative log likelihood by 1 / T."""
        weight = np.exp(inverse * logits)
        expected = (weight * logits).sum(axis=1) / weight.sum(axis=1)
        return float((expected - of_target).mean())

    low, high = np.log(1 / TEMPERATURES[1]), np.log(1 / TEMPERATURES[0])
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(np.exp(middle)) > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))
