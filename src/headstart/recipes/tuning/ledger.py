"""The trials of a study, in a SQLite file that any number of processes write to at once and that survives any of them.

Every trial has a number, and what it tries follows from the study's seed, its number and the trials before it. A trial
whose process was killed waits again under its number, and takes up its own checkpoints: one worker, killed as often as
you like, ends in the trials of one that never was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from headstart.core.extras import require
from headstart.recipes.tuning.space import PURPOSE, Dimension
from headstart.training.randomness import derive

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

DATABASE = "study.db"
STARTUP = 6
"""Trials before the sampler takes over from chance."""

RUNGS, KEPT = (25, 50), 2
"""Successive halving: when 25 and when 50 percent of a trial's training are over it must be among the better half (one
in `KEPT`) of all that came as far. Percent, as trials are of different lengths, each with a schedule to its own end."""


class Ledger:
    """The trials in `folder`. space: what is searched. Raises MissingExtra where optuna is not installed."""

    def __init__(self, folder: Path, space: Mapping[str, Dimension], seed: int) -> None:
        self._optuna = require("optuna", "tune", PURPOSE)
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        self.states = self._optuna.trial.TrialState
        self._seed = seed
        self._lock = FileLock(folder / ".claim.lock")
        self._space = {key: dimension.distribution() for key, dimension in space.items()}
        self._size = math.prod(dimension.size for dimension in space.values())
        with self._lock:
            self._storage = self._optuna.storages.RDBStorage(
                f"sqlite:///{folder / DATABASE}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            self.search = self._study("search")
            self.again = self._study("again")
        whole = self._optuna.distributions.IntDistribution
        self._repeat = {"trial": whole(0, 10**6), "division": whole(0, 10**3)}

    def _study(self, name: str) -> Study:
        made: Study = self._optuna.create_study(
            storage=self._storage,
            study_name=name,
            direction="maximize",
            pruner=self._optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        return made

    # -- what is to be done ----------------------------------------------------------------------------------------

    def enqueue_first(self, values: Mapping[str, Any]) -> None:
        """Let the study begin with these values, unless it has begun."""
        if not self.trials():
            self.search.enqueue_trial(dict(values))

    def enqueue_again(self, wanted: Sequence[tuple[int, int]]) -> None:
        """Have (trial, division) judged in this order, those that were excepted, and none that was wanted before."""
        known = set()
        for trial in self.again.get_trials(deepcopy=False):
            asked = _asked(trial)
            if trial.state == self.states.WAITING and asked not in wanted:
                self._storage.set_trial_state_values(trial._trial_id, self.states.FAIL)
            elif trial.state != self.states.FAIL:
                known.add(asked)
        for trial_number, division in wanted:
            if (trial_number, division) not in known:
                self.again.enqueue_trial({"trial": trial_number, "division": division})

    def claim(self, worker: int, most: int) -> Trial | None:
        """A trial of the search for this worker: one that waits, else a new one; None where there are `most`."""
        with self._lock:
            trials = self.trials()
            waiting = any(t.state == self.states.WAITING for t in trials)
            if not waiting and (len(trials) >= most or self._tried(trials) >= self._size):
                return None
            if not waiting:
                self.search.enqueue_trial(self._drawn(trials))
            return self._taken(self.search, self._space, worker)

    def _taken(self, study: Study, space: Mapping[str, Any], worker: int) -> Trial:
        """The first trial that waits, for this worker. Whose it is is noted first, for should it be killed in this."""
        first = study.get_trials(deepcopy=False, states=(self.states.WAITING,))[0]
        self._storage.set_trial_user_attr(first._trial_id, "worker", worker)
        return study.ask(dict(space))

    def _drawn(self, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
        """What the next trial is to try. Drawn in memory and noted whole, as a process that is killed between two of
        optuna's suggestions would leave half a trial, whose other half would then be drawn from other numbers."""
        sampler = self._optuna.samplers.TPESampler(
            multivariate=True, n_startup_trials=STARTUP, seed=derive(self._seed, "trial", len(trials)) % 2**32
        )
        scratch = self._optuna.create_study(direction="maximize", sampler=sampler)
        scratch.add_trials(trials)
        drawn: dict[str, Any] = scratch.ask(self._space).params
        return drawn

    def claim_again(self, worker: int) -> Trial | None:
        """A trial to be judged once more, for this worker; None where none waits."""
        with self._lock:
            if not any(t.state == self.states.WAITING for t in self.again.get_trials(deepcopy=False)):
                return None
            return self._taken(self.again, self._repeat, worker)

    def twin(self, trial: Trial) -> FrozenTrial | None:
        """A finished trial of the same values: training is repeatable, so its result is this one's too."""
        done = (self.states.COMPLETE, self.states.PRUNED)
        found = (t for t in self.trials() if t.state in done and t.params == trial.params)
        return next(found, None)

    def is_behind(self, number: int, percent: int) -> bool:
        """Whether a trial that has just reported its score at `percent` should end (Li et al. 2020, algorithm 2).

        As optuna's SuccessiveHalvingPruner, but read off the reported scores alone: that one notes down which rungs
        were passed, and so answers differently when a killed trial asks again.
        """
        trials = self.trials()
        before = max((step for step in trials[number].intermediate_values if step < percent), default=-1)
        for rung in RUNGS:
            if before < rung <= percent:
                reached = [_first_from(trial, rung) for trial in trials]
                scores = sorted((score for score in reached if score is not None), reverse=True)
                mine = reached[number]
                if mine is not None and mine < scores[max(1, len(scores) // KEPT) - 1]:
                    return True
        return False

    def release(self, worker: int | None = None, *, died: bool = False) -> list[str]:
        """Let running trials (of one worker, or all) wait to be taken up again. died: it was their process that ended
        by itself; those that it happens to twice are given up. Returns what was said of each that was given up."""
        given_up = []
        for study in (self.search, self.again):
            for trial in study.get_trials(deepcopy=False):
                if trial.state != self.states.RUNNING or worker not in (None, trial.user_attrs.get("worker")):
                    continue
                deaths = int(trial.user_attrs.get("deaths", 0)) + died
                self._storage.set_trial_user_attr(trial._trial_id, "deaths", deaths)
                if deaths > 1:
                    reason = "its process ended twice before it did (for want of memory?)"
                    self._storage.set_trial_user_attr(trial._trial_id, "reason", reason)
                    self._storage.set_trial_state_values(trial._trial_id, self.states.FAIL)
                    given_up.append(f"trial {trial.number}: {reason}")
                else:
                    self._storage.set_trial_state_values(trial._trial_id, self.states.WAITING)
        return given_up

    # -- what was found --------------------------------------------------------------------------------------------

    def trials(self) -> list[FrozenTrial]:
        """Of the search, by number."""
        return self.search.get_trials(deepcopy=False)

    def finished(self) -> int:
        """How many trials have come to any end."""
        return sum(trial.state.is_finished() for trial in self.trials())

    def is_hopeless(self) -> bool:
        """Whether the defaults themselves have no score, so that there is nothing to hold trials against."""
        first = self.trials()[0]
        return first.state.is_finished() and first.user_attrs.get("value") is None

    def complete(self) -> list[FrozenTrial]:
        """Those that came to their end, the best first; of equals the earlier."""
        done = [t for t in self.trials() if t.state == self.states.COMPLETE]
        return sorted(done, key=lambda t: (-float(t.value or 0.0), t.number))

    def repeats(self) -> dict[tuple[int, int], FrozenTrial]:
        """Finished judgements on other divisions, by (trial, division)."""
        done = [t for t in self.again.get_trials(deepcopy=False) if t.state == self.states.COMPLETE]
        return {_asked(t): t for t in done}

    def importances(self) -> dict[str, float]:
        """Share of each option in what sets the best quarter of trials apart, the largest first (PED-ANOVA, Watanabe et
        al. 2023). Pruned trials count as not among the best, which is why they were pruned. {} below 8 trials."""
        sample = self._optuna.create_study(direction="maximize")
        for trial in self.trials():
            if trial.state == self.states.COMPLETE:
                value = trial.value
            elif trial.state == self.states.PRUNED and trial.intermediate_values:
                value = trial.intermediate_values[max(trial.intermediate_values)]
            else:
                continue
            sample.add_trial(
                self._optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=value)
            )
        if len(sample.trials) < 8 or len({t.value for t in sample.trials}) < 2:
            return {}
        judge = self._optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
        found: dict[str, float] = self._optuna.importance.get_param_importances(sample, evaluator=judge)
        return found

    def _tried(self, trials: Sequence[FrozenTrial]) -> int:
        """How many different points there were."""
        return len({tuple(sorted((key, str(value)) for key, value in values_of(t).items())) for t in trials})


def values_of(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial tries, also while it waits."""
    values: dict[str, Any] = trial.system_attrs.get("fixed_params") or trial.params
    return values


def _first_from(trial: FrozenTrial, rung: int) -> float | None:
    """The first score that a trial reported at or after a rung."""
    steps = [step for step in trial.intermediate_values if step >= rung]
    return trial.intermediate_values[min(steps)] if steps else None


def _asked(trial: FrozenTrial) -> tuple[int, int]:
    """(trial, division) that a repeat is of, also while it waits."""
    found = values_of(trial)
    return found["trial"], found["division"]
