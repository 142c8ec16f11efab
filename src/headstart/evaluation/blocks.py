"""Maps of attributions on coarser grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def blocks(map: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(h, w) sums -> (rows, columns) sums over the same area; a cell is spread evenly over those it lies in."""
    return _along(_along(map, rows).T, columns).T


def _along(map: np.ndarray, count: int) -> np.ndarray:
    """(h, w) -> (count, w): what lies between evenly spaced cuts."""
    total = np.concatenate([np.zeros((1, map.shape[1])), np.cumsum(map, axis=0, dtype=np.float64)])
    cuts, places = np.linspace(0, len(map), count + 1), np.arange(len(map) + 1)
    return np.diff(np.stack([np.interp(cuts, places, column) for column in total.T], axis=1), axis=0)


def share(values: np.ndarray | Sequence[float]) -> np.ndarray:
    """Values -> -1..1, the largest of either sign at its end; all 0 where all are."""
    array = np.asarray(values, dtype=np.float64)
    largest = float(np.abs(array).max(initial=0))
    return array / largest if largest else array
