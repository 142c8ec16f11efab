"""How the time of a call is shared between the search, the second judgement of the finalists and the final fits."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.core.duration import seconds_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STARTING = 5.0
"""Seconds that a worker needs before it trains."""

FITTING = 8.0
"""Seconds of a fit beside reading and training: baselines, judging, saving."""

SHARE = 1 / 3
"""The most of the budget that goes into judging finalists again."""


class Clock:
    """budget: seconds or "10m", for everything from now on; None is without end.

    best: the trial whose run an earlier call has left, default: whether it has left that of the defaults.
    """

    best: int | None = None
    default = False

    def __init__(self, budget: float | str | None) -> None:
        self._began = time.monotonic()
        self.budget = math.inf if budget is None else seconds_of(budget)
        self._opening = 0.0

    @property
    def spent(self) -> float:
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        return self.budget - self.spent

    def opened(self) -> None:
        """The data is read and the source loaded: every fit will need about as long for that again."""
        self._opening = self.spent

    def fits(self, found: Sequence[FrozenTrial]) -> float:
        """Seconds to fit the best and the defaults in the ordinary way. found: the finalists so far, the best first."""
        others = sorted(found[1:], key=lambda trial: trial.number != 0)
        wanted = [trial for trial in found[:1] if trial.number != self.best]
        wanted += [trial for trial in others[:1] if not self.default]
        return sum(1.2 * _seconds(trial) + self._opening + FITTING for trial in wanted)

    def rounds(self, found: Sequence[FrozenTrial], wanted: int, workers: int) -> int:
        """How many whole rounds of judging all finalists again there is time for, at most `wanted`; there is nothing to
        judge between fewer than two."""
        if self.budget == math.inf or len(found) < 2:
            return wanted if len(found) > 1 else 0
        time_left = min(SHARE * self.budget, self.left - self.fits(found)) - STARTING
        return max(0, min(wanted, int(time_left / _round(found, workers))))

    def search_is_over(self, found: Sequence[FrozenTrial], wanted: int, workers: int) -> bool:
        """Whether the search must make way for what follows it: as many of the `wanted` rounds as a share of the budget
        allows, and the fits."""
        if not found:
            return self.left < 0
        affordable = (SHARE * self.budget - STARTING) / _round(found, workers)
        rounds = int(min(wanted, max(0.0, affordable))) if len(found) > 1 else 0
        again = STARTING + rounds * _round(found, workers) if rounds else 0.0
        return self.left < self.fits(found) + again


def _round(found: Sequence[FrozenTrial], workers: int) -> float:
    """Seconds to judge each of these once more."""
    return max(1e-3, sum(_seconds(trial) for trial in found) / workers)


def _seconds(trial: FrozenTrial) -> float:
    return float(trial.user_attrs.get("seconds") or 0.0)
