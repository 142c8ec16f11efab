"""Intervals: Wilson for proportions, the bootstrap (over items, or over whole groups) for everything else."""

from __future__ import annotations

from collections.abc import Collection
from statistics import NormalDist

import numpy as np

from headstart.core.types import Interval
from headstart.metrics.resampling import Statistic, bootstrap_counts, collect, jackknife_counts, once, units_of

_BLOCKS = 200  # the jackknife leaves out this many blocks of units at most
_NORMAL = NormalDist()


def wilson(right: float, total: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927). total > 0; `right` need not be whole."""
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    share = right / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return Interval(share, float(min(share, max(0.0, centre - half))), float(max(share, min(1.0, centre + half))))


def mean_of(parts: list[Interval]) -> Interval:
    """Interval of the mean of independent proportions, each with its own interval (MOVER; Zou and Donner 2008, eq. 8).

    Unlike the bootstrap it stays honest where a class of three items happens to be all right.
    """
    value = np.mean([p.value for p in parts])
    down = np.sqrt(sum((p.value - p.low) ** 2 for p in parts)) / len(parts)
    up = np.sqrt(sum((p.high - p.value) ** 2 for p in parts)) / len(parts)
    return Interval(float(value), float(max(0.0, value - down)), float(min(1.0, value + up)))


def bootstrap(
    statistic: Statistic,
    items: int,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
    proportions: Collection[str] = (),
    biased: Collection[str] = (),
) -> dict[str, Interval]:
    """An interval for every metric that is defined on the sample.

    statistic: (items, R) counts -> metrics of each resample. groups: (items,) what must be drawn together.
    proportions: names of metrics that are shares of items. Where such a one is the same in every resample (all items
    right, say), the bootstrap knows no doubt, and Wilson's interval over items or groups stands in.
    biased: names of metrics that any resampling inflates (calibration errors); they take the basic interval
    (Davison and Hinkley 1997, eq. 5.6). The others take the bias-corrected and accelerated one (Efron 1987).
    """
    rng = np.random.default_rng(seed)
    units, number = units_of(items, groups)
    point = statistic(once(items))
    drawn = collect(statistic, bootstrap_counts(units, number, resamples, rng))
    without = collect(statistic, jackknife_counts(units, number, min(number, _BLOCKS), rng)) if number > 1 else {}
    found: dict[str, Interval] = {}
    for name, values in point.items():
        value = float(values[0])
        if not np.isfinite(value):
            continue
        sample = drawn[name][np.isfinite(drawn[name])]
        if name in proportions and np.ptp(sample) < 1e-12:
            found[name] = wilson(value * number, number, confidence)
        elif name in biased:
            found[name] = _basic(value, sample, confidence)
        else:
            found[name] = _accelerated(value, sample, without.get(name, np.empty(0)), confidence)
    return found


def percentile(value: float, sample: np.ndarray, confidence: float = 0.95) -> Interval:
    """The middle of what resampling gave. sample: (R,) finite."""
    low, high = np.quantile(sample, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))


def _basic(value: float, sample: np.ndarray, confidence: float) -> Interval:
    """The percentile interval mirrored at the value, kept at or above 0 and around the value."""
    mirrored = percentile(value, sample, confidence)
    return Interval(value, min(value, max(0.0, 2 * value - mirrored.high)), max(value, 2 * value - mirrored.low))


def _accelerated(value: float, sample: np.ndarray, without: np.ndarray, confidence: float) -> Interval:
    """BCa (Efron 1987): percentiles shifted for bias and for a spread that changes with the value.

    sample: (R,) of resamples. without: (J,) of jackknife blocks.
    """
    near = 1e-12 * max(1.0, abs(value))
    below = np.mean(sample < value - near) + 0.5 * np.mean(np.abs(sample - value) <= near)
    bias = _NORMAL.inv_cdf(float(np.clip(below, 0.5 / len(sample), 1 - 0.5 / len(sample))))
    influence = np.mean(without) - without if len(without) else np.zeros(1)
    spread = float((influence**2).sum())
    acceleration = float((influence**3).sum()) / (6 * spread**1.5) if spread > near**2 else 0.0

    def level(nominal: float) -> float:
        shifted = bias + _NORMAL.inv_cdf(nominal)
        return _NORMAL.cdf(bias + shifted / max(1e-3, 1 - acceleration * shifted))

    low, high = np.quantile(sample, [level((1 - confidence) / 2), level((1 + confidence) / 2)])
    return Interval(value, float(min(low, value)), float(max(high, value)))
