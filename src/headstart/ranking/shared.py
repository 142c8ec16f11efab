"""What several scores need: classes as numbers, features as float64, the share of the variance that is explained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headstart.core.errors import ShapeError
from headstart.core.scorer import Evidence, Score

ENOUGH, MOST = 600, 3
"""Held-out judgements that cross-validation makes of few items, by dividing them anew; divisions at most."""

ClassScore = Callable[[np.ndarray, np.ndarray], float]
"""((N, D) float64 features, (N,) classes) -> a score."""


def score_classes(evidence: Evidence, formula: ClassScore) -> Score:
    """A score that is defined for one class an item, and for nothing else."""
    if evidence.kind != "single":
        return Score.undefined("defined for one class an item only")
    return Score(formula(features_of(evidence), classes_of(evidence)))


def score_predictions(evidence: Evidence, formula: ClassScore) -> Score:
    """The same for what the source's own head says of the items, in place of features."""
    if evidence.kind != "single":
        return Score.undefined("defined for one class an item only")
    given = evidence.source_probabilities
    if given is None:
        return Score.undefined("the source has no head of its own")
    rows = _matrix("probabilities", given, len(evidence.labels))
    if not (rows >= 0).all() or not (rows.sum(axis=1) > 0).all():
        raise ShapeError("rows of source_probabilities should be 0 or more, and not all 0. Give probabilities.")
    return Score(formula(rows, classes_of(evidence)))


def features_of(evidence: Evidence) -> np.ndarray:
    """(N, D) float64. Raises ShapeError where there are no items, or a value is not finite."""
    return _matrix("features", evidence.features, len(evidence.labels))


def classes_of(evidence: Evidence) -> np.ndarray:
    """(N,) 0 .. C - 1 in order of appearance: values of any kind, with gaps or not, give the same numbers."""
    if np.ndim(evidence.labels) != 1:
        raise ShapeError(f"labels of shape {np.shape(evidence.labels)}: expected (N,), one class an item.")
    labels = np.asarray(evidence.labels).tolist()
    number = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.array([number[label] for label in labels])


def columns_of(evidence: Evidence) -> np.ndarray:
    """(N, K) float64: a column of zeros and ones a class or label, a column a quantity."""
    if evidence.kind == "single":
        classes = classes_of(evidence)
        one_hot: np.ndarray = np.eye(classes.max() + 1)[classes]
        return one_hot
    return _matrix("labels", evidence.labels, len(evidence.features))


def divisions(evidence: Evidence) -> list[int]:
    """Seeds of the divisions into folds. With few items a single one would be half of the noise between sources."""
    return [evidence.seed + i for i in range(max(1, min(MOST, ENOUGH // max(1, len(evidence.labels)))))]


def standardised(columns: np.ndarray) -> np.ndarray | None:
    """(N, K) -> the columns that vary, less their mean and in units of their deviation; None where none does."""
    centred = columns - columns.mean(axis=0)
    scale = centred.std(axis=0)
    varies = scale > 1e-12 * np.maximum(1, np.abs(columns).max(axis=0))
    return centred[:, varies] / scale[varies] if varies.any() else None


def _matrix(name: str, given: np.ndarray, rows: int) -> np.ndarray:
    matrix = np.asarray(given, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) != rows or not rows:
        raise ShapeError(f"{name} of shape {matrix.shape} do not fit {rows} items; expected ({rows}, ...), at least 1.")
    if not np.isfinite(matrix).all():
        raise ShapeError(f"{name} should be finite; {np.count_nonzero(~np.isfinite(matrix))} values are not.")
    return matrix
