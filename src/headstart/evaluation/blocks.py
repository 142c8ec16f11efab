"""Maps of attributions over other cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def blocks(map: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(h, w) sums -> (rows, columns) sums over the same area; a cell is spread evenly over those it lies in."""
    height, width = (np.linspace(0, 1, side + 1) for side in map.shape)
    return onto(map, (height, width), (np.linspace(0, 1, rows + 1), np.linspace(0, 1, columns + 1)))


def onto(map: np.ndarray, edges: tuple[np.ndarray, np.ndarray], cuts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(h, w) sums between edges (h + 1,), (w + 1,) -> sums between other cuts, all of them ascending. What lies beyond
    the cuts is lost; where the map does not reach there is nothing."""
    return _along(_along(map, edges[0], cuts[0]).T, edges[1], cuts[1]).T


def _along(map: np.ndarray, edges: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    total = np.concatenate([np.zeros((1, map.shape[1])), np.cumsum(map, axis=0, dtype=np.float64)])
    return np.diff(np.stack([np.interp(cuts, edges, column) for column in total.T], axis=1), axis=0)


def share(values: np.ndarray | Sequence[float]) -> np.ndarray:
    """Values -> -1..1, the largest of either sign at its end; all 0 where all are."""
    array = np.asarray(values, dtype=np.float64)
    largest = float(np.abs(array).max(initial=0))
    return array / largest if largest else array
