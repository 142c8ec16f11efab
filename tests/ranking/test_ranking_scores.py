"""Every score: published numbers, indifference to the names of labels, a defined answer where others fail."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from headstart.core.errors import ConfigError, ShapeError
from headstart.core.scorer import Evidence, Score
from headstart.ranking import SCORERS
from headstart.sources import PACKS

CLOSED = ("hscore", "hscore-regularised", "leep", "logme", "nce", "transrate")
HELD_OUT = ("knn", "probe")
LOADERS: dict[str, Callable[..., Any]] = {
    "iris": load_iris,
    "wine": load_wine,
    "digits": load_digits,
    "breast_cancer": load_breast_cancer,
}
# As the authors' own code answers; LEEP and NCE take softmax of the first four columns for the source's head.
PUBLISHED = {
    "logme": (-0.160060, -0.004461, 0.270277, -0.185024),
    "hscore": (1.19189883, 1.70582080, 5.91790934, 0.77432465),
    "hscore-regularised": (1.17784250, 0.76609757, 5.85143300, 0.57705760),
    "transrate": (0.58940541, 2.65566926, 50.27931226, 2.68697696),
    "leep": (-0.98556960, -1.03122651, -2.22188649, -0.66031635),
    "nce": (-1.09861229, -1.05874997, -2.22653437, -0.66031635),
}


def score(name: str, evidence: Evidence) -> Score:
    return SCORERS[name]().score(evidence)


def number(name: str, evidence: Evidence) -> float:
    value = score(name, evidence).value
    assert value is not None
    return value


def toy(items: int = 40, width: int = 6, classes: int = 3, seed: int = 0, apart: float = 1.0) -> Evidence:
    """Noise around a centre a class, and a source that has a vague idea of them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(items) % classes
    features = apart * rng.normal(size=(classes, width))[labels] + rng.normal(size=(items, width))
    scores = rng.normal(size=(items, 5)) + 2 * np.eye(5)[labels % 5]
    head = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return Evidence(features, labels, source_probabilities=head, card=PACKS["efficientnet-lite0"].card)


# -- right ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", LOADERS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_numbers(name: str, data: str) -> None:
    features, labels = LOADERS[data](return_X_y=True)
    scores = np.exp(features[:, :4] - features[:, :4].max(axis=1, keepdims=True))
    evidence = Evidence(features, labels, source_probabilities=scores / scores.sum(axis=1, keepdims=True))
    expected = PUBLISHED[name][list(LOADERS).index(data)]
    assert number(name, evidence) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("items", "width"), [(60, 5), (20, 50)])
def test_logme_is_the_best_marginal_likelihood(items: int, width: int) -> None:
    evidence = toy(items, width, classes=2)
    features, y = evidence.features, (evidence.labels == 0).astype(float)

    def negative(logs: np.ndarray) -> float:
        alpha, beta = np.exp(logs)
        covariance = np.eye(items) / beta + features @ features.T / alpha
        _, log_det = np.linalg.slogdet(covariance)
        return float(y @ np.linalg.solve(covariance, y) + log_det + items * np.log(2 * np.pi)) / (2 * items)

    best = -minimize(negative, np.zeros(2), method="Nelder-Mead").fun
    assert number("logme", replace(evidence, labels=y[:, None], kind="number")) == pytest.approx(best, abs=2e-3)


def test_the_h_score_by_its_definition() -> None:
    evidence = toy(50, 4)
    means = np.array([evidence.features[evidence.labels == label].mean(axis=0) for label in evidence.labels])
    expected = np.trace(np.linalg.inv(np.cov(evidence.features.T)) @ np.cov(means.T))
    assert number("hscore", evidence) == pytest.approx(expected)
    assert number("hscore", toy(12, 30, classes=3)) == pytest.approx(2), "fewer items than dimensions: C - 1"


def test_leep_and_nce_by_their_definition() -> None:
    evidence = toy()
    head, labels = evidence.source_probabilities, evidence.labels
    assert head is not None
    total, doubt, z = 0.0, 0.0, head.argmax(axis=1)
    for i in range(len(labels)):
        given_z = [head[labels == labels[i], s].sum() / head[:, s].sum() for s in range(head.shape[1])]
        total += math.log(sum(head[i, s] * given_z[s] for s in range(head.shape[1])))
        doubt += math.log(np.mean(labels[z == z[i]] == labels[i]))
    assert number("leep", evidence) == pytest.approx(total / len(labels))
    assert number("nce", evidence) == pytest.approx(doubt / len(labels))


