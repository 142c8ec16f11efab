"""Every metric against scikit-learn, which is the oracle here and is not used by the code itself."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.metrics import classification, curves, multilabel, regression
from headstart.metrics.resampling import once


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Targets and probabilities with absent classes, tied and constant scores, one item, perfect and worst ones."""
    items, classes = draw(st.integers(1, 30)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    targets = rng.integers(0, draw(st.integers(1, classes)), size=items)
    scores = rng.dirichlet(np.full(classes, draw(st.sampled_from([0.1, 1.0, 10.0]))), size=items)
    shape = draw(st.sampled_from(["any", "ties", "constant", "perfect", "worst"]))
    if shape == "ties":
        scores = np.round(scores * 4) + 1
    elif shape == "constant":
        scores = np.ones_like(scores)
    elif shape == "perfect":
        scores = np.eye(classes)[targets]
    elif shape == "worst":
        scores = 1 - np.eye(classes)[targets]
    return targets, scores / scores.sum(axis=1, keepdims=True)


def quiet(function: Any, *arguments: Any, **options: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(function(*arguments, **options))


def expected_auc(targets: np.ndarray, scores: np.ndarray) -> float:
    """By counting pairs: slow and obvious."""
    areas = []
    for k in range(scores.shape[1]) if scores.shape[1] > 2 else [1]:
        inside, outside = scores[targets == k, k], scores[targets != k, k]
        if len(inside) and len(outside):
            areas.append(np.mean([(a > b) + 0.5 * (a == b) for a in inside for b in outside]))
    return float(np.mean(areas)) if areas else np.nan


@settings(max_examples=150, deadline=None)
@given(labelled())
def test_single_label(case: tuple[np.ndarray, np.ndarray]) -> None:
    targets, scores = case
    found = {name: float(value[0]) for name, value in classification.metrics(targets, scores).items()}
    predicted, classes = scores.argmax(axis=1), np.arange(scores.shape[1])
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(targets, predicted))
    assert found["balanced_accuracy"] == pytest.approx(quiet(oracle.balanced_accuracy_score, targets, predicted))
    for name, function in (
        ("precision_macro", oracle.precision_score),
        ("recall_macro", oracle.recall_score),
        ("f1_macro", oracle.f1_score),
    ):
        assert found[name] == pytest.approx(function(targets, predicted, average="macro", zero_division=0))
    assert found["f1_micro"] == pytest.approx(oracle.f1_score(targets, predicted, average="micro"))
    assert found["log_loss"] == pytest.approx(oracle.log_loss(targets, scores, labels=classes))
    assert found["roc_auc"] == pytest.approx(expected_auc(targets, scores), nan_ok=True)
    assert 0 <= found["ece"] <= 1
    confusion = classification.confusion(targets, predicted, len(classes))
    assert (confusion == oracle.confusion_matrix(targets, predicted, labels=classes)).all()


def test_roc_auc_of_all_classes_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    targets, scores = np.arange(300) % 5, np.round(rng.dirichlet(np.ones(5), size=300), 1)
    scores = (scores + 1e-3) / (scores + 1e-3).sum(axis=1, keepdims=True)
    expected = oracle.roc_auc_score(targets, scores, multi_class="ovr", average="macro")
    assert classification.roc_auc(targets, scores, once(300))[0] == pytest.approx(expected)
    two = scores[:, :2] / scores[:, :2].sum(axis=1, keepdims=True)
    expected = oracle.roc_auc_score(targets % 2, two[:, 1])
    assert classification.roc_auc(targets % 2, two, once(300))[0] == pytest.approx(expected)


@settings(max_examples=150, deadline=None)
@given(labelled(), st.integers(0, 2**32 - 1))
def test_counts_mean_items_drawn_so_often(case: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    targets, scores = case
    drawn = np.random.default_rng(seed).integers(0, len(targets), size=len(targets))
    counts = np.bincount(drawn, minlength=len(targets))[:, None].astype(np.float32)
    weighted = classification.metrics(targets, scores, counts)
    for name, value in classification.metrics(targets[drawn], scores[drawn]).items():
        assert weighted[name][0] == pytest.approx(value[0], nan_ok=True, abs=1e-6), name


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([1, 3, 100]))
def test_curves_with_ties(seed: int, items: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, levels, size=items) / levels, rng.random(items) < rng.random()
    area, precision = (f(scores, positive, once(items))[0] for f in (curves.roc_auc, curves.average_precision))
    if positive.any():
        assert precision == pytest.approx(oracle.average_precision_score(positive, scores))
    else:
        assert np.isnan(precision)
    if positive.any() and not positive.all():
        assert area == pytest.approx(oracle.roc_auc_score(positive, scores))
    else:
        assert np.isnan(area)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 5), st.sampled_from(["any", "perfect", "none"]))
