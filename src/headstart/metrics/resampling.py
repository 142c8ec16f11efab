"""Resamples of a test set as counts (N, R): how often each item is in each resample."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

Metrics = dict[str, np.ndarray]
"""Metric name -> (R,), one value a resample; NaN where it is undefined."""

Statistic = Callable[[np.ndarray], Metrics]
"""(N, R) counts -> metrics."""

_CHUNK = 2_000_000  # counts held at once: 8 MB, so that a chunk stays near the processor


def once(items: int) -> np.ndarray:
    """(N, 1) ones: every item once, i.e. the sample itself."""
    return np.ones((items, 1), dtype=np.float32)


def units_of(items: int, groups: np.ndarray | None) -> tuple[np.ndarray, int]:
    """What is drawn: (N,) index of each item's unit, and how many units. Items themselves, or their groups."""
    if groups is None:
        return np.arange(items), items
    names, units = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    return units, len(names)


def bootstrap_counts(units: np.ndarray, number: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Chunks (N, r) of counts, `resamples` columns in all, drawing whole units with replacement.

    units: (N,) as from `units_of`. The draws do not depend on how they are cut into chunks.
    """
    size = max(1, _CHUNK // max(1, len(units)))
    for start in range(0, resamples, size):
        columns = min(size, resamples - start)
        drawn = rng.integers(0, number, size=(columns, number))
        flat = drawn + np.arange(columns)[:, None] * number
        counts = np.bincount(flat.ravel(), minlength=columns * number).reshape(columns, number)
        yield np.ascontiguousarray(counts.T[units], dtype=np.float32)


def jackknife_counts(units: np.ndarray, number: int, blocks: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Chunks (N, r) of counts, each column leaving out one of `blocks` random blocks of units."""
    block = rng.permutation(np.arange(number) % blocks)[units]
    size = max(1, _CHUNK // max(1, len(units)))
    for start in range(0, blocks, size):
        columns = np.arange(start, min(start + size, blocks))
        yield (block[:, None] != columns).astype(np.float32)


def collect(statistic: Statistic, chunks: Iterator[np.ndarray]) -> Metrics:
    """The statistic of every chunk, joined: name -> (R,)."""
    parts = [statistic(counts) for counts in chunks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
