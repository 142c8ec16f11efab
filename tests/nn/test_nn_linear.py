"""Linear heads against scikit-learn and closed forms."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import StandardScaler

from headstart.core.errors import ShapeError
from headstart.nn import linear
from headstart.nn.linear import GRID, Kind, Streamed, assign_folds, fit_linear, held_out_losses, softening


def blobs(items: int, width: int, classes: int, seed: int, spread: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes on features of very different scales, one of them constant."""
    centres = np.random.default_rng(99).normal(size=(classes, width))
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, items)
    features = (centres[labels] + spread * rng.normal(size=(items, width))) * np.geomspace(0.01, 100, width) + 5
    features[:, 0] = 3.0
    return features, labels


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    out: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return out


@pytest.mark.parametrize(("items", "width"), [(120, 20), (60, 150)])
@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
def test_one_strength_is_scikit_learns_logistic_regression(items: int, width: int, strength: float) -> None:
    features, labels = blobs(items, width, 3, seed=0)
    rows = StandardScaler().fit_transform(features)
    reference = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000).fit(rows, labels)
    fit = fit_linear(features, labels, "single", 3, grid=(strength,))
    np.testing.assert_allclose(softmax(fit.logits(features)), reference.predict_proba(rows), atol=1e-3)
    assert fit.curve == {}


def test_weights_of_items_are_scikit_learns() -> None:
    features, labels = blobs(100, 10, 3, seed=1)
    weights = np.random.default_rng(0).random(100) + 0.1
    rows = StandardScaler().fit_transform(features)
    reference = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit(rows, labels, sample_weight=weights)
    fit = fit_linear(features, labels, "single", 3, weights=weights, grid=(0.1,))
    np.testing.assert_allclose(softmax(fit.logits(features)), reference.predict_proba(rows), atol=1e-3)


def test_many_labels_are_one_logistic_regression_each() -> None:
    features, labels = blobs(150, 12, 3, seed=2)
    targets = np.stack([labels == 0, labels != 1], axis=1).astype(float)
    rows = StandardScaler().fit_transform(features)
    fit = fit_linear(features, targets, "multi", 2, grid=(0.1,))
    for k in range(2):
        reference = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit(rows, targets[:, k])
        chances = 1 / (1 + np.exp(-fit.logits(features)[:, k]))
        np.testing.assert_allclose(chances, reference.predict_proba(rows)[:, 1], atol=1e-3)


