"""The interface of a shallow adapter: an estimator that is told features of two domains, and labels of one.

    Adapter
    +-- Transform     moves the features of both domains to where they agree
    +-- Weighting     weights of the source's items, by which they stand for the target's
    +-- Predictor     answers for the target's items itself
    +-- Correction    mends predicted probabilities where the classes are not as frequent as they were

A leaf is a dataclass whose fields are its options, so that scikit-learn can copy and search it (`get_params`,
`set_params`); what it learns ends with an underscore. No `fit` takes a label of the target. What is given is checked
here, once: leaves are handed finite float64 rows, at least one a domain.

Letters: Ns, Nt items of source and target, D features, K classes or quantities.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self

import numpy as np

from headstart.core.errors import ConfigError, ShapeError, unknown_name

Domain = Literal["source", "target"]


class Adapter(ABC):
    """An estimator of two domains. Fitting again forgets what was learned before."""

    name: ClassVar[str]
    paper: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    """Whether the source's labels are indispensable."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Its options, as scikit-learn asks for them. deep: means nothing here, no option holds an estimator."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.init}  # type: ignore[arg-type]

    def set_params(self, **options: Any) -> Self:
        """Change options. Raises ConfigError for one it does not have."""
        known = self.get_params()
        for name, value in options.items():
            if name not in known:
                raise ConfigError(unknown_name(f"option of {self.name!r}:", name, known))
            setattr(self, name, value)
        return self


class _Pairwise(Adapter):
    """What is fitted to the features of both domains and, some of them, the labels of the source."""

    _width: int | None = None

    def fit(self, source: np.ndarray, target: np.ndarray, source_labels: np.ndarray | None = None) -> Self:
        """source: (Ns, D). target: (Nt, D). source_labels: (Ns,) classes of any kind, or what the leaf says.

        Raises ShapeError where they do not fit together or are not finite, ConfigError where labels are missing or an
        option has a value that cannot be.
        """
        source, target = rows_of("source", source), rows_of("target", target)
        if source.shape[1] != target.shape[1]:
            raise ShapeError(
                f"{source.shape[1]} source features and {target.shape[1]} target features. Give both domains the same."
            )
        if self.needs_labels and source_labels is None:
            raise ConfigError(f"{self.name!r} needs the source's labels: fit(source, target, source_labels).")
        labels = None if source_labels is None else np.asarray(source_labels)
        if labels is not None and len(labels) != len(source):
            raise ShapeError(f"{len(labels)} labels of {len(source)} source items. Give one each.")
        self._width = source.shape[1]
        self._fit(source, target, labels)
        return self

    @abstractmethod
    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        """Learn. source: (Ns, D), target: (Nt, D), float64 and finite. labels: as given, not None where needed."""

    def _like_fitted(self, rows: np.ndarray) -> np.ndarray:
        if self._width is None:
            raise ConfigError(f"{self.name!r} has learned nothing yet. Call fit first.")
        rows = rows_of("rows", rows, least=0)
        if rows.shape[1] != self._width:
            raise ShapeError(f"rows of {rows.shape[1]} features; {self.name!r} was fitted to {self._width}.")
        return rows


class Transform(_Pairwise):
    """Moves features of either domain, seen in `fit` or new, to where the domains agree."""

    def transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        """rows: (N, D) of `domain`. Returns (N, D') float64, D' the same for both domains."""
        if domain not in ("source", "target"):
            raise ConfigError(f"domain {domain!r}: expected 'source' or 'target'.")
        return self._transform(self._like_fitted(rows), domain)

    @abstractmethod
    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray: ...


class Weighting(_Pairwise):
    """Weights of the source's items, by which they stand for the target's.

    weights_: (Ns,), 0 or more, mean 1: the sample weights to learn with.
    """

    weights_: np.ndarray

    def effective_size(self) -> float:
        """(sum w)^2 / sum w^2 (Kish 1965): how many items with even weights would teach as surely. 1 .. Ns."""
        weights = self.weights_
        return float(weights.sum() ** 2 / (weights**2).sum())


class Predictor(_Pairwise):
    """Answers for the target's items itself, with no model beside it. It always needs the source's labels.

    classes_: (K,) in sorted order, where labels are classes; None where they are quantities.
    """

    needs_labels = True
    classes_: np.ndarray | None = None

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """rows: (N, D) of the target. Returns (N, K): probabilities of the classes, or quantities."""
        return self._scores(self._like_fitted(rows))

    @abstractmethod
    def _scores(self, rows: np.ndarray) -> np.ndarray: ...


