"""Learning-rate schedules: plain functions from progress in [0, 1) to a factor of the base rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from headstart.core.errors import ConfigError, unknown_name

Schedule = Callable[[float], float]


def cosine(warmup: float) -> Schedule:
    """Linear warm-up over the share `warmup`, then half a cosine down to zero (Loshchilov and Hutter 2017, eq. 5)."""

    def factor(progress: float) -> float:
        if progress < warmup:
            return max(progress / warmup, 1e-3)
        return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))

    return factor


def one_cycle(warmup: float, start: float = 25.0, end: float = 1e4) -> Schedule:
    """Cosine up from 1/start over `warmup` (at least 0.1), cosine down to 1/(start*end) (Smith 2018)."""
    rise = max(warmup, 0.1)

    def between(a: float, b: float, share: float) -> float:
        return b + (a - b) * 0.5 * (1 + math.cos(math.pi * share))

    def factor(progress: float) -> float:
        if progress < rise:
            return between(1 / start, 1.0, progress / rise)
        return between(1.0, 1 / (start * end), (progress - rise) / (1 - rise))

    return factor


def constant(warmup: float) -> Schedule:
    """The base rate after a linear warm-up."""
    return lambda progress: max(progress / warmup, 1e-3) if progress < warmup else 1.0


def slanted(warmup: float, ratio: float = 32.0) -> Schedule:
    """Slanted triangle: a short linear rise, a long linear fall to 1/ratio (Howard and Ruder 2018, eq. 3)."""
    cut = max(warmup, 1e-6)

    def factor(progress: float) -> float:
        share = progress / cut if progress < cut else 1 - (progress - cut) / (1 - cut)
        return (1 + share * (ratio - 1)) / ratio

    return factor


SCHEDULES: dict[str, Callable[[float], Schedule]] = {
    "cosine": cosine,
    "one-cycle": one_cycle,
    "constant": constant,
    "slanted": slanted,
}


def make_schedule(name: str, warmup: float) -> Schedule:
    """The schedule of that name. warmup: share of the phase spent rising, in [0, 1)."""
    try:
        return SCHEDULES[name](warmup)
    except KeyError:
        raise ConfigError(unknown_name("schedule", name, SCHEDULES)) from None
