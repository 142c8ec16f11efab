"""Metrics of numbers. N items, K quantities, R resamples; each metric is the plain mean over the quantities."""

from __future__ import annotations

import numpy as np

from headstart.metrics.ratios import share
from headstart.metrics.resampling import Metrics, once


def metrics(
    targets: np.ndarray, scores: np.ndarray, counts: np.ndarray | None = None, only: str | None = None
) -> Metrics:
    """mse, mae, rmse and r2 (or `only` one of them), each (R,).

    targets, scores: (N, K) in the user's units. counts: (N, R), None is the sample itself.
    r2 is NaN where a quantity does not vary: there is nothing to explain.
    """
    each = per_output(targets, scores, once(len(targets)) if counts is None else counts)
    return {name: values.mean(axis=0) for name, values in each.items() if only in (None, name)}


def per_output(targets: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> Metrics:
    """The same per quantity, each (K, R)."""
    total = counts.sum(axis=0, dtype=np.float64)
    centred = targets - targets.mean(axis=0)  # the variance of a shifted value is the same, and exact
    error = scores - targets
    mse = (error**2).T @ counts / total
    spread = (centred**2).T @ counts / total - (centred.T @ counts / total) ** 2
    rounding = 1e-12 * (centred**2 + 1e-12 * targets**2).max(axis=0, initial=0.0)[:, None]
    return {
        "mse": mse,
        "mae": np.abs(error).T @ counts / total,
        "rmse": np.sqrt(mse),
        "r2": 1 - share(mse, np.where(spread > rounding, spread, 0.0), empty=np.nan),
    }
