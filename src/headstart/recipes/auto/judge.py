"""Which of two models is kept, and why.

A candidate is trained without sight of the validation items, which are asked once for each: is it better than the
champion? How sure that must be grows with every question (`headstart.metrics.evidence`). Of two linear heads training
items are asked, too: each what the heads of the folds say that have not seen it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.data.dataset import Role
from headstart.methods.finetune.probe import in_output_units
from headstart.metrics.calibration import fit_temperature
from headstart.metrics.evidence import evidence, item_losses
from headstart.nn.linear import LinearFit
from headstart.recipes.auto.plan import Move
from headstart.recipes.fitted import Member
from headstart.recipes.prepare import Part
from headstart.training.loop import TrainingLoop, direction


@dataclass(frozen=True)
class Candidate:
    """Something that could be shipped. answer: (N, K) logits of a part. validation: those of the validation items.

    fit: of linear heads on features as the sources give them. loop: of what was trained otherwise.
    """

    move: Move
    members: tuple[Member, ...]
    answer: Callable[[Role], np.ndarray]
    validation: np.ndarray
    fit: LinearFit | None = None
    loop: TrainingLoop | None = None

    @property
    def notes(self) -> dict[str, Any]:
        """What was chosen while it was fitted."""
        if self.fit is not None:
            return {"probe": {"C": self.fit.strength, "criterion": "log_loss", "curve": list(self.fit.curve.items())}}
        return self.loop.notes if self.loop else {}


@dataclass(frozen=True)
class Asked:
    """Two models' answers to the same items, and what is right. champion, challenger: (N, K) logits."""

    champion: np.ndarray
    challenger: np.ndarray
    targets: np.ndarray
    groups: np.ndarray | None
    units: Units | None = None


class Judge:
    """Compares on the training and validation items of `parts`. monitor: the metric that must not become worse, None:
    the task's own."""

    def __init__(self, task: Task, parts: Mapping[Role, Part], monitor: str | None) -> None:
        self._task = task
        self._parts = parts
        self._metric = monitor or task.primary
        self._looks = 0

    def __call__(self, champion: Candidate | None, challenger: Candidate) -> tuple[bool, str]:
        """Whether the challenger replaces the champion, and why.

        Of two linear heads, cross-validation on training items says which could be better before anything is asked: a
        question that is spared leaves more for the others. And what they said of items held out of training counts like
        what they say of validation items, which are few.
        """
        if champion is None:
            return True, "the first"
        in_training = self._asked_in_training(champion, challenger)
        if in_training:
            theirs, mine = (float(losses.mean()) for losses in self._losses(in_training))
            if mine >= theirs:
                seen = f"({mine:.3g}, {theirs:.3g})"
                return False, f"its loss in cross-validation is no lower {seen}: no question was asked"
        part = self._parts["validation"]
        if not len(part):
            return False, "there are no validation items to compare on"
        self._looks += 1
        every = [Asked(champion.validation, challenger.validation, part.targets, part.groups, part.units)]
        every += [in_training] if in_training else []
        before, after = zip(*(self._losses(asked) for asked in every), strict=True)
        found = evidence(np.concatenate(before), np.concatenate(after), looks=self._looks, groups=_groups(every))
        words = f"p = {found.p_value:.3g}, to be below {found.level:.3g} at look {self._looks}"
        if found.convinces and sum(len(asked.targets) * self._gain(asked) for asked in every) < 0:
            return False, f"its loss is lower ({words}), but its {self._metric} is worse"
        return found.convinces, words

    def score(self, candidate: Candidate) -> float:
        """The metric on validation items."""
        part = self._parts["validation"]
        if not len(part):
            return float("nan")
        return self._task.metrics(part.targets, self._task.scores(candidate.validation), part.units)[self._metric]

    def _asked_in_training(self, champion: Candidate, challenger: Candidate) -> Asked | None:
        """What both said of training items that were held out; None where one of them held none out."""
        one, other = (each.fit.held_out if each.fit else None for each in (champion, challenger))
        if one is None or other is None:
            return None
        train = self._parts["train"]
        items, units = np.intersect1d(one.items, other.items, assume_unique=True), train.units
        if units is not None:  # texts of which every word was held out
            here = np.isin(np.arange(len(train.targets)), items)
            whole = [unit for unit in range(len(units)) if here[units.rows(unit)].all()]
            items, units = units.every(whole), units.take(whole)
        if not len(items):
            return None
        before, after = (each.logits[np.searchsorted(each.items, items)] for each in (one, other))
        return Asked(before, after, train.targets[items], None if train.groups is None else train.groups[items], units)

    def _losses(self, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """(N,) and (N,): of each item, calibrated; the champion's and the challenger's."""

        def losses(logits: np.ndarray) -> np.ndarray:
            if self._task.kind == "single":
                logits = logits / fit_temperature(logits, asked.targets)
            return item_losses(logits, in_output_units(self._task, asked.targets), self._task.kind)

        return losses(asked.champion), losses(asked.challenger)

    def _gain(self, asked: Asked) -> float:
        """By how much the challenger's metric is better."""
        before, after = (
            self._task.metrics(asked.targets, self._task.scores(logits), asked.units)[self._metric]
            for logits in (asked.champion, asked.challenger)
        )
        return (after - before) * direction(self._metric)


def _groups(every: Sequence[Asked]) -> np.ndarray | None:
    """(N,) of items of several parts, none of whose groups is in two of them; None where no part has any."""
    if all(asked.groups is None for asked in every):
        return None
    codes, start = [], 0
    for asked in every:
        names = np.arange(len(asked.targets)) if asked.groups is None else asked.groups
        code = np.unique(names, return_inverse=True)[1].reshape(-1)
        codes.append(code + start)
        start += int(code.max(initial=-1)) + 1
    return np.concatenate(codes)
