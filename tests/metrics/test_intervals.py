"""Intervals against published values, SciPy, and simulation; calibration and paired tests likewise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.metrics import calibration
from headstart.metrics.intervals import bootstrap, calibration_error, wilson
from headstart.metrics.paired import bootstrap_difference, mcnemar
from headstart.metrics.resampling import Metrics, Statistic, bootstrap_counts, once, units_of


def mean_of(values: np.ndarray) -> Statistic:
    def statistic(counts: np.ndarray) -> Metrics:
        return {"mean": values @ counts / counts.sum(axis=0)}

    return statistic


@pytest.mark.parametrize(("right", "total"), [(0, 1), (1, 1), (0, 20), (20, 20), (3, 7), (81, 263), (850, 1000)])
def test_wilson_is_scipys(right: int, total: int) -> None:
    expected = scipy.stats.binomtest(right, total).proportion_ci(method="wilson")
    found = wilson(right, total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.low <= found.value <= found.high


def test_wilson_of_a_published_example() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263 gives .2553 to .3662
    found = wilson(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_counts_draw_whole_units_as_often_as_there_are_units() -> None:
    groups = np.array(["a", "b", "a", "c", "c", "c"])
    units, number = units_of(6, groups)
    (counts,) = bootstrap_counts(units, number, 500, np.random.default_rng(0))
    assert number == 3
    assert (counts[0] == counts[2]).all()
    assert (counts[3] == counts[4]).all()
    assert (counts[[0, 1, 3]].sum(axis=0) == 3).all()
    assert counts.mean() == pytest.approx(1, abs=0.05)


def test_the_draws_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=50)
    whole = bootstrap(mean_of(values), 50, seed=3)
    monkeypatch.setattr("headstart.metrics.resampling._CHUNK", 700)
    assert bootstrap(mean_of(values), 50, seed=3) == whole
    assert bootstrap(mean_of(values), 50, seed=4) != whole


def test_bootstrap_agrees_with_scipys_bca() -> None:
    values = np.random.default_rng(1).exponential(size=80)
    found = bootstrap(mean_of(values), 80, resamples=20_000)["mean"]
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_grouped_items_give_wider_intervals() -> None:
    effect = np.repeat(np.random.default_rng(0).normal(size=30), 10)
    alone = bootstrap(mean_of(effect), 300)["mean"]
    grouped = bootstrap(mean_of(effect), 300, groups=np.repeat(np.arange(30), 10))["mean"]
    assert grouped.high - grouped.low > 2.5 * (alone.high - alone.low)


def test_a_share_that_never_varies_is_still_in_doubt() -> None:
    found = bootstrap(mean_of(np.ones(20)), 20, proportions=("mean",))["mean"]
    assert found == wilson(20, 20)
    assert bootstrap(mean_of(np.ones(20)), 20, groups=np.arange(20) // 4, proportions=("mean",))["mean"] == wilson(5, 5)


def test_one_item_and_undefined_metrics() -> None:
    assert bootstrap(mean_of(np.array([2.0])), 1)["mean"].value == 2
    assert bootstrap(lambda counts: {"none": np.full(counts.shape[1], np.nan)}, 5) == {}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_calibration_error_by_a_slow_loop(seed: int, items: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, right = rng.integers(0, 31, size=items) / 30, rng.random(items) < 0.5
    expected = 0.0
    for low, high in [(i / 15, (i + 1) / 15) for i in range(15)]:
        inside = ((confidence > low) | ((low == 0) & (confidence == 0))) & (confidence <= high)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    gap = calibration.gaps(confidence, right)
    assert calibration.expected_error(gap, once(items))[0] == pytest.approx(expected, abs=1e-6)
    bins = calibration.reliability(confidence, right)
    assert sum(b.count for b in bins) == items
    assert sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / items == pytest.approx(expected)
    interval = calibration_error(gap, resamples=200)
    assert 0 <= interval.low <= interval.value <= interval.high
    assert interval.value == pytest.approx(expected)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_temperature_is_where_scipy_finds_the_least_loss(sharpness: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2000, 4)) * 2
    targets = np.array([rng.choice(4, p=scipy.special.softmax(row)) for row in logits])
    logits *= sharpness

    def loss(log_temperature: float) -> float:
        scaled = scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scaled[np.arange(2000), targets].mean())

    expected = np.exp(scipy.optimize.minimize_scalar(loss, bounds=(-3, 3)).x)
    found = calibration.fit_temperature(logits, targets)
    assert found == pytest.approx(expected, rel=1e-3)
    assert found == pytest.approx(sharpness, rel=0.1)


def test_temperature_of_many_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 3)) * 2
    targets = (rng.random(logits.shape) < scipy.special.expit(logits)).astype(np.float32)
    assert calibration.fit_temperature(logits * 3, targets) == pytest.approx(3, rel=0.1)


def test_temperature_stays_where_validation_cannot_tell() -> None:
    assert calibration.fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1
    assert calibration.fit_temperature(np.eye(3), np.arange(3)) == 1
    worst = calibration.fit_temperature(-np.eye(3), np.arange(3))
    assert worst == pytest.approx(calibration.TEMPERATURES[1])


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (5, 0), (3, 3), (1, 8), (40, 25), (3000, 3200)])
def test_mcnemar_is_the_mid_p_of_the_binomial(first: int, second: int) -> None:
    total, fewer = first + second, min(first, second)
    expected = 2 * scipy.stats.binom.cdf(fewer, total, 0.5) - scipy.stats.binom.pmf(fewer, total, 0.5)
    assert mcnemar(first, second) == pytest.approx(min(1, expected) if total else 1)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_mcnemar_of_a_published_example() -> None:
    # Fagerland et al. 2013, airway hyper-responsiveness: 1 and 7 discordant pairs, mid-p 0.0391
    assert mcnemar(1, 7) == pytest.approx(0.0391, abs=5e-5)


def test_difference_of_means_agrees_with_the_normal_theory() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.2, 1, size=400), rng.normal(0, 1, size=400)
    found = bootstrap_difference(mean_of(a), mean_of(b), "mean", 400, resamples=20_000)
    error = (a - b).std() / 20
    assert found.gain.value == pytest.approx((a - b).mean(), abs=1e-6)
    assert found.gain.low == pytest.approx(found.gain.value - 1.96 * error, abs=0.01)
    assert found.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(found.gain.value) / error), abs=0.01)


def test_no_difference_has_p_one() -> None:
    same = mean_of(np.arange(10.0))
    found = bootstrap_difference(same, same, "mean", 10)
    assert found.p_value == 1
    assert (found.gain.value, found.gain.low, found.gain.high) == (0, 0, 0)
