"""Any adapter as a scikit-learn estimator: pipelines, copies, searches, and labels of the target that nobody reads."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.core.errors import ConfigError, MissingExtra, ShapeError
from headstart.methods.adaptation.shallow import ADAPTERS
from headstart.methods.adaptation.shallow.base import Adapter, Predictor, Transform, Weighting
from headstart.methods.adaptation.shallow.bbse import BBSE
from headstart.methods.adaptation.shallow.coral import Coral
from headstart.methods.adaptation.shallow.density_ratio import DensityRatio
from headstart.methods.adaptation.shallow.estimator import Adapted
from headstart.methods.adaptation.shallow.jda import JDA
from headstart.methods.adaptation.shallow.standardise import Standardise
from headstart.methods.adaptation.shallow.tcr import TCR
from headstart.testing.adapters import toy


class Poisoned:
    """A label of the target: whoever reads it is found out."""

    def _read(self, *_: object) -> NoReturn:
        raise AssertionError("a label of the target was read")

    __eq__ = __ne__ = __lt__ = __gt__ = __hash__ = __bool__ = __float__ = __int__ = __len__ = __str__ = _read
    __repr__ = __array__ = __iter__ = __index__ = _read


@pytest.fixture
def domains() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of both domains in a mixed order, labels, and above 0 where the source is."""
    source, target, labels = toy(60, 45)
    order = np.random.default_rng(0).permutation(105)
    y = np.concatenate([labels, np.arange(45) % 3])
    return np.concatenate([source, target])[order], y[order], np.repeat([1, -2], [60, 45])[order]


def adapted(name: str) -> Adapted:
    adapter: Adapter = ADAPTERS[name]()
    if isinstance(adapter, Predictor):
        return Adapted(adapter=adapter)
    return Adapted(LogisticRegression(), adapter)


@pytest.mark.parametrize("name", ADAPTERS)
def test_labels_of_the_target_are_never_read(name: str, domains: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rows, labels, domain = domains
    poisoned = [label if where > 0 else Poisoned() for label, where in zip(labels, domain, strict=True)]
    hidden = np.where(domain < 0, 99, labels)
    try:
        found = adapted(name).fit(rows, poisoned, domain).predict(rows[domain < 0])
        assert np.array_equal(found, adapted(name).fit(rows, hidden, domain).predict(rows[domain < 0]))
    except MissingExtra as error:
        pytest.skip(str(error))


def test_poison_is_noticed() -> None:
    with pytest.raises(AssertionError, match="a label of the target was read"):
        np.asarray([Poisoned(), Poisoned()])


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_clone_is_the_same_and_unfitted(name: str, domains: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rows, labels, domain = domains
    model = adapted(name)
    again = clone(model)
    assert again is not model
    assert again.adapter is not model.adapter
    assert again.adapter.get_params() == model.adapter.get_params()  # type: ignore[union-attr]
    try:
        found = again.fit(rows, labels, domain).predict(rows[:9], domain[:9])
    except MissingExtra as error:
        pytest.skip(str(error))
    assert found.shape == (9,)
    assert clone(again).__sklearn_is_fitted__() is False


def test_a_pipeline_learns_better_with_it(domains: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rows, labels, domain = domains
    target = domain < 0
    pipeline = make_pipeline(StandardScaler(), Adapted(LogisticRegression(), Standardise()))
    pipeline.fit(rows, labels, adapted__sample_domain=domain)
    alone = LogisticRegression().fit(rows[~target], labels[~target])
    assert (pipeline.predict(rows[target]) == labels[target]).mean() >= alone.score(rows[target], labels[target])
    probabilities = pipeline.predict_proba(rows[target])
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert pipeline.get_params()["adapted__adapter"].name == "standardise"
    pipeline.set_params(adapted__adapter=JDA(), adapted__adapter__components=2, adapted__estimator__C=0.1)
    pipeline.fit(rows, labels, adapted__sample_domain=domain)
    fitted = pipeline[-1]
    assert fitted.adapter_.axes_.shape[1] == 2
    assert fitted.estimator_.C == 0.1


def test_each_kind_is_what_one_would_write_by_hand(domains: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    rows, labels, domain = domains
    source, target, known = rows[domain > 0], rows[domain < 0], labels[domain > 0]

    moving = Adapted(LogisticRegression(), Coral()).fit(rows, labels, domain)
    transform: Transform = Coral().fit(source, target)
    learner = LogisticRegression().fit(transform.transform(source, "source"), known)
    assert np.array_equal(moving.predict_proba(target), learner.predict_proba(target))
    seen = moving.predict_proba(rows, domain)[domain > 0]
    assert np.array_equal(seen, learner.predict_proba(transform.transform(source, "source")))

    weighing = Adapted(LogisticRegression(), DensityRatio()).fit(rows, labels, domain)
    weights: Weighting = DensityRatio().fit(source, target)
    learner = LogisticRegression().fit(source, known, sample_weight=weights.weights_)
    assert np.array_equal(weighing.predict_proba(target), learner.predict_proba(target))

    mending = Adapted(LogisticRegression(), BBSE()).fit(rows, labels, domain)
    assert isinstance(mending.adapter_, BBSE)
    learner = LogisticRegression().fit(source, known)
    assert np.array_equal(mending.predict_proba(target), mending.adapter_.correct(learner.predict_proba(target)))
    assert np.array_equal(mending.predict_proba(source, np.ones(60)), learner.predict_proba(source))

    quantity = rows @ np.ones(4)
    answering = Adapted(adapter=TCR()).fit(rows, quantity, domain)
    assert answering.predict(target).shape == (45,)
    ridge = Adapted(Ridge(), Standardise()).fit(rows, quantity, domain)
    assert ridge.predict(target).shape == (45,)


@pytest.mark.parametrize(
    ("model", "domain", "error", "says"),
    [
        (Adapted(LogisticRegression(), Coral()), None, ConfigError, "above 0 source, below 0 target"),
        (Adapted(LogisticRegression(), Coral()), np.ones(105), ShapeError, "with both there"),
        (Adapted(LogisticRegression(), Coral()), np.ones(5), ShapeError, "a sample_domain of shape"),
        (Adapted(LogisticRegression()), np.ones(105), ConfigError, "wants an adapter"),
        (Adapted(None, Coral()), np.ones(105), ConfigError, "unless the adapter answers by itself"),
    ],
)
def test_what_is_missing_is_said(
    model: Adapted, domain: Any, error: type[Exception], says: str, domains: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    rows, labels, _ = domains
    with pytest.raises(error, match=says):
        model.fit(rows, labels, domain)
    with pytest.raises(ConfigError, match="unknown option 'depth'"):
        model.set_params(depth=3)
