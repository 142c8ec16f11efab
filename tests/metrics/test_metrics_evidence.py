"""Evidence: believed where it is strong, spent with every look, silent where there is little of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from headstart.metrics.evidence import LEVEL, evidence, item_losses


def test_the_p_value_is_that_of_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    champion = rng.exponential(size=40)
    challenger = champion - 0.1 + 0.4 * rng.normal(size=40)
    expected = ttest_rel(champion, challenger, alternative="greater")
    found = evidence(champion, challenger, looks=1)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.gain == pytest.approx((champion - challenger).mean())
    assert evidence(challenger, champion, looks=1).p_value == pytest.approx(1 - expected.pvalue, rel=1e-9)


def test_where_nothing_is_better_luck_is_believed_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(1)
    fooled = 0
    for _ in range(1000):
        champion = rng.exponential(size=60)
        looks = (evidence(champion, champion + rng.normal(size=60), looks=look) for look in range(1, 13))
        fooled += any(found.convinces for found in looks)
    assert 0.5 * LEVEL < fooled / 1000 < LEVEL + 0.03


def test_what_is_clearly_better_convinces_also_late() -> None:
    rng = np.random.default_rng(2)
    champion = rng.exponential(size=100)
    assert evidence(champion, champion - 0.3 + 0.2 * rng.normal(size=100), looks=12).convinces


def test_what_belongs_together_counts_once() -> None:
    rng = np.random.default_rng(3)
    difference = np.repeat(rng.normal(0.3, 1, size=8) ** 2 - 0.6, 50)
    groups = np.repeat(np.arange(8), 50)
    champion = np.zeros(400)
    alone = evidence(champion, champion - difference, looks=1, groups=groups)
    assert alone.p_value == pytest.approx(ttest_rel(difference[::50], np.zeros(8), alternative="greater").pvalue)
    together = evidence(champion, champion - difference, looks=1)
    assert abs(together.p_value - 0.5) > abs(alone.p_value - 0.5)


def test_with_few_groups_items_are_paired_and_each_group_must_agree() -> None:
    rng = np.random.default_rng(4)
    champion, gain = rng.exponential(size=90), 0.3 + 0.2 * rng.normal(size=90)
    one, three = np.zeros(90), np.repeat(np.arange(3), 30)
    found = evidence(champion, champion - gain, looks=1, groups=one)
    assert found.convinces
    assert found.p_value == pytest.approx(ttest_rel(gain, np.zeros(90), alternative="greater").pvalue)
    assert evidence(champion, champion - gain, looks=1, groups=three).convinces
    gain[three == 1] -= 0.4  # still better on the whole, worse in one group
    assert evidence(champion, champion - gain, looks=1).convinces
    assert not evidence(champion, champion - gain, looks=1, groups=three).convinces


@pytest.mark.parametrize(("gain", "p_value"), [(0.2, 0.0), (0.0, 1.0), (-0.2, 1.0)])
def test_a_constant_difference(gain: float, p_value: float) -> None:
    losses = np.ones(10)
    assert evidence(losses, losses - gain, looks=3).p_value == p_value


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_handful_of_items_never_convinces(count: int) -> None:
    assert not evidence(np.ones(count), np.zeros(count), looks=1).convinces


def test_losses_of_items() -> None:
    z = np.array([[2.0, 0.0], [-1.0, 1.0]])
    single = item_losses(z, np.array([0, 0]), "single")
    assert single == pytest.approx([np.log1p(np.exp(-2)), np.log1p(np.exp(2))])
    multi = item_losses(z, np.array([[1, 0], [0, 1]]), "multi")
    assert multi[0] == pytest.approx((np.log1p(np.exp(-2)) + np.log(2)) / 2)
    assert item_losses(z, z + 2, "number") == pytest.approx([4, 4])
