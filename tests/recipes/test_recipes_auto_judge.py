"""What decides between two models: validation items, and for linear heads the training items that were held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.core.passages import Units
from headstart.data.loader import Batches
from headstart.nn.linear import HeldOut, LinearFit
from headstart.recipes.auto.judge import Candidate, Judge
from headstart.recipes.auto.plan import Move
from headstart.tasks.classification import Classification

TASK = Classification(("a", "b", "c"))
TRAIN, VALIDATION = 200, 12


class Part:
    """As much of a part as the judge looks at."""

    def __init__(self, targets: np.ndarray, groups: np.ndarray | None = None, units: Units | None = None) -> None:
        self.targets, self.groups, self.units = targets, groups, units
        self.batches: Batches | None = None

    def __len__(self) -> int:
        return len(self.targets)


def answers(targets: np.ndarray, sure: float, rng: np.random.Generator) -> np.ndarray:
    """Logits that are the righter, the surer."""
    out: np.ndarray = sure * np.eye(3)[targets] + rng.normal(size=(len(targets), 3))
    return out


def parts(groups: bool = False) -> dict[Any, Any]:
    rng = np.random.default_rng(0)
    made = {}
    for role, count in (("train", TRAIN), ("validation", VALIDATION)):
        names = np.array([f"item {i // 4}" for i in range(count)]) if groups else None
        made[role] = Part(rng.integers(0, 3, count), names)
    return made


def head(data: dict[Any, Any], sure: float, seed: int, items: np.ndarray | None = None) -> Candidate:
    """A linear head, as sure of validation items as of those that were held out of training."""
    rng = np.random.default_rng(seed)
    said = answers(data["train"].targets, sure, rng)
    items = np.arange(TRAIN) if items is None else items
    heard = answers(data["validation"].targets, sure, rng)
    fit = LinearFit(np.zeros((3, 2)), np.zeros(3), 1.0, {1.0: 1.0}, HeldOut(items, said[items]))
    return Candidate(Move(kind="probe", sources=("x",)), (), lambda role: said, heard, fit)


@pytest.mark.parametrize("groups", [False, True])
def test_what_twelve_validation_items_cannot_tell_items_held_out_of_training_can(groups: bool) -> None:
    data = parts(groups)
    worse, better = head(data, 1.5, 1), head(data, 2.5, 2)
    kept, why = Judge(TASK, data, None)(worse, better)
    assert kept, why
    plain = [Candidate(each.move, (), each.answer, each.validation) for each in (worse, better)]
    kept, why = Judge(TASK, data, None)(*plain)
    assert not kept
    assert "at look 1" in why


def test_a_head_that_cross_validation_speaks_against_costs_no_look() -> None:
    data = parts()
    judge = Judge(TASK, data, None)
    kept, why = judge(head(data, 2.5, 1), head(data, 1.5, 2))
    assert not kept
    assert "no question was asked" in why
    assert "at look 1" in judge(head(data, 1.5, 1), head(data, 2.5, 2))[1]


def test_only_items_that_both_held_out_are_compared() -> None:
    data = parts()
    worse, better = head(data, 1.5, 1, np.arange(0, TRAIN, 2)), head(data, 2.5, 2, np.arange(0, TRAIN, 3))
    asked = Judge(TASK, data, None)._asked_in_training(worse, better)
    assert asked is not None
    assert np.array_equal(asked.targets, data["train"].targets[::6])
    assert np.array_equal(asked.champion, worse.fit.held_out.logits[::3])  # type: ignore[union-attr]
    assert np.array_equal(asked.challenger, better.fit.held_out.logits[::2])  # type: ignore[union-attr]
    apart = [head(data, 2, seed, items) for seed, items in enumerate((np.arange(50), np.arange(50, 90)))]
    assert Judge(TASK, data, None)._asked_in_training(*apart) is None


def test_of_a_text_every_word_counts_or_none() -> None:
    data = parts()
    data["train"].units = Units(tuple(range(50)), np.arange(0, TRAIN + 1, 4))  # type: ignore[arg-type]
    without = np.delete(np.arange(TRAIN), [9])
    asked = Judge(TASK, data, None)._asked_in_training(head(data, 1.5, 1), head(data, 2.5, 2, without))
    assert asked is not None
    assert asked.units is not None
    assert len(asked.units) == 49
    assert len(asked.targets) == TRAIN - 4


def test_needless_replacements_are_as_rare_as_was_promised() -> None:
    """Twelve heads that are as good as the champion: one search in five may replace it. One in seven does; at a level
    that is not spent nearly half of them would."""
    replaced = 0
    for trial in range(150):
        rng = np.random.default_rng(trial)
        data = parts()
        judge = Judge(TASK, data, None)
        champion = head(data, 1.5, int(rng.integers(1 << 30)))
        replaced += any(judge(champion, head(data, 1.5, int(rng.integers(1 << 30))))[0] for _ in range(12))
    assert 0 < replaced / 150 < 0.25
