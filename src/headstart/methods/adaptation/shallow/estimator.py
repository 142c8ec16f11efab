"""A scikit-learn estimator made of any adapter: it learns labels in one domain and answers in the other.

    model = make_pipeline(StandardScaler(), Adapted(LogisticRegression(), Coral()))
    model.fit(X, y, adapted__sample_domain=domain)      # domain: above 0 source, below 0 target
    model.predict(X_target)

It needs nothing of scikit-learn itself; any estimator with `fit` and `predict` will do.
"""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from headstart.core.errors import ConfigError, ShapeError
from headstart.methods.adaptation.shallow.base import (
    Adapter,
    Correction,
    Domain,
    Predictor,
    Transform,
    Weighting,
    rows_of,
)
from headstart.nn.linear import assign_folds

FOLDS = 5


class Adapted:
    """Learn from the source's labels for the target, by `estimator` with the help of `adapter`.

    A Transform moves what the estimator sees, a Weighting gives its `fit` a sample_weight, a Correction mends its
    `predict_proba` (after cross-validation on the source, from which it learns the confusions), and a Predictor answers
    by itself, so that estimator is None. Labels of the target in `y` are never looked at: they may be anything. The
    options of both are reached as `estimator__C`, `adapter__components`.
    """

    def __init__(self, estimator: Any = None, adapter: Adapter | None = None) -> None:
        self.estimator = estimator
        self.adapter = adapter

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        own = {"estimator": self.estimator, "adapter": self.adapter}
        inner = {
            f"{name}__{key}": value
            for name, part in own.items()
            if deep and part is not None
            for key, value in part.get_params().items()
        }
        return {**own, **inner}

    def set_params(self, **options: Any) -> Self:
        """Raises ConfigError for an option that neither has."""
        for name in sorted(options, key=lambda name: "__" in name):  # a new part before its options
            part, _, key = name.partition("__")
            if part not in ("estimator", "adapter"):
                raise ConfigError(f"unknown option {name!r}. Known: {', '.join(self.get_params())}.")
            if key:
                getattr(self, part).set_params(**{key: options[name]})
            else:
                setattr(self, part, options[name])
        return self

    def fit(self, X: Any, y: Any, sample_domain: Any = None) -> Self:
        """X: (N, D) of both domains. y: (N,), read where the source is. sample_domain: (N,) numbers, above 0 the source
        and below 0 the target, as in skada.

        Raises ConfigError where a part is missing, ShapeError where a domain is, or lengths differ.
        """
        if self.adapter is None or (self.estimator is None) != isinstance(self.adapter, Predictor):
            raise ConfigError("Adapted wants an adapter, and an estimator unless the adapter answers by itself.")
        source, target, labels = _divided(X, y, sample_domain)
        self.adapter_ = copy.deepcopy(self.adapter)
        self.estimator_ = copy.deepcopy(self.estimator)
        if isinstance(self.adapter_, Transform):
            self.adapter_.fit(source, target, labels)
            self.estimator_.fit(self.adapter_.transform(source, "source"), labels)
        elif isinstance(self.adapter_, Weighting):
            self.adapter_.fit(source, target, labels)
            self.estimator_.fit(source, labels, sample_weight=self.adapter_.weights_)
        elif isinstance(self.adapter_, Correction):
            self.estimator_.fit(source, labels)
            held_out = self._held_out(source, labels)
            numbers = np.searchsorted(self.estimator_.classes_, labels)
            self.adapter_.fit(held_out, numbers, self.estimator_.predict_proba(target))
        elif isinstance(self.adapter_, Predictor):
            self.adapter_.fit(source, target, labels)
        learner = self.adapter_ if isinstance(self.adapter_, Predictor) else self.estimator_
        self.classes_: np.ndarray | None = getattr(learner, "classes_", None)
        return self

    def predict(self, X: Any, sample_domain: Any = None) -> np.ndarray:
        """(N,) labels, or (N,) or (N, K) quantities. sample_domain: as in `fit`; None takes all for the target's."""
        if self.classes_ is not None and isinstance(self.adapter_, Predictor | Correction):
            found: np.ndarray = self.classes_[self.predict_proba(X, sample_domain).argmax(axis=1)]
            return found
        if isinstance(self.adapter_, Predictor):
            said = self.adapter_.scores(X)
            return said[:, 0] if said.shape[1] == 1 else said
        return np.asarray(self.estimator_.predict(self._seen(X, sample_domain)))

    def predict_proba(self, X: Any, sample_domain: Any = None) -> np.ndarray:
        """(N, K) in the order of `classes_`. The source's items are not corrected."""
        if isinstance(self.adapter_, Predictor):
            return self.adapter_.scores(X)
        rows = self._seen(X, sample_domain)
        said = np.asarray(self.estimator_.predict_proba(rows))
        if isinstance(self.adapter_, Correction):
            at_target = _is_target(sample_domain, len(rows))
            said[at_target] = self.adapter_.correct(said[at_target])
        return said

    def _seen(self, X: Any, sample_domain: Any) -> np.ndarray:
        """What the estimator is shown of rows (N, D)."""
        rows = rows_of("X", X, least=0)
        if not isinstance(self.adapter_, Transform):
            return rows
        at_target = _is_target(sample_domain, len(rows))
        domains: dict[Domain, np.ndarray] = {"source": ~at_target, "target": at_target}
        moved = {name: self.adapter_.transform(rows[which], name) for name, which in domains.items()}
        seen = np.empty((len(rows), moved["target"].shape[1]))
        for name, which in domains.items():
            seen[which] = moved[name]
        return seen

    def _held_out(self, source: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(Ns, K) probabilities of source items by estimators that did not learn from them."""
        classes = self.estimator_.classes_
        fold = assign_folds(np.searchsorted(classes, labels), None, FOLDS, seed=0)
        said = np.zeros((len(source), len(classes)))
        for number in range(fold.max() + 1):
            held = fold == number
            learner = copy.deepcopy(self.estimator).fit(source[~held], labels[~held])
            columns = np.searchsorted(classes, learner.classes_)
            said[np.ix_(held, columns)] = learner.predict_proba(source[held])
        return said

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "adapter_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks an estimator's kind by: that of the one inside."""
        from sklearn.base import BaseEstimator
        from sklearn.utils import get_tags

        return get_tags(BaseEstimator() if self.estimator is None else self.estimator)


def _divided(X: Any, y: Any, sample_domain: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the source, of the target, and labels of the source. No label of the target is touched."""
    rows = rows_of("X", X)
    if sample_domain is None:
        raise ConfigError("Adapted needs sample_domain: one number an item, above 0 source, below 0 target.")
    domain = np.asarray(sample_domain)
    if domain.shape != (len(rows),) or len(y) != len(rows):
        raise ShapeError(f"{len(rows)} rows, {len(y)} labels and a sample_domain of shape {domain.shape}.")
    if not (domain > 0).any() or not (domain < 0).any() or (domain == 0).any():
        raise ShapeError("sample_domain should be above 0 for the source and below 0 for the target, with both there.")
    given = y if isinstance(y, list) else np.asarray(y)  # numpy would look into each element of a list
    labels = np.array([given[i] for i in np.flatnonzero(domain > 0)])
    return rows[domain > 0], rows[domain < 0], labels


def _is_target(sample_domain: Any, number: int) -> np.ndarray:
    """(N,) bool."""
    if sample_domain is None:
        return np.ones(number, dtype=bool)
    domain = np.asarray(sample_domain)
    if domain.shape != (number,):
        raise ShapeError(f"{number} rows and a sample_domain of shape {domain.shape}.")
    found: np.ndarray = domain < 0
    return found
