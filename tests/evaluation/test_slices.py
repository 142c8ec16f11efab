"""Metrics by group of items: each as if the others were not there, and gaps whose intervals keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluation.evaluate import evaluate
from headstart.evaluation.slices import MISSING, SMALLEST, evaluate_slices
from headstart.tasks.classification import Classification
from headstart.tasks.regression import Regression

TASK = Classification(("no", "yes"))


def answers(rates: dict[str, float], n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
    """n items a slice, right with its probability: targets (N,), scores (N, 2), slices."""
    rng = np.random.default_rng(seed)
    names = [name for name in rates for _ in range(n)]
    targets = rng.integers(0, 2, len(names))
    right = rng.random(len(names)) < np.array([rates[name] for name in names])
    said = np.where(right, targets, 1 - targets)
    sure = rng.uniform(0.6, 0.9, len(names))
    scores = np.where(np.arange(2) == said[:, None], sure[:, None], 1 - sure[:, None])
    return targets, scores, list(names)


def test_a_slice_is_judged_as_if_it_were_alone() -> None:
    targets, scores, values = answers({"a": 0.9, "b": 0.6}, 60)
    found = evaluate_slices(TASK, targets, scores, values, "hospital", resamples=200)
    assert [(one.name, one.n) for one in found.slices] == [("a", 60), ("b", 60)]
    alone = evaluate(TASK, targets[60:], scores[60:], resamples=200)
    assert found.slices[1].metrics == alone.metrics


def test_two_slices_have_one_gap_which_is_their_difference() -> None:
    targets, scores, values = answers({"a": 0.95, "b": 0.6}, 100)
    (gap,) = evaluate_slices(TASK, targets, scores, values, "hospital", resamples=300).gaps
    right = scores.argmax(1) == targets
    assert gap.slice == "a"
    assert gap.difference.value == pytest.approx(right[:100].mean() - right[100:].mean())
    assert gap.clear
    assert 0 < gap.difference.low < gap.difference.value < gap.difference.high


def test_intervals_are_of_the_difference_and_widen_with_the_number_of_gaps() -> None:
    """More slices to look at, of the same two that differ: less is clear."""
    two = answers({"a": 0.8, "b": 0.8, "c": 0.8}, 50)
    many = answers({"a": 0.8, "b": 0.8, "c": 0.8, **{f"d{i}": 0.8 for i in range(9)}}, 50)
    widths = []
    for targets, scores, values in (two, many):
        found = evaluate_slices(TASK, targets, scores, values, "x", resamples=500)
        gap = next(gap for gap in found.gaps if gap.slice == "a")
        widths.append(gap.difference.high - gap.difference.low)
        assert f"Of {len(found.gaps)} gaps looked at" in found.notes[0]
    one = 2 * 1.96 * np.sqrt(0.16 / 50)  # of the slice alone
    assert widths[0] > one
    assert widths[1] > 1.1 * one


def test_where_nothing_differs_few_gaps_are_clear() -> None:
    clear = 0
    for seed in range(20):
        targets, scores, values = answers(dict.fromkeys("abcd", 0.8), 40, seed)
        clear += any(gap.clear for gap in evaluate_slices(TASK, targets, scores, values, "x", resamples=100).gaps)
    assert clear <= 4, f"{clear} of 20 tables without a difference are said to hold one"


def test_slices_that_are_all_right_are_not_certain() -> None:
    targets, scores, values = answers({"a": 1.0, "b": 1.0}, 25)
    (gap,) = evaluate_slices(TASK, targets, scores, values, "x", resamples=100).gaps
    assert gap.difference.value == 0
    assert gap.difference.low < -0.05
    assert gap.difference.high > 0.05


def test_small_and_missing_slices_are_named() -> None:
    targets, scores, values = answers({"a": 0.9, "b": 0.9, "c": 0.9}, 40)
    values[40 : 40 + SMALLEST + 1] = ["rare"] * 5 + [None] * (SMALLEST - 4)
    found = evaluate_slices(TASK, targets, scores, values, "x", resamples=100)
    assert found.small == {"b": 19, MISSING: SMALLEST - 4, "rare": 5}
    assert {one.name for one in found.slices} == {"a", "c"}
    assert any("Too small to say" in note and "rare (5)" in note for note in found.notes)


def test_groups_are_drawn_whole_unless_they_are_the_slices() -> None:
    """Items of one patient that agree tell less than as many patients."""
    targets, scores, values = answers({"a": 0.8, "b": 0.8}, 100)
    targets, scores, values = targets.repeat(4), scores.repeat(4, axis=0), [v for v in values for _ in range(4)]
    patients = np.array([f"p{i // 4}" for i in range(800)])
    single = evaluate_slices(TASK, targets, scores, values, "x", resamples=300).gaps[0].difference
    grouped = evaluate_slices(TASK, targets, scores, values, "x", groups=patients, resamples=300).gaps[0].difference
    assert grouped.high - grouped.low > 1.6 * (single.high - single.low)
    same = (
        evaluate_slices(TASK, targets, scores, values, "x", groups=np.array(values), resamples=300).gaps[0].difference
    )
    assert same == single


def test_numbers_have_slices_too_and_json_is_plain() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(90, 1))
    scores = targets + rng.normal(size=(90, 1)) * np.repeat([0.1, 1.0, 0.1], 30)[:, None]
    task = Regression(("y",), (0.0,), (1.0,))
    document = evaluate_slices(
        task, targets, scores, ["a"] * 30 + ["b"] * 30 + ["c"] * 30, "lab", resamples=100
    ).to_json()
    assert document["metric"] == "r2"
    assert document["gaps"][0]["slice"] == "b"
    assert document["gaps"][0]["difference"]["value"] < 0
    assert set(document) == {"column", "metric", "slices", "too_small", "gaps", "notes"}
