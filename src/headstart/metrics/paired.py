"""Is one model better than another on the same items: the paired bootstrap and McNemar's test."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log

import numpy as np

from headstart.core.types import Interval
from headstart.metrics.intervals import percentile
from headstart.metrics.resampling import Statistic, bootstrap_counts, collect, once, units_of


@dataclass(frozen=True)
class Difference:
    """How much larger a metric is (`gain`, with its interval), and how easily chance alone would do that."""

    gain: Interval
    p_value: float


def bootstrap_difference(
    better: Statistic,
    worse: Statistic,
    metric: str,
    items: int,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Difference:
    """`metric` of `better` minus that of `worse`, both on the same resamples (Efron and Tibshirani 1993, ch. 16).

    The interval is the percentile one; the p-value is two-sided and agrees with it: below 0.05 just where the
    95 % interval leaves out 0, up to one resample. A metric undefined on the sample gives NaN throughout.
    """

    def gap(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {metric: better(counts)[metric] - worse(counts)[metric]}

    value = float(gap(once(items))[metric][0])
    if not np.isfinite(value):
        return Difference(Interval(value, value, value), np.nan)
    units, number = units_of(items, groups)
    drawn = collect(gap, bootstrap_counts(units, number, resamples, np.random.default_rng(seed)))[metric]
    drawn = drawn[np.isfinite(drawn)]
    gain = percentile(value, drawn, confidence)
    tail = 1 + min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    return Difference(
        Interval(value, min(gain.low, value), max(gain.high, value)), float(min(1.0, 2 * tail / (len(drawn) + 1)))
    )


def mcnemar(first_only: int, second_only: int) -> float:
    """Two-sided mid-p of McNemar's exact test (Lancaster 1961; Fagerland et al. 2013).

    first_only, second_only: items that only the one or only the other model has right. 1.0 where there is none.
    """
    total, fewer = first_only + second_only, min(first_only, second_only)
    if not total:
        return 1.0
    k = np.arange(fewer + 1)
    log_ways = np.array([lgamma(total + 1) - lgamma(i + 1) - lgamma(total - i + 1) for i in k])
    chance = np.exp(log_ways - total * log(2))
    return min(1.0, float(2 * chance.sum() - chance[-1]))
