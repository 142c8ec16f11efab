"""Pools against sums by hand; weights against a grid, a closed form and what the data was made with."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from headstart.metrics.pooling import Kind, Pool, fit_weights, pool

EVERY: list[tuple[Pool, Kind]] = [
    (how, kind) for how in ("logits", "probabilities") for kind in ("single", "multi", "number")
]


def softmax(z: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    return shares


def several(models: int = 3, items: int = 40, outputs: int = 4, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(models, items, outputs)) * 2)


def log_loss(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(-np.log(softmax(logits)[np.arange(len(targets)), targets]).mean())


# -- pools ------------------------------------------------------------------------------------------------------------


def test_the_mean_of_probabilities_by_hand() -> None:
    """p = (0.8, 0.2) and (0.4, 0.6), weights 1/4 and 3/4: (0.5, 0.5)."""
    one, other = np.log([[0.8, 0.2]]), np.log([[0.4, 0.6]]) + 7  # a shift of all logits means nothing
    np.testing.assert_allclose(pool([one, other], [0.25, 0.75], "probabilities", "single"), np.log([[0.5, 0.5]]))


def test_the_mean_of_logits_by_hand() -> None:
    one, other = np.array([[1.0, -1.0]]), np.array([[3.0, 5.0]])
    np.testing.assert_allclose(pool([one, other], [0.5, 0.25], "logits", "single"), [[1.25, 0.75]])
    np.testing.assert_allclose(pool([one, other], [2, -1], "logits", "single"), [[-1, -7]])


def test_many_labels_are_averaged_one_by_one() -> None:
    """p = 0.9 and 0.3 in equal parts: 0.6, the logit of which is log(0.6 / 0.4)."""
    one, other = np.log([[0.9 / 0.1]]), np.log([[0.3 / 0.7]])
    np.testing.assert_allclose(pool([one, other], [0.5, 0.5], "probabilities", "multi"), np.log([[1.5]]))


def test_numbers_are_averaged_as_they_are() -> None:
    one, other = np.array([[1.0, 10.0]]), np.array([[3.0, 30.0]])
    for how in ("logits", "probabilities"):
        found = pool([one, other], [0.25, 0.75], how, "number")
        np.testing.assert_allclose(found, [[2.5, 25.0]])


@pytest.mark.parametrize(("how", "kind"), EVERY)
def test_against_a_slow_loop_and_in_any_order(how: Pool, kind: Kind) -> None:
    logits, weights = several(), [0.5, 0.2, 0.3]
    naive = np.zeros_like(logits[0])
    for i, k in itertools.product(*map(range, naive.shape)):
        for w, z in zip(weights, logits, strict=True):
            if how == "logits" or kind == "number":
                naive[i, k] += w * z[i, k]
            elif kind == "single":
                naive[i, k] += w * np.exp(z[i, k]) / np.exp(z[i]).sum()
            else:
                naive[i, k] += w / (1 + np.exp(-z[i, k]))
    if how == "probabilities" and kind == "single":
        naive = np.log(naive)
    if how == "probabilities" and kind == "multi":
        naive = np.log(naive / (1 - naive))
    np.testing.assert_allclose(pool(logits, weights, how, kind), naive, rtol=1e-9, atol=1e-12)
    for order in itertools.permutations(range(3)):
        shuffled = pool([logits[i] for i in order], [weights[i] for i in order], how, kind)
        np.testing.assert_allclose(shuffled, pool(logits, weights, how, kind), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("how", "kind"), EVERY)
def test_equal_models_are_as_one_and_a_weight_of_zero_takes_no_part(how: Pool, kind: Kind) -> None:
    one, other = several(models=2)
    scores = softmax if kind == "single" else np.asarray
    np.testing.assert_allclose(scores(pool([one, one], [0.3, 0.7], how, kind)), scores(one), rtol=1e-9)
    np.testing.assert_allclose(scores(pool([one, other], [1, 0], how, kind)), scores(one), rtol=1e-9)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_logits_of_any_size_stay_finite(kind: Kind) -> None:
    one, other = np.array([[1e4, -1e4, 0.0]]), np.array([[-1e4, 1e4, 0.0]])
    for weights in ([0.5, 0.5], [1.0, 0.0]):
        assert np.isfinite(pool([one, other], weights, "probabilities", kind)).all()


# -- weights ----------------------------------------------------------------------------------------------------------


def test_weights_are_those_that_the_labels_were_drawn_with() -> None:
    logits = several(items=40_000, outputs=3)
    true = np.array([0.6, 0.3, 0.1])
    mixed = sum(w * softmax(z) for w, z in zip(true, logits, strict=True))
    drawn = np.random.default_rng(1).random((len(mixed), 1))
    targets = (drawn > np.cumsum(mixed, axis=1)).sum(axis=1)
    np.testing.assert_allclose(fit_weights(logits, targets, "probabilities", "single"), true, atol=0.03)
    back = fit_weights(logits[::-1], targets, "probabilities", "single")
    np.testing.assert_allclose(back[::-1], fit_weights(logits, targets, "probabilities", "single"), atol=1e-4)


@pytest.mark.parametrize("how", ["logits", "probabilities"])
@pytest.mark.parametrize("kind", ["single", "multi", "number"])
@pytest.mark.parametrize("prior_items", [0.01, 2.0])
def test_no_weights_on_a_fine_grid_are_better(how: Pool, kind: Kind, prior_items: float) -> None:
    logits = several(models=2, outputs=3)
    rng = np.random.default_rng(3)
    if kind == "single":
        targets = np.where(rng.random(40) < 0.6, logits[0].argmax(axis=1), rng.integers(0, 3, 40))
    elif kind == "multi":
        targets = (logits[0] + rng.normal(size=(40, 3)) * 3 > 0).astype(float)
    else:
        targets = 0.7 * logits[0] + 0.3 * logits[1] + rng.normal(size=(40, 3))

    def loss(w: float) -> float:
        z = pool(logits, [w, 1 - w], how, kind)
        if kind == "single":
            fit = log_loss(z, targets)
        elif kind == "multi":
            fit = float(np.logaddexp(0, np.where(targets > 0.5, -z, z)).mean())
        else:
            equal = ((pool(logits, [0.5, 0.5], how, kind) - targets) ** 2).sum(axis=1).mean()
            fit = float(((z - targets) ** 2).sum(axis=1).mean() / (2 * equal))
        return fit - prior_items / len(targets) * float(np.log(w) + np.log(1 - w))

    grid = np.linspace(0.001, 0.999, 999)
    best = grid[np.argmin([loss(w) for w in grid])]
    found = fit_weights(logits, targets, how, kind, prior_items=prior_items)
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    assert found[0] == pytest.approx(best, abs=0.002)


def test_numbers_take_the_weights_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5000, 1))
    one, other = truth + rng.normal(size=truth.shape), truth + 2 * rng.normal(size=truth.shape)
    found = fit_weights([one, other], truth, "logits", "number")
    np.testing.assert_allclose(found, [0.8, 0.2], atol=0.02)  # by the inverse of the variances, 1 and 4


def test_few_items_are_pulled_towards_equal_and_none_are_equal() -> None:
    right, wrong = np.tile([[2.0, 0.0]], (1000, 1)), np.tile([[0.0, 2.0]], (1000, 1))
    targets = np.zeros(1000, dtype=int)
    shares = [fit_weights([right[:n], wrong[:n]], targets[:n], "probabilities", "single")[0] for n in (0, 2, 20, 1000)]
    assert shares[0] == 0.5
    assert shares == sorted(shares)
    assert 0.5 < shares[1] < 0.75
    assert shares[3] > 0.95
    hard = fit_weights([right, wrong], targets, "probabilities", "single", prior_items=1e6)
    np.testing.assert_allclose(hard, 0.5, atol=1e-3)


def test_a_model_that_is_certain_and_wrong_does_not_break_the_fit() -> None:
    sure, fair = np.array([[-2000.0, 2000.0]] * 30), np.array([[1.0, 0.0]] * 30)
    for how in ("logits", "probabilities"):
        found = fit_weights([sure, fair], np.zeros(30, dtype=int), how, "single")
        assert np.isfinite(found).all()
        assert found[0] < 0.2
