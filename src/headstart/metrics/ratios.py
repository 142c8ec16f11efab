"""Division and averages that say what happens where there is nothing to divide by."""

from __future__ import annotations

import numpy as np


def share(part: np.ndarray, whole: np.ndarray, *, empty: float = 0.0) -> np.ndarray:
    """part / whole in float64, `empty` where the whole is 0."""
    result = np.full(part.shape, empty)
    np.divide(part, whole, out=result, where=whole > 0, dtype=np.float64)
    return result


def mean_where(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(K, R) -> (R,): mean over the rows that `where` (K, R) allows; NaN where it allows none."""
    return share(np.where(where, values, 0.0).sum(axis=0), where.sum(axis=0), empty=np.nan)