class Correction(Adapter):
    """Mends predicted probabilities where classes look as they did but are not as frequent (label shift).

    source_priors_, priors_: (K,) share of each class in the source, and as estimated in the target; each sums to 1.
    """

    source_priors_: np.ndarray
    priors_: np.ndarray
    needs_labels = True

    def fit(
        self, source_probabilities: np.ndarray, source_labels: np.ndarray, target_probabilities: np.ndarray
    ) -> Self:
        """What one model says of both domains. source_probabilities: (Ns, K), of items it did not learn from.
        source_labels: (Ns,) class numbers 0 .. K - 1. target_probabilities: (Nt, K).

        A class that the source does not have keeps the share 0. Raises ShapeError where they do not fit together.
        """
        source = probabilities_of("source_probabilities", source_probabilities)
        target = probabilities_of("target_probabilities", target_probabilities)
        labels, classes = np.asarray(source_labels), source.shape[1]
        if target.shape[1] != classes:
            raise ShapeError(f"{classes} classes in the source and {target.shape[1]} in the target. Give the same.")
        numbered = labels.shape == (len(source),) and labels.dtype.kind in "iu"
        if not numbered or labels.min() < 0 or labels.max() >= classes:
            raise ShapeError(f"source_labels should be {len(source)} class numbers from 0 to {classes - 1}.")
        self.source_priors_ = np.bincount(labels, minlength=classes) / len(labels)
        self.priors_ = self._estimate(source, labels, target)
        return self

    def correct(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, K) of the target's items -> (N, K), each class times priors_ / source_priors_, rows summing to 1 (Saerens
        et al. 2002, eq. 2.4). A row that this leaves nothing of stays as it was."""
        if not hasattr(self, "priors_"):
            raise ConfigError(f"{self.name!r} has learned nothing yet. Call fit first.")
        given = probabilities_of("probabilities", probabilities, least=0)
        if given.shape[1] != len(self.priors_):
            raise ShapeError(f"probabilities of {given.shape[1]} classes; fitted to {len(self.priors_)}.")
        return reweighted(given, self.priors_, self.source_priors_)

    @abstractmethod
    def _estimate(self, source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The target's class shares (K,). source: (Ns, K). labels: (Ns,). target: (Nt, K). source_priors_ is set."""


def reweighted(probabilities: np.ndarray, priors: np.ndarray, source_priors: np.ndarray) -> np.ndarray:
    """(N, K) probabilities under other class shares. priors, source_priors: (K,)."""
    ratio = np.divide(priors, source_priors, out=np.zeros_like(priors), where=source_priors > 0)
    scaled = probabilities * ratio
    total = scaled.sum(axis=1, keepdims=True)
    kept: np.ndarray = np.where(total > 0, scaled / np.where(total > 0, total, 1), probabilities)
    return kept


def rows_of(name: str, given: np.ndarray, least: int = 1) -> np.ndarray:
    """(N, D) float64. Raises ShapeError where there are fewer than `least` rows, or a value is not finite."""
    rows = np.asarray(given, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < least or not rows.shape[1]:
        raise ShapeError(f"{name} of shape {rows.shape}: expected (items, features), at least {max(least, 1)} of each.")
    if not np.isfinite(rows).all():
        raise ShapeError(f"{name} should be finite; {np.count_nonzero(~np.isfinite(rows))} values are not.")
    return rows


def probabilities_of(name: str, given: np.ndarray, least: int = 1) -> np.ndarray:
    """(N, K) float64 whose rows sum to 1. Raises ShapeError where they do not."""
    rows = rows_of(name, given, least)
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, atol=1e-3):
        raise ShapeError(f"{name} should be 0 or more and sum to 1 in each row. Give probabilities, not logits.")
    return rows


def require_above(least: float, **options: float) -> None:
    """Raises ConfigError naming the first option that is not above `least`."""
    for name, value in options.items():
        if not value > least:
            raise ConfigError(f"{name}={value}: expected a number above {least:g}.")


def require_not_below(least: float, **options: float) -> None:
    """Raises ConfigError naming the first option that is below `least`."""
    for name, value in options.items():
        if not value >= least:
            raise ConfigError(f"{name}={value}: expected {least:g} or more.")