def test_neighbours_by_brute_force() -> None:
    """With k = 1 chosen: two near copies of each item, in different folds, and nothing else alike."""
    rng = np.random.default_rng(0)
    pairs = np.repeat(rng.normal(size=(60, 30)), 2, axis=0) + 1e-3 * rng.normal(size=(120, 30))
    labels = np.repeat(rng.integers(0, 2, 60), 2)
    found = score("knn", Evidence(pairs, labels))
    together = score("knn", Evidence(pairs, labels, groups=np.repeat(np.arange(60), 2)))
    assert found.value is not None
    assert together.value is not None
    assert found.value > 0.75, "one copy tells the other, where it is in another fold"
    assert together.value < 0.65, "kept together they cannot"


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_scores_of_noise_are_chance_and_have_items(name: str) -> None:
    evidence = toy(400, 50, classes=4, apart=0.0)
    found = score(name, evidence)
    assert found.items is not None
    assert found.items.shape == (400,)
    assert ((found.items >= 0) & (found.items <= 1)).all()
    assert found.value == pytest.approx(found.items.mean())
    assert found.value == pytest.approx(0.25, abs=3 * math.sqrt(0.25 * 0.75 / 400))


@pytest.mark.parametrize("name", [*CLOSED, *HELD_OUT])
def test_features_that_tell_more_score_higher(name: str) -> None:
    plain, good = toy(200, 10, apart=0.3, seed=1), toy(200, 10, apart=2.0, seed=1)
    vague = np.full_like(plain.source_probabilities, 0.2)
    assert number(name, good) > number(name, replace(plain, source_probabilities=vague))


@pytest.mark.parametrize("name", HELD_OUT)
def test_numbers_are_scored_by_the_share_of_the_variance(name: str) -> None:
    evidence = toy(200, 5)
    exact = replace(evidence, labels=evidence.features[:, :2] * 1000 + 7, kind="number")
    nothing = replace(exact, labels=np.random.default_rng(5).normal(size=(200, 2)))
    assert 0.3 < number(name, exact) <= 1
    assert number(name, nothing) < 0.1
    scaled = replace(exact, labels=exact.labels * 1e-3)
    assert number(name, scaled) == pytest.approx(number(name, exact))
    if name == "probe":
        assert number(name, exact) > 0.99


@pytest.mark.parametrize("name", [*HELD_OUT, "logme"])
def test_several_labels(name: str) -> None:
    evidence = toy(150, 5)
    labels = (evidence.features[:, :3] > 0).astype(np.float32)
    told = replace(evidence, labels=labels, kind="multi")
    noise = replace(told, features=np.random.default_rng(3).normal(size=told.features.shape))
    assert number(name, told) > number(name, noise) + 0.1
    never = replace(told, labels=np.hstack([labels, np.zeros((150, 1), np.float32)]))
    if name != "logme":
        assert number(name, never) == pytest.approx(number(name, told)), "a label that no item has says nothing"


@pytest.mark.parametrize("name", [name for name in CLOSED if name != "logme"])
@pytest.mark.parametrize("kind", ["multi", "number"])
def test_what_a_paper_does_not_define_is_not_made_up(name: str, kind: Any) -> None:
    found = score(name, replace(toy(), labels=np.eye(3)[toy().labels], kind=kind))
    assert found.value is None
    assert "one class an item" in found.reason


# -- indifferent to names ---------------------------------------------------------------------------------------------

RENAMINGS: dict[str, Callable[[int], Any]] = {
    "permuted": lambda label: (label + 1) % 3,
    "gap": lambda label: label + (label == 2),
    "large": lambda label: 10**9 - 7 * label,
    "negative": lambda label: -label,
    "text": lambda label: ("zebra", "ant", "Ente ü")[label],
    "float": lambda label: label / 3,
}


@pytest.mark.parametrize("renaming", RENAMINGS)
@pytest.mark.parametrize("name", SCORERS)
def test_renamed_labels_score_the_same(name: str, renaming: str) -> None:
    features, labels = load_iris(return_X_y=True)
    evidence = replace(
        toy(), features=features, labels=labels, source_probabilities=features / features.sum(1)[:, None]
    )
    renamed = np.array([RENAMINGS[renaming](int(label)) for label in labels])
    assert score(name, replace(evidence, labels=renamed)).value == score(name, evidence).value


@settings(max_examples=25, deadline=None)
@given(data=st.data(), name=st.sampled_from(CLOSED))
def test_the_order_of_items_does_not_matter(data: st.DataObject, name: str) -> None:
    evidence = toy(20, data.draw(st.sampled_from([3, 30])), classes=data.draw(st.integers(2, 5)))
    order = np.array(data.draw(st.permutations(range(20))))
    head = evidence.source_probabilities
    assert head is not None
    shuffled = Evidence(evidence.features[order], evidence.labels[order], source_probabilities=head[order])
    assert number(name, shuffled) == pytest.approx(number(name, evidence), abs=1e-8)


# -- a defined answer -------------------------------------------------------------------------------------------------