def test_many_labels(seed: int, items: int, labels: int, shape: str) -> None:
    rng = np.random.default_rng(seed)
    targets = (rng.random((items, labels)) < (0 if shape == "none" else 0.4)).astype(np.float32)
    scores = targets.astype(np.float64) if shape == "perfect" else np.round(rng.random((items, labels)), 1)
    found = {name: float(value[0]) for name, value in multilabel.metrics(targets, scores).items()}
    said, truth = scores > 0.5, targets > 0.5
    assert found["subset_accuracy"] == pytest.approx((truth == said).all(axis=1).mean())
    assert found["hamming"] == pytest.approx(np.mean(truth != said))
    for average in ("macro", "micro"):
        tp, either = (truth & said).sum(axis=0), truth.sum(axis=0) + said.sum(axis=0)
        if average == "micro":
            tp, either = tp.sum(keepdims=True), either.sum(keepdims=True)
        expected = np.mean([2 * a / b if b else 0.0 for a, b in zip(tp, either, strict=True)])
        assert found[f"f1_{average}"] == pytest.approx(expected)
    precisions = [
        quiet(oracle.average_precision_score, truth[:, k], scores[:, k]) for k in range(labels) if truth[:, k].any()
    ]
    assert found["map"] == pytest.approx(np.mean(precisions) if precisions else np.nan, nan_ok=True)
    both = [k for k in range(labels) if truth[:, k].any() and not truth[:, k].all()]
    areas = [oracle.roc_auc_score(truth[:, k], scores[:, k]) for k in both]
    assert found["roc_auc"] == pytest.approx(np.mean(areas) if areas else np.nan, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 3), st.sampled_from([1.0, 1e-6, 1e6]), st.booleans()
)
def test_numbers(seed: int, items: int, outputs: int, scale: float, constant: bool) -> None:
    rng = np.random.default_rng(seed)
    targets = 100 * scale + scale * (0 if constant else 1) * rng.normal(size=(items, outputs))
    scores = targets + scale * rng.normal(size=(items, outputs))
    found = {name: float(value[0]) for name, value in regression.metrics(targets, scores).items()}
    assert found["mse"] == pytest.approx(oracle.mean_squared_error(targets, scores))
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(targets, scores))
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(targets, scores))
    if constant or items == 1:
        assert np.isnan(found["r2"])
    else:
        assert found["r2"] == pytest.approx(oracle.r2_score(targets, scores))


def test_a_thousand_resamples_of_a_small_test_set_take_well_under_a_second() -> None:
    rng = np.random.default_rng(0)
    targets, scores = rng.integers(0, 10, size=372), rng.dirichlet(np.ones(10), size=372)
    counts = rng.poisson(1, size=(372, 1000)).astype(np.float32) + (np.arange(372) == 0)[:, None]
    start = time.process_time()
    found = classification.metrics(targets, scores, counts)
    assert time.process_time() - start < 1
    assert all(value.shape == (1000,) for value in found.values())
