"""Every metric by group of items, and where the groups differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.core.types import Interval
from headstart.evaluation.evaluate import PROPORTIONS, evaluate, judged_items
from headstart.metrics.intervals import bootstrap, wilson
from headstart.metrics.resampling import Metrics, Statistic

SMALLEST: Final = 20
"""Items below which a slice says too little."""
MOST: Final = 40
"""Slices that are looked at, the largest first."""
MISSING: Final = "(missing)"


@dataclass(frozen=True)
class Slice:
    """The items that share a value. metrics: as of an Evaluation, on these alone."""

    name: str
    n: int
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class Gap:
    """How far a slice lies from all other items, in the primary metric: the slice's value less the others'.

    difference: with an interval of the difference itself, so wide that all gaps that were looked at lie in theirs
    with 95 % confidence. clear: it leaves 0 out.
    """

    slice: str
    n: int
    difference: Interval

    @property
    def clear(self) -> bool:
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True)
class Slices:
    """column: what the items were divided by. metric: the primary one. slices: the largest first. small: name -> items
    of those too small to say. gaps: the largest first, one of each slice; of two slices alone there is one gap.
    notes: what a reader should know."""

    column: str
    metric: str
    slices: tuple[Slice, ...]
    small: dict[str, int]
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "metric": self.metric,
            "slices": [
                {"name": s.name, "n": s.n, "metrics": {name: i.to_json() for name, i in s.metrics.items()}}
                for s in self.slices
            ],
            "too_small": dict(self.small),
            "gaps": [
                {"slice": g.slice, "n": g.n, "difference": g.difference.to_json(), "clear": g.clear} for g in self.gaps
            ],
            "notes": list(self.notes),
        }


def evaluate_slices(
    task: Task,
    targets: np.ndarray,
    scores: np.ndarray,
    values: Sequence[str | None],
    column: str,
    *,
    groups: np.ndarray | None = None,
    units: Units | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Slices:
    """Judge each group of items that share a value, and hold it against all the others.

    values: (N,) of each item (text, where words are predicted), None where it is missing. column: what they are values
    of. The rest as in `evaluate`; where the slices are the groups themselves (or parts of them), intervals draw single
    items.
    """
    names = np.array([MISSING if value is None else value for value in values])
    count = Counter(names.tolist())
    judged = _Judged(task, targets, scores, groups, units)
    if judged.groups is not None and all(len(set(judged.groups[names == name])) == 1 for name in count):
        judged = _Judged(task, targets, scores, None, units)
    ordered = sorted(count, key=lambda name: (-count[name], name))
    kept = [name for name in ordered if count[name] >= SMALLEST][:MOST]
    small = {name: count[name] for name in ordered if count[name] < SMALLEST}
    found = []
    for name in kept:
        one = judged.only(names == name)
        told = evaluate(task, one.targets, one.scores, groups=one.rows, units=one.units, seed=seed, resamples=resamples)
        found.append(Slice(name, told.n, told.metrics))
    gaps = _gaps(judged, names, kept, seed, 2 * resamples)
    notes = _notes(column, gaps, small, len([n for n in ordered if count[n] >= SMALLEST]) - len(kept))
    return Slices(column, task.primary, tuple(found), small, tuple(gaps), tuple(notes))


@dataclass(frozen=True)
class _Judged:
    """What is divided. rows: (N,) the group of each row."""

    task: Task
    targets: np.ndarray
    scores: np.ndarray
    rows: np.ndarray | None
    units: Units | None

    @property
    def groups(self) -> np.ndarray | None:
        """Of each item."""
        return judged_items(len(self.targets), self.rows, self.units)[1]

    def only(self, inside: np.ndarray) -> _Judged:
        """The items that `inside` is true of."""
        rows = np.flatnonzero(inside)
        units = None
        if self.units is not None:
            units, rows = self.units.take(rows), self.units.every(rows)
        own = None if self.rows is None else self.rows[rows]
        return _Judged(self.task, self.targets[rows], self.scores[rows], own, units)


def _gaps(judged: _Judged, names: np.ndarray, kept: Sequence[str], seed: int, resamples: int) -> list[Gap]:
    """Each slice against all other items; Bonferroni over those that are looked at."""
    task = judged.task
    looked = kept[:1] if len(set(names.tolist())) == 2 else [name for name in kept if (names != name).any()]
    gaps = []
    for name in looked:
        inside = names == name
        confidence = 1 - 0.05 / len(looked)

        both = [
            (part, task.statistic(one.targets, one.scores, one.units, task.primary))
            for part, one in ((inside, judged.only(inside)), (~inside, judged.only(~inside)))
        ]

        def difference(counts: np.ndarray, both: list[tuple[np.ndarray, Statistic]] = both) -> Metrics:
            one, other = (measure(counts[part])[task.primary] for part, measure in both)
            return {"gap": one - other}

        drawn = bootstrap(
            difference, len(names), groups=judged.groups, seed=seed, resamples=resamples, confidence=confidence
        ).get("gap")
        if drawn is None:  # undefined in one of the two
            continue
        if drawn.low == drawn.high and task.primary in PROPORTIONS:
            drawn = _newcombe(drawn.value, int(inside.sum()), int((~inside).sum()), confidence)
        gaps.append(Gap(name, int(inside.sum()), drawn))
    return sorted(gaps, key=lambda gap: -abs(gap.difference.value))


def _newcombe(value: float, inside: int, outside: int, confidence: float) -> Interval:
    """Where no resample differs, both shares are 0 or 1: the difference of two such (Newcombe 1998, method 10)."""
    one = wilson(inside if value >= 0 else 0, inside, confidence)
    other = wilson(0 if value > 0 else outside, outside, confidence)
    low = value - np.hypot(one.value - one.low, other.high - other.value)
    high = value + np.hypot(one.high - one.value, other.value - other.low)
    return Interval(value, float(max(-1.0, low)), float(min(1.0, high)))


def _notes(column: str, gaps: Sequence[Gap], small: dict[str, int], left: int) -> list[str]:
    notes = []
    if gaps:
        clear = sum(gap.clear for gap in gaps)
        notes.append(
            f"Of {len(gaps)} gap{'s' if len(gaps) > 1 else ''} looked at, {clear or 'none'} "
            f"{'is' if clear < 2 else 'are'} clear. Each interval is of the difference, and wide enough that all of "
            "them hold together with 95% confidence."
        )
    else:
        notes.append(f"There are no two parts by {column} that are large enough to compare.")
    if small:
        shown = ", ".join(f"{name} ({n})" for name, n in list(small.items())[:8])
        more = f" and {len(small) - 8} more" if len(small) > 8 else ""
        notes.append(f"Too small to say, fewer than {SMALLEST} items: {shown}{more}.")
    if left > 0:
        notes.append(f"{left} further slices were not looked at; only the {MOST} largest are.")
    return notes