HARD: dict[str, Evidence] = {
    "one class": replace(toy(), labels=np.full(40, "only")),
    "one item": toy(1),
    "two items of two classes": toy(2, classes=2),
    "every item its own class": toy(12, classes=12),
    "a class with one item": replace(toy(), labels=np.r_[np.zeros(39, int), 1]),
    "fewer items than dimensions": toy(10, 500),
    "constant features": replace(toy(), features=np.hstack([toy().features, np.full((40, 3), 7.0)])),
    "features that are all the same": replace(toy(), features=np.ones((40, 6))),
    "features that are all zero": replace(toy(), features=np.zeros((40, 6))),
    "one feature": toy(40, 1),
    "an item many times over": replace(toy(), features=np.repeat(toy().features[:1], 40, axis=0)),
    "every item twice": replace(toy(), features=np.repeat(toy().features[:20], 2, axis=0)),
    "a feature twice": replace(toy(), features=np.repeat(toy().features, 2, axis=1)),
    "huge features": replace(toy(), features=toy().features * 1e12),
    "tiny features": replace(toy(), features=toy().features * 1e-12),
    "half precision": replace(toy(), features=toy().features.astype(np.float16)),
    "a source class without mass": replace(toy(), source_probabilities=np.eye(5)[np.arange(40) % 3]),
    "a source with one class": replace(toy(), source_probabilities=np.ones((40, 1))),
    "one group": replace(toy(), groups=np.array(["all"] * 40)),
    "no head, no card": Evidence(toy().features, toy().labels),
}


@pytest.mark.parametrize("case", HARD)
@pytest.mark.parametrize("name", SCORERS)
def test_hard_cases_have_a_defined_answer(name: str, case: str) -> None:
    found = score(name, HARD[case])
    assert (found.value is None) == bool(found.reason)
    assert found.value is None or math.isfinite(found.value)
    assert found.items is None or np.isfinite(found.items).all()
    if name in HELD_OUT:
        assert (found.value is None) == (case in ("one item", "one group"))
    elif name in ("leep", "nce", "parameters", "source-accuracy"):
        assert found.value is not None or case == "no head, no card" or name == "source-accuracy"
    else:
        assert found.value is not None


def test_what_the_hard_cases_answer() -> None:
    for name in ("leep", "nce", "hscore", "hscore-regularised", "transrate"):
        assert number(name, HARD["one class"]) == pytest.approx(0, abs=1e-9)
    assert number("probe", HARD["one class"]) == number("knn", HARD["one class"]) == 1
    perfect = HARD["a source class without mass"]
    assert number("leep", perfect) == number("nce", perfect) == 0
    for name in ("logme", "transrate", "hscore"):
        plain = number(name, toy())
        assert number(name, HARD["constant features"]) == pytest.approx(plain, abs=0.3 if name == "logme" else 1e-9)
    assert number("hscore", HARD["a feature twice"]) == pytest.approx(number("hscore", toy()))


@settings(max_examples=60, deadline=None)
@example(items=2, width=4, classes=1, scale=1e6, copies=False, kind="single", seed=2)  # a determinant was lost
@given(
    items=st.integers(1, 14),
    width=st.integers(1, 8),
    classes=st.integers(1, 5),
    scale=st.sampled_from([0.0, 1e-9, 1.0, 1e6, 1e12]),
    copies=st.booleans(),
    kind=st.sampled_from(["single", "multi", "number"]),
    seed=st.integers(0, 99),
)
def test_never_nan_whatever_the_evidence(
    items: int, width: int, classes: int, scale: float, copies: bool, kind: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    features = scale * rng.normal(size=(items, width)).round(0 if copies else 9)
    labels = rng.integers(0, classes, items)
    columns = np.eye(5)[labels][:, :classes] if kind == "multi" else scale * rng.normal(size=(items, 2))
    evidence = Evidence(
        features,
        labels if kind == "single" else columns,
        kind,
        groups=rng.integers(0, 4, items) if copies else None,
        source_probabilities=rng.dirichlet(np.full(6, 0.05), items) + 1e-300,
    )
    for name in SCORERS:
        found = score(name, evidence)
        assert (found.value is None) == bool(found.reason)
        assert found.value is None or math.isfinite(found.value), name


@pytest.mark.parametrize("name", [name for name in SCORERS if name not in ("parameters", "source-accuracy")])
def test_evidence_that_does_not_fit_is_refused(name: str) -> None:
    evidence = toy()
    head = evidence.source_probabilities
    assert head is not None
    broken = np.where(np.arange(40)[:, None] == 3, np.nan, 1.0)
    with pytest.raises(ShapeError, match="not fit 39 items"):
        score(name, replace(evidence, labels=evidence.labels[:39]))
    with pytest.raises(ShapeError, match="not finite|should be finite"):
        score(name, replace(evidence, features=evidence.features * broken, source_probabilities=head * broken))
    with pytest.raises(ShapeError, match="one class an item"):
        score(name, replace(evidence, labels=evidence.labels[:, None]))


# -- the room ---------------------------------------------------------------------------------------------------------


def test_every_score_says_what_it_is(repository: Path) -> None:
    for name, scorer in SCORERS.items():
        assert scorer.name == name
        assert scorer.__doc__
        assert scorer.paper or name == "parameters"
    page = (repository / "docs" / "ranking.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) == set(SCORERS)
    with pytest.raises(ConfigError, match=r"unknown score 'logmee'. Did you mean 'logme'"):
        SCORERS["logmee"]
