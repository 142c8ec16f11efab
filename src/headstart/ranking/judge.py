"""What chance may do to a score, and to the difference of two: intervals, and ties called ties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from headstart.core.scorer import Evidence, Scorer
from headstart.core.types import Interval
from headstart.metrics.intervals import bootstrap
from headstart.metrics.resampling import Statistic, units_of

BLOCKS = 10
"""Parts of which each is left out once, where a score is no mean over items."""
NORMAL = {0.95: 1.959964, 0.99: 2.575829}


@dataclass(frozen=True)
class Judged:
    """A score with its 95 % interval, and what it takes to compare it with another source's on the same items.

    items: (N,) as in `Score`; None where the score is no mean over items, and `blocks` (B,) holds its values without
    each block of items in turn.
    """

    interval: Interval
    items: np.ndarray | None = None
    blocks: np.ndarray | None = None

    @property
    def value(self) -> float:
        return self.interval.value


def judge(scorer: Scorer, evidence: Evidence) -> Judged | str:
    """The score with its interval, or the reason why it is not defined.

    Means over items: the bootstrap over items, or over groups where there are any (bias-corrected and accelerated;
    Wilson's where all items are alike). Other scores: the delete-a-block jackknife (Efron and Tibshirani 1993, ch. 11).
    """
    found = scorer.score(evidence)
    if found.value is None:
        return found.reason
    if found.items is not None:
        share = {"score"} if evidence.kind == "single" else set[str]()
        intervals = bootstrap(
            _mean(found.items), len(found.items), groups=evidence.groups, seed=evidence.seed, proportions=share
        )
        low, high = intervals["score"].low, intervals["score"].high
        return Judged(Interval(found.value, min(low, found.value), max(high, found.value)), items=found.items)
    blocks = _without_each_block(lambda part: scorer.score(part).value, evidence)
    half = NORMAL[0.95] * _jackknife_error(blocks)
    return Judged(Interval(found.value, found.value - half, found.value + half), blocks=blocks)


def gap(one: Judged, other: Judged, groups: np.ndarray | None, *, confidence: float = 0.95) -> Interval:
    """How much higher `one` scores than `other`, of another source on the same items: paired, item by item.

    confidence: 0.95 or 0.99. groups: (N,) as of the evidence. Means over items: the adjusted Wald interval (Bonett and
    Price 2012), for which a handful of items that all speak for one side are no proof. Other scores: the jackknife.
    """
    value, z = one.value - other.value, NORMAL[confidence]
    if one.items is not None and other.items is not None:
        value = float((one.items - other.items).mean())
        centre, error = _paired(one.items - other.items, groups)
        return Interval(value, min(centre - z * error, value), max(centre + z * error, value))
    if one.blocks is None or other.blocks is None or len(one.blocks) != len(other.blocks):
        return Interval(value, -np.inf, np.inf)
    half = z * _jackknife_error(one.blocks - other.blocks)
    return Interval(value, value - half, value + half)


def _paired(differences: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    """The centre and standard error of a mean difference (N,), as if two more units had spoken, one for each side."""
    units, number = units_of(len(differences), groups)
    sums, sizes = np.bincount(units, differences, number), np.bincount(units, minlength=number).astype(np.float64)
    most, usual = np.abs(sums).max(), sizes.mean()
    sums, sizes = np.append(sums, [most, -most]), np.append(sizes, [usual, usual])
    centre = float(sums.sum() / sizes.sum())
    spread = ((sums - centre * sizes) ** 2).sum() * len(sums) / (len(sums) - 1)
    return centre, float(np.sqrt(spread) / sizes.sum())


def _mean(items: np.ndarray) -> Statistic:
    def statistic(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {"score": items @ counts / counts.sum(axis=0)}

    return statistic


def _without_each_block(score: Callable[[Evidence], float | None], evidence: Evidence) -> np.ndarray:
    """(B,) the score without each block. Empty where it is not defined without one of them."""
    units, number = units_of(len(evidence.labels), evidence.groups)
    block = np.random.default_rng(evidence.seed).permutation(np.arange(number) % BLOCKS)[units]
    values = [score(part_of(evidence, np.flatnonzero(block != b))) for b in range(min(BLOCKS, number)) if number > 1]
    return np.array([]) if None in values else np.array(values, dtype=np.float64)


def part_of(evidence: Evidence, rows: np.ndarray) -> Evidence:
    """The evidence of some items."""
    groups, head = evidence.groups, evidence.source_probabilities
    return replace(
        evidence,
        features=evidence.features[rows],
        labels=evidence.labels[rows],
        groups=None if groups is None else groups[rows],
        source_probabilities=None if head is None else head[rows],
    )


def _jackknife_error(blocks: np.ndarray) -> float:
    """The standard error of a score, from its values without each of B blocks of about equal size."""
    return float(np.sqrt((len(blocks) - 1) * blocks.var())) if len(blocks) > 1 else np.inf
