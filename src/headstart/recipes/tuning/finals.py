"""Who wins: the finalists of the search, judged again on fresh divisions, and the best of them on the whole.

The best of many validation scores is optimistic: the more trials and the fewer items, the more of it is luck (Cawley
and Talbot 2010, section 5). A fresh division repeats the training with other items held out, so that luck on one of
them does not decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from headstart.data.dataset import Dataset, Role
from headstart.data.splits import assign_splits
from headstart.recipes.prepare import Target
from headstart.recipes.tuning.ledger import Ledger
from headstart.training.randomness import derive

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

FINALISTS = 3
"""Trials that are judged again, beside the defaults."""

ENOUGH, DIVISIONS = 300, 5
"""With so many validation items one division is enough (two standard errors of an accuracy are then below 6 points);
with fewer there are as many divisions as make up for it, up to five."""


@dataclass(frozen=True)
class Choice:
    """winner: the trial. values: trial number -> its metric on each division that all finalists were judged on; the
    first division is the data's own, on which the search was made."""

    winner: FrozenTrial
    default: FrozenTrial
    values: Mapping[int, tuple[float, ...]]

    @property
    def tuned(self) -> bool:
        """Whether anything was better than the defaults."""
        return self.winner.number != self.default.number


def divisions(target: Target, pool: Dataset, digests: tuple[str, ...], seed: int) -> tuple[tuple[Role, ...], ...]:
    """For each division the role of every item of `pool`: the data's own first, then fresh ones in the same proportion.

    Groups, and items of nearly equal content, are never separated.
    """
    own = tuple(item.split or "train" for item in pool.items)
    validation = own.count("validation")
    count = max(1, min(DIVISIONS, math.ceil(ENOUGH / max(1, validation))))
    place = {item.id: i for i, item in enumerate(pool.items)}
    alike = [[place[id] for id in together if id in place] for together in target.alike]
    share = validation / len(own)
    blank = pool.with_items([replace(item, split=None) for item in pool.items])
    made: list[tuple[Role, ...]] = [own]
    for number in range(1, count):
        fresh = assign_splits(
            blank,
            digests,
            seed=derive(seed, "division", number),
            near_duplicate_groups=[together for together in alike if together],
            fractions=(1 - share, share, 0.0),
        )
        made.append(tuple("validation" if item.split == "validation" else "train" for item in fresh.items))
    return tuple(made)


def finalists(ledger: Ledger) -> list[FrozenTrial]:
    """The best trials of the search and the defaults, the best first; [] until the defaults are judged."""
    done = [trial for trial in ledger.complete() if trial.user_attrs.get("value") is not None]  # twins have none
    default = [trial for trial in done if trial.number == 0]
    if not default:
        return []
    best = [trial for trial in done if trial.number > 0][:FINALISTS]
    return sorted([*default, *best], key=lambda trial: (-float(trial.value or 0.0), trial.number))


def choose(ledger: Ledger, found: list[FrozenTrial]) -> Choice:
    """The finalist with the best mean over all divisions that every finalist was judged on; of equals the earlier."""
    repeats = {key: trial for key, trial in ledger.repeats().items() if trial.user_attrs.get("value") is not None}
    every = [0]
    for division in range(1, DIVISIONS):
        if all((trial.number, division) in repeats for trial in found):
            every.append(division)

    def judged(trial: FrozenTrial, division: int) -> FrozenTrial:
        return repeats[trial.number, division] if division else trial

    scores = {t.number: fmean(float(judged(t, d).value or 0.0) for d in every) for t in found}
    winner = min(found, key=lambda trial: (-scores[trial.number], trial.number))
    values = {t.number: tuple(float(judged(t, d).user_attrs["value"]) for d in every) for t in found}
    return Choice(winner, next(t for t in found if t.number == 0), values)