def test_numbers_are_ridge_regression() -> None:
    features, labels = blobs(80, 30, 4, seed=3)
    targets = np.stack([labels * 2.0 + 100, -labels], axis=1)
    rows = StandardScaler().fit_transform(features)
    reference = Ridge(alpha=1 / 0.05).fit(rows, targets)
    fit = fit_linear(features, targets, "number", 2, grid=(0.05,))
    np.testing.assert_allclose(fit.logits(features), reference.predict(rows), atol=1e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_search_does_as_well_as_scikit_learns() -> None:
    features, labels = blobs(200, 300, 5, seed=4, spread=12.0)
    unseen, truth = blobs(2000, 300, 5, seed=5, spread=12.0)
    scaler = StandardScaler().fit(features)
    folds = PredefinedSplit(assign_folds(labels, None, 5, 0))
    search = LogisticRegressionCV(Cs=list(GRID), cv=folds, scoring="neg_log_loss", max_iter=2000)
    reference = search.fit(scaler.transform(features), labels)
    best = float(np.ravel(reference.C_)[0])
    curve = -next(iter(reference.scores_.values())).mean(axis=0)
    fit = fit_linear(features, labels, "single", 5)
    np.testing.assert_allclose(list(fit.curve.values()), curve[: len(fit.curve)], rtol=0.02)
    ours, theirs = softmax(fit.logits(unseen)), reference.predict_proba(scaler.transform(unseen))
    assert log_loss(truth, ours) < log_loss(truth, theirs) + 0.02
    assert (ours.argmax(1) == truth).mean() > (theirs.argmax(1) == truth).mean() - 0.01
    assert min(fit.curve, key=lambda c: fit.curve[c]) == pytest.approx(best, rel=0.01)
    assert fit.strength <= best * 1.01


def test_ties_go_to_the_stronger_penalty() -> None:
    features, labels = blobs(90, 5, 3, seed=6, spread=0.01)  # all strengths but the smallest get all right
    fit = fit_linear(features, labels, "single", 3, criterion="accuracy")
    right = [c for c, error in fit.curve.items() if error == 0]
    assert len(right) > 1
    assert fit.strength == min(right)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_softened_head_is_as_unsure_of_its_own_items_as_of_new_ones(kind: Literal["single", "multi"]) -> None:
    features, labels = blobs(150, 40, 3, seed=13, spread=3.0)
    targets = labels if kind == "single" else np.eye(3)[labels]
    fit = fit_linear(features, targets, kind, 3)

    def loss(by: float) -> float:
        scores = fit.logits(features) / by
        if kind == "single":
            return float(log_loss(labels, np.exp(scores) / np.exp(scores).sum(1, keepdims=True)))
        chances = 1 / (1 + np.exp(-scores))
        return float(-np.log(np.where(targets > 0.5, chances, 1 - chances)).mean())

    by = softening(fit, features, targets, kind)
    assert by > 1.05
    assert loss(1.0) < fit.curve[fit.strength]
    assert loss(by) == pytest.approx(fit.curve[fit.strength], rel=1e-4)


def test_numbers_and_heads_that_nothing_was_held_out_from_are_left_as_they_are() -> None:
    features, labels = blobs(60, 10, 2, seed=3)
    numbers = labels[:, None].astype(float)
    assert softening(fit_linear(features, numbers, "number", 1), features, numbers, "number") == 1.0
    untested = fit_linear(features, labels, "single", 2, grid=(1.0,))
    assert softening(untested, features, labels, "single") == 1.0


def test_noise_is_shrunk_and_signal_is_not() -> None:
    rng = np.random.default_rng(7)
    noise = fit_linear(rng.normal(size=(100, 50)), rng.integers(0, 2, 100), "single", 2)
    features, labels = blobs(400, 4, 2, seed=8, spread=0.5)
    signal = fit_linear(features, labels, "single", 2)
    assert noise.strength < 1e-2 < signal.strength


def test_it_takes_seconds() -> None:
    features, labels = blobs(600, 1280, 10, seed=9, spread=4.0)
    started = time.process_time()
    fit_linear(features.astype(np.float32), labels, "single", 10)
    assert time.process_time() - started < 6  # of one processor; 1 s where nothing else runs


@pytest.mark.parametrize("counts", [(30, 1, 30), (30, 0, 30), (1, 1, 1), (1, 0, 0), (2, 1, 0)])
def test_rare_and_absent_classes(counts: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(3), counts)
    features = np.random.default_rng(0).normal(size=(len(labels), 8)) + 3 * np.eye(8)[labels]
    fit = fit_linear(features, labels, "single", 3)
    assert np.isfinite(fit.weight).all()
    assert np.isfinite(fit.bias).all()
    absent = [k for k in range(3) if counts[k] == 0]
    assert not np.isin(fit.logits(features).argmax(axis=1), absent).any()


def test_a_label_that_everybody_or_nobody_has() -> None:
    features = np.random.default_rng(0).normal(size=(30, 4))
    targets = np.stack([np.ones(30), np.zeros(30), features[:, 0] > 0], axis=1)
    fit = fit_linear(features, targets, "multi", 3)
    scores = fit.logits(features)
    assert (scores[:, 0] > 0).all()
    assert (scores[:, 1] < 0).all()
    assert ((scores[:, 2] > 0) == (targets[:, 2] > 0)).mean() > 0.9


def test_rotating_and_scaling_features_changes_nothing() -> None:
    features, labels = blobs(60, 10, 3, seed=10)
    order = np.random.default_rng(0).permutation(10)
    fit, other = fit_linear(features, labels, "single", 3), fit_linear(features[:, order] * 7 - 2, labels, "single", 3)
    assert fit.strength == other.strength
    moved = other.logits(features[:, order] * 7 - 2)
    np.testing.assert_allclose(softmax(fit.logits(features)), softmax(moved), atol=1e-3)


def test_the_same_seed_gives_the_same_bits() -> None:
    features, labels = blobs(60, 100, 3, seed=11)
    one, two = (fit_linear(features, labels, "single", 3, seed=5) for _ in range(2))
    assert np.array_equal(one.weight, two.weight)
    assert one.strength == two.strength


@settings(deadline=None, max_examples=40)
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), folds=st.integers(2, 6), seed=st.integers(0, 5))
def test_folds_spread_every_class_evenly(labels: list[int], folds: int, seed: int) -> None:
    classes = np.array(labels)
    fold = assign_folds(classes, None, folds, seed)
    used = min(folds, len(labels))
    assert set(fold) == set(range(used))
    for k in set(labels):
        counts = np.bincount(fold[classes == k], minlength=used)
        assert counts.max() - counts.min() <= 1


