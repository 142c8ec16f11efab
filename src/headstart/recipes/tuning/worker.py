"""A worker: a process of its own that judges one trial after the other.

It is handed a job on standard input, writes to the ledger only, and ends when there is nothing left to do or its parent
is gone. It holds the training and validation items and no other: test data cannot reach a trial.
"""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from headstart.core.card import Input, input_from_json
from headstart.core.errors import UserError
from headstart.core.options import METHOD_PREFIX, train_config
from headstart.core.task import Task
from headstart.data.dataset import Dataset, Item, Role
from headstart.data.kept import Kept
from headstart.methods import make_method
from headstart.recipes.choose import suited
from headstart.recipes.encode import feature_bank
from headstart.recipes.models import make_loop, new_model
from headstart.recipes.prepare import Target, make_part
from headstart.recipes.tuning.ledger import Ledger
from headstart.recipes.tuning.space import Choices, Dimension, Range
from headstart.tasks import from_json as task_from_json
from headstart.training.loop import LOWER_IS_BETTER

if TYPE_CHECKING:
    from optuna.trial import Trial

STEPS = 100
"""A trial's progress is counted in percent."""


@dataclass(frozen=True)
class Job:
    """What a worker must know.

    folder: of the study. pool: the training and validation items. digests: of each. divisions: for each, the role of
    every item; the first is the data's own. fixed: options of every trial. metric: what trials are compared by.
    epochs: that the method trains by default. trials: how many the search is to have; None judges those again that
    wait for it. worker: its number. threads: of the processor, for this worker.
    """

    folder: Path
    pool: Dataset
    digests: tuple[str, ...]
    divisions: tuple[tuple[Role, ...], ...]
    task: Task
    contract: Input
    source: str
    method: str
    fixed: Mapping[str, Any]
    space: Mapping[str, Dimension]
    metric: str
    epochs: int
    seed: int
    trials: int | None
    worker: int = 0
    threads: int = 1

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `from_json` makes the same job in another process."""
        plain = ("divisions", "source", "method", "fixed", "metric", "epochs", "seed", "trials", "worker", "threads")
        return {
            **{name: getattr(self, name) for name in plain},
            "folder": str(self.folder),
            "digests": self.digests,
            "items": [_plain_item(item) for item in self.pool.items],
            "pool": {name: getattr(self.pool, name) for name in ("name", "modality", "kind", "targets")},
            "task": self.task.to_json(),
            "contract": self.contract.model_dump(mode="json"),
            "space": {key: asdict(dimension) for key, dimension in self.space.items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Job:
        pool, space = data.pop("pool"), data.pop("space")
        pool["targets"] = tuple(pool["targets"])
        return cls(
            **{
                **{name: value for name, value in data.items() if name != "items"},
                "folder": Path(data["folder"]),
                "pool": Dataset(items=tuple(_item(item) for item in data["items"]), **pool),
                "digests": tuple(data["digests"]),
                "divisions": tuple(tuple(roles) for roles in data["divisions"]),
                "task": task_from_json(data["task"]),
                "contract": input_from_json(data["contract"]),
                "space": {
                    key: Choices(tuple(found["values"])) if "values" in found else Range(**found)
                    for key, found in space.items()
                },
            }
        )


@dataclass(frozen=True)
class Judged:
    """What came of a training. value: of the metric on validation items, NaN where it was ended early; loss: there.
    looks: how often the validation items were looked at."""

    value: float
    loss: float
    looks: int
    seconds: float
    pruned: bool = False


def _plain_item(item: Item) -> dict[str, Any]:
    plain = {name: getattr(item, name) for name in ("id", "label", "split", "group", "domain", "columns", "versions")}
    match item.input:
        case bytes():
            return plain | {"bytes": base64.b64encode(item.input).decode()}
        case Path():
            return plain | {"path": str(item.input)}
        case _:
            return plain | {"value": item.input}


def _item(plain: dict[str, Any]) -> Item:
    label = tuple(plain["label"]) if isinstance(plain["label"], list) else plain["label"]
    input: Any
    if "path" in plain:
        input = Path(plain["path"])
    elif "bytes" in plain:
        input = base64.b64decode(plain["bytes"])
    else:
        input = tuple(plain["value"]) if isinstance(plain["value"], list) else plain["value"]
    versions = tuple(tuple(found) if isinstance(found, list) else found for found in plain["versions"])
    places = (plain["split"], plain["group"], plain["domain"])
    return Item(plain["id"], input, label, *places, tuple(plain["columns"]), versions=versions)


class _Pruned(Exception):
    """Halving has ended the trial."""


class Worker:
    """What the trials of one process share."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.ledger = Ledger(job.folder, job.space, job.seed)
        self._source = suited(job.source, job.pool, contract=job.contract)
        self._targets: dict[int, Target] = {}

    @cached_property
    def _kept(self) -> Kept:
        return Kept(self.job.contract)

    def work(self) -> None:
        """Until nothing is left to do."""
        job = self.job
        if job.trials is None:
            while (trial := self.ledger.claim_again(job.worker)) is not None:
                self._judge_again(trial)
        else:
            while (trial := self.ledger.claim(job.worker, job.trials)) is not None:
                self._judge(trial)

    def _judge(self, trial: Trial) -> None:
        """One trial of the search. The first, the method's own defaults, is what others are held against, and never
        ended early."""
        study, states = self.ledger.search, self.ledger.states
        twin = self.ledger.twin(trial)
        if twin is not None:
            trial.set_user_attr("twin", twin.number)
            study.tell(trial, twin.value if twin.state == states.COMPLETE else None, twin.state)
            return
        seen = set(study.trials[trial.number].intermediate_values)

        def report(score: float, percent: int) -> None:
            if percent not in seen:
                seen.add(percent)
                trial.report(score, percent)
            if trial.number > 0 and self.ledger.is_behind(trial.number, percent):
                raise _Pruned

        try:
            judged = self.train({**self.job.fixed, **trial.params}, 0, self._place(f"trial-{trial.number}"), report)
        except UserError as error:  # a rate at which it diverges, say: as bad as can be, and no reason to stop
            trial.set_user_attr("reason", str(error))
            study.tell(trial, state=states.PRUNED)
        else:
            self._note(trial, judged)
            if judged.pruned:
                study.tell(trial, state=states.PRUNED)
            else:
                study.tell(trial, comparable(judged.value, judged.loss, self.job.metric))
        shutil.rmtree(self._place(f"trial-{trial.number}"), ignore_errors=True)

    def _judge_again(self, trial: Trial) -> None:
        number, division = trial.params["trial"], trial.params["division"]
        place = self._place(f"trial-{number}-division-{division}")
        options = {**self.job.fixed, **self.ledger.trials()[number].params}
        try:
            judged = self.train(options, division, place, lambda score, percent: None)
        except UserError as error:
            trial.set_user_attr("reason", str(error))
            self.ledger.again.tell(trial, state=self.ledger.states.FAIL)
        else:
            self._note(trial, judged)
            self.ledger.again.tell(trial, comparable(judged.value, judged.loss, self.job.metric))
        shutil.rmtree(place, ignore_errors=True)

    def train(
        self, options: Mapping[str, Any], division: int, place: Path, report: Callable[[float, int], None]
    ) -> Judged:
        """Train as `fit` would with these options, and judge on the validation items of that division.

        report: called after an epoch with the best score so far and the percent of the training that is over; it may
        end the training by raising `_Pruned`.
        """
        job, began = self.job, time.perf_counter()
        config, target = train_config(options), self._target(division)
        own = {k.removeprefix(METHOD_PREFIX): v for k, v in options.items() if k.startswith(METHOD_PREFIX)}
        method = make_method(job.method, own)
        total = max(1, config.epochs if config.epochs is not None else job.epochs)

        def record(row: Mapping[str, Any]) -> None:
            del row  # it is the last of the loop's history
            percent = STEPS * len(loop.history) // total
            if percent < STEPS:
                report(max(_score(row, job.metric) for row in loop.history), percent)

        bank = feature_bank(self._source, target.parts, wanted=config.precision)
        model = new_model(self._source, target, job.seed, pretrained=method.pretrained)
        loop = make_loop(model, target, config, job.seed, place, precision=bank.precision, bank=bank, record=record)
        try:
            method.fit(model, loop)
        except _Pruned:
            return Judged(math.nan, math.nan, len(loop.history), time.perf_counter() - began, pruned=True)
        validation = target.parts["validation"]
        logits = loop.logits(validation.batches)
        loss = float(job.task.loss(torch.as_tensor(logits), torch.as_tensor(validation.targets)))
        value = job.task.metrics(validation.targets, job.task.scores(logits), validation.units)[job.metric]
        return Judged(value, loss, len(loop.history) + 1, time.perf_counter() - began)

    def _target(self, division: int) -> Target:
        """The items in the parts of a division, test not among them."""
        job = self.job
        if division not in self._targets:
            parts = {
                role: make_part(
                    job.pool,
                    [i for i, mine in enumerate(job.divisions[division]) if mine == role],
                    job.digests,
                    self._kept,
                    job.contract,
                    job.task,
                )
                for role in ("train", "validation")
            }
            self._targets[division] = Target(job.pool.name, job.task, job.contract, parts, (), "")  # type: ignore[arg-type]
        return self._targets[division]

    def _place(self, name: str) -> Path:
        """Where a trial keeps its checkpoints."""
        return self.job.folder / "trials" / name

    def _note(self, trial: Trial, judged: Judged) -> None:
        for name in ("value", "loss", "looks", "seconds"):
            value = getattr(judged, name)
            trial.set_user_attr(name, value if math.isfinite(value) else None)


def comparable(value: float, loss: float, metric: str) -> float:
    """What trials are ordered by, larger is better: the metric, and of equals the lower loss, as the loop does it."""
    signed = -value if metric in LOWER_IS_BETTER else value
    return (signed if math.isfinite(signed) else -1e9) - 1e-6 * min(loss, 1e3)


def _score(row: Mapping[str, Any], metric: str) -> float:
    return comparable(row[f"validation_{metric}"], row["validation_loss"], metric)


def _leave_with_parent() -> None:
    """Standard input stays open for as long as the parent lives."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


def main(message: bytes) -> None:
    """message: a job in JSON."""
    job = Job.from_json(json.loads(message))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(job.threads)
    Worker(job).work()
