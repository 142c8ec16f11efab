"""What several adapters need: kernels and their width, axes of a domain, powers of a covariance, class numbers."""

from __future__ import annotations

import numpy as np

SAMPLED = 500
"""Items of which the median distance is taken, at most."""
RIDGE = 1e-3
"""Of the classifier that tells domains apart, as a share of the rows' whole variance."""
NULL = 1e-10
"""Eigenvalues below this share of the largest count as zero."""


def squared_distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, D), (M, D) -> (N, M) squared Euclidean distances."""
    centre = others.mean(axis=0)  # distances do not see it; what is subtracted below is smaller
    rows, others = rows - centre, others - centre
    squares: np.ndarray = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * rows @ others.T
    return squares.clip(min=0)


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """(N, D) -> (min(N, most), D): rows in lexicographic order, evenly spaced where there are more than `most`, so that
    the answer does not depend on the order in which items came."""
    rows = rows[np.lexsort(rows.T)]
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def median_width(rows: np.ndarray) -> float:
    """The median heuristic: the median distance between two different items. 1 where most are the same.

    Of very many items it looks at some.
    """
    rows = spread(rows, SAMPLED)
    above = squared_distances(rows, rows)[np.triu_indices(len(rows), 1)]
    width = float(np.sqrt(np.median(above))) if len(above) else 0.0
    return width if width > 1e-6 * max(1.0, float(np.abs(rows).max())) else 1.0


def gaussian(rows: np.ndarray, others: np.ndarray, width: float) -> np.ndarray:
    """(N, D), (M, D) -> (N, M) of exp(-d^2 / (2 width^2))."""
    kernel: np.ndarray = np.exp(squared_distances(rows, others) / (-2 * width**2))
    return kernel


def principal_axes(rows: np.ndarray, number: int) -> np.ndarray:
    """(N, D) -> (D, d) orthonormal, most variance first: `number` of them, or as many as there is variance in; one at
    the least."""
    _, sizes, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    real = int(np.count_nonzero(sizes > np.sqrt(NULL) * max(float(sizes[0]), np.finfo(float).tiny)))
    kept: np.ndarray = axes[: max(1, min(number, real))].T
    return kept


def covariances(source: np.ndarray, target: np.ndarray, ridge: float | None) -> tuple[np.ndarray, np.ndarray]:
    """(D, D) of each domain. ridge: as in `covariance`. A domain of one item is taken to vary as the other does."""
    found = covariance(source, ridge), covariance(target, ridge)
    if min(len(source), len(target)) == 1:
        return (found[0], found[0]) if len(target) == 1 else (found[1], found[1])
    return found


def covariance(rows: np.ndarray, ridge: float | None) -> np.ndarray:
    """(N, D) -> (D, D), plus `ridge` on the diagonal; None draws it to its mean variance, as far as its number of items
    asks for (Ledoit and Wolf 2004)."""
    number, width = rows.shape
    centred = rows - rows.mean(axis=0)
    if ridge is not None:
        plain: np.ndarray = centred.T @ centred / max(1, number - 1) + ridge * np.eye(width)
        return plain
    sample = centred.T @ centred / number
    even = np.trace(sample) / width * np.eye(width)
    apart = float(((sample - even) ** 2).sum())
    noise = float(((centred**2).sum(axis=1) ** 2).sum() / number - (sample**2).sum()) / number
    share = min(noise / apart, 1.0) if apart > 0 else 0.0
    shrunk: np.ndarray = share * even + (1 - share) * sample
    return shrunk


def power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix (D, D) with no negative eigenvalue; null directions stay null."""
    values, vectors = np.linalg.eigh(symmetric)
    real = values > NULL * max(float(values[-1]), np.finfo(float).tiny)
    powers = np.where(real, np.where(real, values, 1) ** exponent, 0)
    raised: np.ndarray = (vectors * powers) @ vectors.T
    return raised


def class_numbers(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) labels of any kind -> the classes (K,), sorted, and the number (N,) of each item's class."""
    classes, numbers = np.unique(labels, return_inverse=True)
    return classes, numbers.reshape(-1)


def nearest(rows: np.ndarray, others: np.ndarray, block: int = 1024) -> np.ndarray:
    """(N, D), (M, D) -> (N,) the number of the nearest of `others`, by Euclidean distance."""
    parts = [squared_distances(rows[i : i + block], others).argmin(axis=1) for i in range(0, len(rows), block)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=int)


def proxy_a_distance(source: np.ndarray, target: np.ndarray) -> float:
    """2 (1 - 2 error) of a linear classifier that tells the domains apart (Ben-David et al. 2007): 0 where
    it cannot, 2 where it always can.

    source: (Ns, D). target: (Nt, D). The classifier is a ridge regression of the domain, each domain counting half; the
    error is of items left out in turn, in closed form.
    """
    rows = np.concatenate([source, target])
    sides = np.repeat([1.0, -1.0], [len(source), len(target)])
    weights = np.repeat([0.5 / len(source), 0.5 / len(target)], [len(source), len(target)])
    centred = rows - weights @ rows
    u, s, _ = np.linalg.svd(centred * np.sqrt(weights)[:, None], full_matrices=False)
    shrunk = u * (s**2 / (s**2 + RIDGE * max(float((s**2).sum()), np.finfo(float).tiny)))
    hat = (shrunk * u).sum(axis=1) + weights  # the mean is fitted, too
    fitted = (shrunk @ (u.T @ (np.sqrt(weights) * sides))) / np.sqrt(weights)
    left_out = (fitted - hat * sides) / np.maximum(1 - hat, np.finfo(float).eps)
    wrong = np.where(left_out * sides > 0, 0.0, 1.0)
    return float(np.clip(2 * (1 - 2 * (weights @ wrong)), 0, 2))
