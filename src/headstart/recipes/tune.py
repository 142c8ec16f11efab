"""Tune: search a method's options on validation data, fit the best, and say what the search was worth.

    headstart tune photos/ --method lp-ft --trials 30 --budget 10m --out studies/mine

The search begins with the method's own defaults, so that on validation data it cannot end below them. A few finalists
are judged again on fresh divisions of the training and validation items, because the best of many scores on few items
is mostly the luckiest. The winner and the defaults are then fitted in the ordinary way, and only then is the test part
looked at, once for each.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from headstart import __version__
from headstart.core.errors import ArtifactError, ConfigError
from headstart.core.extras import require
from headstart.core.options import METHOD_PREFIX, build, train_config
from headstart.core.progress import Progress, Silent
from headstart.data.dataset import Dataset
from headstart.data.read import read_dataset
from headstart.methods import METHODS
from headstart.nn.freeze import weighted_blocks
from headstart.recipes import folder
from headstart.recipes.choose import default_source, suited
from headstart.recipes.fit import DEFAULT_METHOD, fit
from headstart.recipes.models import new_model
from headstart.recipes.prepare import Target, label_kind, prepare
from headstart.recipes.recipe import DataRecipe, Recipe, VerdictLevel
from headstart.recipes.run import Run
from headstart.recipes.translate import retold, translators
from headstart.recipes.tuning.clock import Clock
from headstart.recipes.tuning.crew import Ending, run_crew
from headstart.recipes.tuning.finals import choose, divisions, finalists
from headstart.recipes.tuning.ledger import Ledger
from headstart.recipes.tuning.plan import FILE, Plan, require_place
from headstart.recipes.tuning.rehearsal import phases_of
from headstart.recipes.tuning.result import FILE as RESULT
from headstart.recipes.tuning.result import Study, publish
from headstart.recipes.tuning.space import PURPOSE, Dimension, Facts, first_values, make_space
from headstart.recipes.tuning.worker import Job

TRIALS = 30
GLANCE = 1.0
"""Seconds between two looks at what the workers have done."""


def tune(
    data: str | Path | Dataset,
    *,
    source: str = "auto",
    method: str = "auto",
    trials: int = TRIALS,
    budget: str | float | None = None,
    space: Iterable[str] | Mapping[str, Any] = (),
    out: str | Path | None = None,
    workers: int = 1,
    task: str | None = None,
    input: str | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    seed: int = 0,
    verdict: VerdictLevel = "quick",
    options: Mapping[str, Any] | None = None,
    photos: bool = True,
    progress: Progress | None = None,
) -> Study:
    """Search the options of `method` on `data`, fit the best, and judge it against the method's defaults.

    trials: how many the study is to have in all. budget: seconds, or "60s", "10m", "2h": how long this call may take.
    space: other values for what is searched, `["learning_rate=1e-5..1e-3", "batch_size=16,32"]` or `{"learning_rate":
        (1e-5, 1e-3), "batch_size": [16, 32]}`. options: of every trial; these are not searched.
    out: the study's folder; the same call goes on with what is in it. None is `runs/tune-<data>-<method>`.
    source: a name, as every worker loads it by itself. workers: processes that share the processor's threads. The rest
        is as of `fit`.

    Ctrl-C ends the search and fits the best so far. Raises UserError as `fit` does, ConfigError where `out` holds a
    study of another search space or of other data, or where the budget ends before the defaults were judged once.
    """
    clock, progress = Clock(budget), progress or Silent()
    require("optuna", "tune", PURPOSE)
    if trials < 1 or workers < 1:
        raise ConfigError(f"--trials {trials} --workers {workers}: expected 1 or more of each.")
    request = _Request(data, source, DEFAULT_METHOD if method == "auto" else method, dict(options or {}), seed)
    about = DataRecipe(path=_name(data), input=input, label=label, group=group, split=split, task=task)
    place = Path(out) if out is not None else _usual_place(about.path, request.method)
    require_place(place)
    opened = _open(request, about, space, progress)
    clock.opened()
    with folder.only_writer(place):
        if (place / FILE).is_file():
            opened.plan.require_same(Plan.read(place), place)
        else:
            opened.plan.write(place)
        if (place / RESULT).is_file():
            clock.best, clock.default = Study(place).result["best"]["trial"], folder.is_complete(place / "default")
        ledger = Ledger(place, opened.space, seed)
        ledger.release()
        ledger.enqueue_first(opened.plan.first)
        ending = _search(opened.job(place, trials), ledger, clock, workers, progress)
        found = finalists(ledger)
        if not found:
            raise _nothing_found(ledger, ending, clock, opened.plan.metric, place)
        choice = choose(ledger, found)
        more = {"task": task, "input": input, "label": label, "group": group, "split": split, "photos": photos}
        progress.stage("fitting the best")
        best = _fit(request, choice.winner.params, place / "best", opened, progress, verdict=verdict, **more)
        default = None
        if choice.tuned:
            progress.stage("fitting the defaults")
            default = _fit(request, None, place / "default", opened, progress, verdict="none", **more)
        return publish(place, opened.plan, opened.target, ledger, choice, best, default, ending, clock.spent)


@dataclass(frozen=True)
class _Request:
    """What the user asked to be tuned. fixed: the options of every trial."""

    data: str | Path | Dataset
    source: str
    method: str
    fixed: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class _Opened:
    """The data, read, and what follows from it and from the source. epochs: that the method trains by default."""

    target: Target
    space: Mapping[str, Dimension]
    plan: Plan
    epochs: int

    def job(self, place: Path, trials: int) -> Job:
        """What the workers get to see: training and validation items, and no other."""
        parts = [self.target.parts[role] for role in ("train", "validation")]
        pool = parts[0].given.with_items([item for part in parts for item in part.given.items])
        digests = tuple(digest for part in parts for digest in part.given_digests)
        return Job(
            folder=place,
            pool=pool,
            digests=digests,
            divisions=divisions(self.target, pool, digests, self.plan.seed),
            task=self.target.task,
            contract=self.target.contract,
            source=self.plan.source,
            method=self.plan.method,
            fixed=self.plan.fixed,
            space=self.space,
            metric=self.plan.metric,
            epochs=self.epochs,
            seed=self.plan.seed,
            trials=trials,
        )


def _open(
    request: _Request, about: DataRecipe, space: Iterable[str] | Mapping[str, Any], progress: Progress
) -> _Opened:
    config = train_config(request.fixed)
    if config.pretrain.epochs:
        raise ConfigError(
            "pretrain.epochs: every trial would learn the same again. Pretrain once, and tune from what comes of it: "
            "headstart pretrain DATA --out runs/p, then headstart tune DATA --source runs/p"
        )
    own = {key: value for key, value in request.fixed.items() if key.startswith(METHOD_PREFIX)}
    method = build(METHODS[request.method], own)
    if isinstance(request.data, Dataset):
        dataset = request.data
    else:
        kind, columns = label_kind(about.task), about.model_dump(include={"input", "label", "group", "split"})
        dataset = read_dataset(request.data, kind=kind, **columns)
    name = default_source(dataset) if request.source == "auto" else request.source
    source = suited(name, dataset, request.seed, standardise=config.standardise)
    away = translators(config.augment, dataset)
    target = prepare(dataset, source.card.input, seed=request.seed, progress=progress)
    target = retold(target, away, progress) if away else target
    progress.stage("loading the source")
    model = new_model(source, target, request.seed, pretrained=method.pretrained)
    blocks = len(weighted_blocks(model))
    phases = phases_of(method, model, target.task, config)
    items = target.parts["train"].count
    facts = Facts(method, phases, config, request.fixed, target.task.kind, items, blocks)
    searched = make_space(facts, space)
    plan = Plan(
        headstart=__version__,
        data=about.model_copy(update={"fingerprint": target.fingerprint}),
        source=name,
        source_sha256=source.card.sha256,
        method=request.method,
        fixed=dict(request.fixed),
        space={key: str(dimension) for key, dimension in searched.items()},
        first=first_values(facts, searched),
        metric=config.monitor or target.task.primary,
        seed=request.seed,
    )
    return _Opened(target, searched, plan, facts.epochs)


def _search(job: Job, ledger: Ledger, clock: Clock, workers: int, progress: Progress) -> Ending:
    """Trials, then the finalists again, as far as there is time."""
    threads, wanted, trials = torch.get_num_threads(), len(job.divisions) - 1, job.trials or 0
    progress.stage("tuning")

    def enough() -> bool:
        progress.advance("tuning", ledger.finished(), trials)
        return ledger.is_hopeless() or clock.search_is_over(finalists(ledger), wanted, workers)

    ending = run_crew(job, workers, threads, ledger, _now_and_then(enough))
    found = finalists(ledger)
    if ending == "interrupted" or len(found) < 2:
        return ending
    rounds = clock.rounds(found, wanted, workers)
    ledger.enqueue_again([(trial.number, division) for division in range(1, rounds + 1) for trial in found])
    progress.stage("judging the finalists again")

    def no_more() -> bool:
        progress.advance("judging the finalists again", len(ledger.repeats()), rounds * len(found))
        return clock.left < clock.fits(found)

    if rounds:
        again = run_crew(replace(job, trials=None), workers, threads, ledger, _now_and_then(no_more))
        ending = "interrupted" if again == "interrupted" else ending
    return ending


def _now_and_then(ask: Callable[[], bool]) -> Callable[[], bool]:
    """The same question, but asked once a second only; no in between."""
    asked = -GLANCE

    def over() -> bool:
        nonlocal asked
        if time.monotonic() - asked < GLANCE:
            return False
        asked = time.monotonic()
        return ask()

    return over


def _fit(
    request: _Request, values: Mapping[str, Any] | None, out: Path, opened: _Opened, progress: Progress, **more: Any
) -> Run:
    """The run of these values, of the defaults where None; as it is if it is there already."""
    options = {**request.fixed, **(values or {})}
    if folder.is_complete(out) and _is_of(out, options, opened.plan):
        return Run(out)
    return fit(
        request.data,
        source=opened.plan.source,
        method=request.method,
        out=out,
        seed=request.seed,
        options=options,
        overwrite=True,
        progress=progress,
        **more,
    )


def _is_of(run: Path, options: Mapping[str, Any], plan: Plan) -> bool:
    """Whether a finished run is one of these options, on the data and the source of the plan."""
    try:
        recipe = Recipe.read(run / "recipe.yaml")
    except ArtifactError:
        return False
    own = {k.removeprefix(METHOD_PREFIX): v for k, v in options.items() if k.startswith(METHOD_PREFIX)}
    return (recipe.train, recipe.method_options, recipe.method, recipe.seed, recipe.source_sha256) == (
        train_config(options),
        own,
        plan.method,
        plan.seed,
        plan.source_sha256,
    ) and recipe.data.fingerprint == plan.data.fingerprint


def _nothing_found(ledger: Ledger, ending: Ending, clock: Clock, metric: str, place: Path) -> BaseException:
    """Why there is no result: not even the defaults were judged."""
    default = ledger.trials()[0]
    if ending == "interrupted":
        return KeyboardInterrupt()
    if "reason" in default.user_attrs:
        return ConfigError(f"the method's defaults cannot be tuned from: {default.user_attrs['reason']}")
    if default.state == ledger.states.COMPLETE:
        return ConfigError(f"{metric} is undefined on the validation items. Name another with --set monitor=METRIC.")
    return ConfigError(
        f"--budget {clock.budget:g} s ended before the method's defaults were judged once. Give more time, in the same "
        f"--out {place} to go on, or a cheaper --method."
    )


def _name(data: str | Path | Dataset) -> str:
    if isinstance(data, Dataset):
        return data.name
    return str(data) if str(data).startswith("hf:") else str(Path(data).absolute())


def _usual_place(data: str, method: str) -> Path:
    """`runs/tune-<data>-<method>`: the same every time, so that the same command goes on."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data).name).strip("-.") or "data"
    return Path("runs") / f"tune-{stem}-{method}"
