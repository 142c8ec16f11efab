"""Intervals that cover, differences that are paired, ties that are called ties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.ranking import SCORERS
from headstart.ranking.judge import Judged, gap, judge, part_of


def noise(items: int, seed: int = 0, width: int = 4) -> Evidence:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, items)
    return Evidence(rng.normal(size=(items, width)) + labels[:, None], labels, seed=seed)


def judged(name: str, evidence: Evidence) -> Judged:
    found = judge(SCORERS[name](), evidence)
    assert isinstance(found, Judged)
    return found


class FirstFeature(Scorer):
    """The mean of the first feature, a score whose standard error is known."""

    name = "first-feature"

    def score(self, evidence: Evidence) -> Score:
        return Score(float(evidence.features[:, 0].mean()))


@pytest.mark.parametrize("name", ["probe", "knn", "logme", "hscore", "transrate"])
def test_the_interval_holds_the_value_and_narrows_with_items(name: str) -> None:
    few, many = judged(name, noise(40)), judged(name, noise(640))
    for found in (few, many):
        assert found.interval.low <= found.value <= found.interval.high
        assert np.isfinite([found.interval.low, found.interval.high]).all()
    assert many.interval.high - many.interval.low < 0.6 * (few.interval.high - few.interval.low)


def test_the_jackknife_knows_the_error_of_a_mean() -> None:
    """Over many samples the interval of a mean of N(0, 1) covers 0 about 95 times in 100."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = judge(FirstFeature(), Evidence(rng.normal(size=(200, 1)), np.zeros(200), seed=seed))
        assert isinstance(found, Judged)
        covered += found.interval.low <= 0 <= found.interval.high
    assert 0.86 <= covered / 200 <= 0.99


def test_the_bootstrap_interval_of_the_probe_covers_new_items() -> None:
    covered = 0
    for seed in range(40):
        found = judged("probe", noise(100, seed, width=1))
        covered += found.interval.low <= 0.69 <= found.interval.high  # Phi(1/2): the best that can be told
    assert covered >= 33


@pytest.mark.parametrize("name", ["probe", "logme"])
def test_the_same_source_twice_is_a_tie(name: str) -> None:
    one = judged(name, noise(100))
    same = gap(one, one, None)
    assert same.value == same.low == same.high == 0


@pytest.mark.parametrize("name", ["probe", "knn", "logme"])
def test_a_worse_source_is_worse_beyond_chance_and_a_twin_is_not(name: str) -> None:
    rng = np.random.default_rng(0)
    good = noise(300)
    twin = replace(good, features=good.features + 0.01 * rng.normal(size=good.features.shape))
    bad = replace(good, features=rng.normal(size=good.features.shape))
    best = judged(name, good)
    assert gap(judged(name, bad), best, None, confidence=0.99).high < 0
    near = gap(judged(name, twin), best, None)
    assert near.low <= 0 <= near.high
    assert gap(best, judged(name, bad), None).low > 0


def test_pairing_sees_what_two_intervals_do_not() -> None:
    """Two sources that are right on the same items but for a few: their intervals overlap, their difference is sure."""
    items = (np.arange(400) % 4 > 0).astype(float)
    fewer = items.copy()
    fewer[np.flatnonzero(items)[:12]] = 0
    interval: Any = judged("probe", noise(100)).interval
    apart = gap(Judged(interval, items=fewer), Judged(interval, items=items), None)
    assert apart.value == pytest.approx(-12 / 400)
    assert apart.high < 0


def test_a_handful_of_items_that_speak_for_one_side_are_no_proof() -> None:
    interval, none = judged("probe", noise(100)).interval, np.zeros(300)

    def ahead(items: int) -> float:
        return gap(Judged(interval, items=none + (np.arange(300) < items)), Judged(interval, items=none), None).low

    assert ahead(4) < 0 < ahead(7)


def test_the_interval_of_a_difference_covers_it() -> None:
    """Two sources that are right on 0.8 and 0.7 of the items, as pairs that agree more often than not."""
    covered = 0
    interval = judged("probe", noise(100)).interval
    for seed in range(400):
        rng = np.random.default_rng(seed)
        one = rng.random(150) < 0.8
        other = np.where(rng.random(150) < 0.75, one & (rng.random(150) < 0.875), rng.random(150) < 0.7)
        found = gap(Judged(interval, items=one.astype(float)), Judged(interval, items=other.astype(float)), None)
        covered += found.low <= 0.1 <= found.high
    assert 0.92 <= covered / 400 <= 0.985


def test_groups_are_drawn_whole() -> None:
    evidence = noise(200, width=1)
    groups = np.repeat(np.arange(10), 20)
    wide, narrow = judged("probe", replace(evidence, groups=groups)), judged("probe", evidence)
    assert wide.interval.high - wide.interval.low != narrow.interval.high - narrow.interval.low
    one = np.r_[np.ones(100), np.zeros(100)]
    half = Judged(narrow.interval, items=one)
    none = Judged(narrow.interval, items=np.zeros(200))
    by_item, by_group = gap(half, none, None), gap(half, none, groups)
    assert by_group.high - by_group.low > 3 * (by_item.high - by_item.low)


def test_a_score_that_is_not_defined_says_why() -> None:
    assert judge(SCORERS["leep"](), noise(20)) == "the source has no head of its own"


def test_where_a_block_leaves_nothing_to_score_the_interval_is_open() -> None:
    found = judged("hscore", noise(1))
    assert not np.isfinite(found.interval.low)
    assert gap(found, judged("hscore", noise(40)), None).high == np.inf


def test_part_of_keeps_what_belongs_together() -> None:
    evidence = replace(noise(6), groups=np.arange(6), source_probabilities=np.eye(6))
    part = part_of(evidence, np.array([5, 0]))
    assert part.groups is not None
    assert part.source_probabilities is not None
    assert part.groups.tolist() == part.source_probabilities.argmax(axis=1).tolist() == [5, 0]
    assert (part.features == evidence.features[[5, 0]]).all()
    assert part.labels.tolist() == evidence.labels[[5, 0]].tolist()
