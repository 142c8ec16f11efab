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


def bootstrap(
    statistic: Statistic,
    items: int,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
    proportions: Collection[str] = (),
) -> dict[str, Interval]:
    """Bias-corrected and accelerated interval (Efron 1987) for every metric that is defined on the sample.

    statistic: (items, R) counts -> metrics of each resample. groups: (items,) what must be drawn together.
    proportions: names of metrics that are shares of items. Where such a one is the same in every resample (all items
    right, say), the bootstrap knows no doubt, and Wilson's interval over items or groups stands in.
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
        else:
            found[name] = _accelerated(value, sample, without.get(name, np.empty(0)), confidence)
    return found


def percentile(value: float, sample: np.ndarray, confidence: float = 0.95) -> Interval:
    """The middle of what resampling gave. sample: (R,) finite."""
    low, high = np.quantile(sample, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))


def calibration_error(
    gap: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Interval of the expected calibration error, which sampling noise inflates and resampling inflates again.

    gap: (N, bins) as from `headstart.metrics.calibration.gaps`. The noise of the bins can have added no more than its
    own absolute sum to the error, whose upper quantile is therefore taken off for the lower end; the upper end is that
    of the resamples. Wide rather than wrong: the interval covers the error of the binned curve at least as often as
    it says.
    """
    units, number = units_of(len(gap), groups)
    error, noise = [], []
    for counts in bootstrap_counts(units, number, resamples, np.random.default_rng(seed)):
        drawn = gap.T @ counts / counts.sum(axis=0, dtype=np.float64)
        error.append(np.abs(drawn).sum(axis=0))
        noise.append(np.abs(drawn - gap.mean(axis=0)[:, None]).sum(axis=0))
    value, upper = float(np.abs(gap.mean(axis=0)).sum()), (1 + confidence) / 2
    low, high = value - np.quantile(np.concatenate(noise), upper), np.quantile(np.concatenate(error), upper)
    return Interval(value, max(0.0, float(low)), max(value, float(high)))


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