@settings(deadline=None, max_examples=40)
@given(
    groups=st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60),
    folds=st.integers(2, 6),
    seed=st.integers(0, 5),
)
def test_folds_never_share_a_group(groups: list[str], folds: int, seed: int) -> None:
    names = np.array(groups)
    fold = assign_folds(np.arange(len(groups)) % 3, names, folds, seed)
    assert len(set(fold)) == min(folds, len(set(groups)))
    for name in set(groups):
        assert len(set(fold[names == name])) == 1


def test_groups_keep_copies_from_voting_for_a_weak_penalty() -> None:
    """Five copies of every item: held-out copies are known by heart, held-out groups are not."""
    rng = np.random.default_rng(12)
    features, labels = rng.normal(size=(40, 60)), rng.integers(0, 2, 40)
    many, again, group = np.repeat(features, 5, axis=0), np.repeat(labels, 5), np.repeat(np.arange(40), 5)
    careless, careful = fit_linear(many, again, "single", 2), fit_linear(many, again, "single", 2, groups=group)
    assert careful.strength < careless.strength


def test_rows_that_do_not_match_are_told() -> None:
    with pytest.raises(ShapeError, match="3 rows of features and 2 targets"):
        fit_linear(np.zeros((3, 2)), np.zeros(2, dtype=int), "single", 2)
    with pytest.raises(ShapeError, match="at least one"):
        fit_linear(np.zeros((0, 2)), np.zeros(0, dtype=int), "single", 2)


def test_held_out_losses_are_those_of_heads_that_did_not_see_the_item() -> None:
    """Against five fits by hand at the same strength, on the same folds."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 150)
    features = rng.normal(size=(150, 12)) + 0.8 * rng.normal(size=(3, 12))[targets]
    losses = held_out_losses(features, targets, "single", 3, criterion="accuracy", seed=4)
    assert losses is not None
    strength = fit_linear(features, targets, "single", 3, seed=4).strength
    fold, wrong = assign_folds(targets, None, 5, 4), np.zeros(150)
    for f in range(5):
        head = fit_linear(features[fold != f], targets[fold != f], "single", 3, grid=(strength,))
        wrong[fold == f] = head.logits(features[fold == f]).argmax(axis=1) != targets[fold == f]
    assert np.mean(losses == wrong) > 0.97
    assert 0.1 < losses.mean() < 0.6


def test_what_was_held_out_comes_with_the_fit_but_for_classes_that_no_other_fold_has() -> None:
    rng = np.random.default_rng(0)
    targets = np.append(rng.integers(0, 3, 150), 3)  # the last class has one item
    features = rng.normal(size=(151, 12)) + 0.8 * rng.normal(size=(4, 12))[targets]
    found = fit_linear(features, targets, "single", 4, seed=4).held_out
    losses = held_out_losses(features, targets, "single", 4, criterion="accuracy", seed=4)
    assert found is not None
    assert losses is not None
    assert found.items.tolist() == list(range(150))
    assert ((found.logits.argmax(axis=1) != targets[:150]) == losses[:150]).all()
    assert fit_linear(features[:1], targets[:1], "single", 4).held_out is None


def test_features_with_more_say_are_penalised_less() -> None:
    """Against ridge regression with a penalty of its own for each feature; in memory and a chunk at a time alike."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(80, 6)) * [1, 2, 3, 4, 5, 6] + 3
    targets = features @ rng.normal(size=(6, 2)) + rng.normal(size=(80, 2))
    say = np.array([1.0, 1, 1, 3, 3, 3])
    fit = fit_linear(features, targets, "number", 2, grid=(0.1,), say=say)
    rows = (features - features.mean(0)) / features.std(0)
    solved = np.linalg.solve(rows.T @ rows + np.diag(10 / say**2), rows.T @ (targets - targets.mean(0)))
    assert np.allclose(fit.weight.T * features.std(0)[:, None], solved)
    streamed = Streamed(features, say=say)
    assert np.allclose(streamed.scale, features.std(0) / say)


