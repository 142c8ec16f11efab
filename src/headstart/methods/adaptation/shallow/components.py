"""Components on which two domains agree and items still differ: what TCA, JDA, BDA and TCR share.

Rows become F (N, R), their kernel with the items of `fit`, in units of its mean diagonal. Then
    min_A  tr A' (F'MF / |M| + penalty I) A   subject to   A' F'HF A diagonal,
with H the centring matrix and M the sum of w c c' over contrasts c (N,), whose F'c is a difference between two means:
of the domains, or of one class in both. |M| is the Frobenius norm. The solution is the leading eigenvectors of F'HF
against the rest. Each has length 1, which the published results rest on: with A'F'HFA = I, as the papers write, the
components of least variance would count as much in a distance as the first. M has a row an item and is never formed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.methods.adaptation.shallow.shared import NULL, class_numbers, gaussian, median_width, nearest, spread

Kernel = Literal["linear", "gaussian"]

LANDMARKS = 1000
"""Items that the Gaussian kernel is taken with, at most: evenly spaced in lexicographic order where there are more."""

Contrasts = Sequence[tuple[float, np.ndarray]]
"""(weight, (N,) contrast) pairs; a contrast sums to 1 over the source's items and to -1 over the target's."""
Balance = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]
"""(components (Ns, d) of the source, (Nt, d) of the target, classes (Ns,), guesses (Nt,)) -> 0 .. 1."""


@dataclass(frozen=True)
class LinearFeatures:
    """The linear kernel of rows less `centre` (D,) with all items of `fit`, on the kernel's own axes: those items are
    X = V S U', and a row x becomes x X'V = x U S, here `axes` (D, R)."""

    centre: np.ndarray
    axes: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = (rows - self.centre) @ self.axes
        return found


@dataclass(frozen=True)
class GaussianFeatures:
    """The Gaussian kernel with `landmarks` (R, D)."""

    landmarks: np.ndarray
    width: float

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return gaussian(rows, self.landmarks, self.width)


def features(rows: np.ndarray, kernel: Kernel) -> LinearFeatures | GaussianFeatures:
    """The features of a kernel on these rows (N, D). The width is the median distance."""
    if kernel == "gaussian":
        return GaussianFeatures(spread(rows, LANDMARKS), median_width(rows))
    centre = rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(rows - centre, full_matrices=False)
    diagonal = float((sizes**2).mean() * len(sizes) / len(rows)) or 1.0
    return LinearFeatures(centre, axes.T * sizes / diagonal)


def contrast(in_source: np.ndarray, in_target: np.ndarray) -> np.ndarray:
    """(Ns,) and (Nt,) weights of items -> (Ns + Nt,): the mean of the ones less that of the others."""
    return np.concatenate([in_source / in_source.sum(), in_target / -in_target.sum(dtype=float)])


def components(rows: np.ndarray, contrasts: Contrasts, number: int, penalty: float) -> np.ndarray:
    """rows: (N, R) features. Returns A (R, d), d <= number, the component on which items differ most first."""
    return _solve(rows, _scatter(rows), contrasts, number, penalty)


def _scatter(rows: np.ndarray) -> np.ndarray:
    """(N, R) -> F'HF (R, R)."""
    centred = rows - rows.mean(axis=0)
    scatter: np.ndarray = centred.T @ centred
    return scatter


def _solve(rows: np.ndarray, scatter: np.ndarray, contrasts: Contrasts, number: int, penalty: float) -> np.ndarray:
    vectors = np.stack([vector for _, vector in contrasts], axis=1)
    weights = np.array([weight for weight, _ in contrasts])
    norm = float(np.sqrt(weights @ (vectors.T @ vectors) ** 2 @ weights))
    pulls = rows.T @ vectors * np.sqrt(weights / norm)
    rest = np.linalg.cholesky(pulls @ pulls.T + penalty * np.eye(len(scatter)))
    half = np.linalg.solve(rest, scatter)
    values, directions = np.linalg.eigh(np.linalg.solve(rest, half.T))
    real = int(np.count_nonzero(values > NULL * max(float(values[-1]), np.finfo(float).tiny)))
    kept = np.arange(len(values))[::-1][: max(1, min(number, real))]
    solution: np.ndarray = np.linalg.solve(rest.T, directions[:, kept])
    solution = solution / np.linalg.norm(solution, axis=0)
    return solution


def guessing_components(
    rows: np.ndarray, labels: np.ndarray, balance: Balance, number: int, penalty: float, rounds: int
) -> np.ndarray:
    """Components whose contrasts are of the domains and, by guessed labels, of each class in both.

    rows: (Ns + Nt, R) features, the source's first. labels: (Ns,). balance: the weight of the classes' contrasts, the
    domains' has the rest. The target's classes are guessed by the nearest source item on the components of the round
    before, at unit length; the first round knows none. It ends after `rounds`, or where the guesses stay.
    """
    _, classes = class_numbers(labels)
    split = len(classes)
    means = contrast(np.ones(split), np.ones(len(rows) - split))
    scatter = _scatter(rows)
    axes = _solve(rows, scatter, [(1.0, means)], number, penalty)
    before = np.zeros(0, dtype=int)
    for _ in range(rounds):
        source, target = np.split(unit_rows(rows @ axes), [split])
        guesses = classes[nearest(target, source)]
        if np.array_equal(guesses, before):
            break
        share = balance(source, target, classes, guesses)
        of_classes = [(share, contrast(classes == c, guesses == c)) for c in np.intersect1d(classes, guesses)]
        axes = _solve(rows, scatter, [(1 - share, means), *of_classes], number, penalty)
        before = guesses
    return axes


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """(N, d) -> each row at length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