def test_nothing_can_be_held_out_of_one_item_or_group() -> None:
    rows = np.ones((3, 2))
    assert held_out_losses(rows[:1], np.zeros(1, int), "single", 1) is None
    assert held_out_losses(rows, np.arange(3), "single", 3, groups=np.zeros(3)) is None


class OnDisk:
    """Rows that give slices only, and remember the largest that was asked for."""

    def __init__(self, rows: np.ndarray) -> None:
        self.shape = rows.shape
        self.largest = 0
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        found: np.ndarray = self._rows[index]
        self.largest = max(self.largest, len(found))
        return found


@pytest.mark.parametrize("kind", ["single", "multi", "number"])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_head_on_very_many_items_is_the_one_that_would_be_fitted_in_memory(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, grouped: bool
) -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(900, 12)) @ rng.normal(size=(12, 12)) + 5).astype(np.float32)
    features[:, 3] = 2.0  # says nothing
    features[:, 7] = features[:, 6]  # says nothing new
    scores = features[:, :3] @ rng.normal(size=(3, 4)) + rng.normal(size=(900, 4))
    targets = {"single": scores.argmax(1), "multi": (scores > scores.mean(0)).astype(int), "number": scores}[kind]
    groups = np.repeat(np.arange(300), 3) if grouped else None
    small = fit_linear(features, targets, kind, 4, grid=(0.1,))
    monkeypatch.setattr(linear, "HELD", 900 * 12 - 1)
    monkeypatch.setattr(linear, "SAMPLED", 12 * 300)
    monkeypatch.setattr(linear, "CHUNK", 128)
    rows = OnDisk(features)
    streamed = fit_linear(rows, targets, kind, 4, grid=(0.1,))
    assert rows.largest <= 128
    np.testing.assert_allclose(streamed.logits(rows), small.logits(features), atol=2e-2 if kind != "number" else 1e-6)
    assert rows.largest <= 128
    chosen = fit_linear(rows, targets, kind, 4, groups=groups)
    assert rows.largest <= 300
    assert chosen.strength in chosen.curve


def test_a_sample_takes_groups_whole() -> None:
    groups = np.random.default_rng(0).integers(0, 40, size=500)
    sample = linear._sample(500, groups, 200, seed=1)
    assert 150 < len(sample) <= 200
    assert not set(groups[sample]) & set(np.delete(groups, sample))


def test_one_scale_for_all_keeps_small_features_small() -> None:
    """scikit-learn on features that were divided by one number."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 6)) * np.array([3.0, 1.0, 0.3, 0.1, 0.03, 0.0])
    labels = (features[:, 0] + rng.normal(size=80) > 0).astype(int)
    found = fit_linear(features, labels, "single", 2, grid=(0.1,), scaling="all")
    rows = (features - features.mean(0)) / np.sqrt((features.std(0) ** 2).mean())
    reference = LogisticRegression(C=0.2, tol=1e-10, max_iter=10_000).fit(rows, labels)  # two rows of weights share it
    np.testing.assert_allclose(
        np.diff(found.logits(features), axis=1)[:, 0], reference.decision_function(rows), rtol=1e-3, atol=1e-3
    )
