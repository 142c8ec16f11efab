"""A finished study: its folder as the Python API hands it over, `tune.json` and the page about it."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from headstart import __version__
from headstart.artifacts.load import describe
from headstart.core.errors import ArtifactError
from headstart.core.types import Interval
from headstart.data.modalities import MODALITIES
from headstart.data.modalities.base import Modality
from headstart.evaluation.compare import Verdict, compare_runs
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.report.content import NextStep
from headstart.evaluation.report.study import Searched, StudyReport, Tried, write_study
from headstart.recipes import folder
from headstart.recipes.prepare import Target
from headstart.recipes.run import Run
from headstart.recipes.tuning.crew import Ending
from headstart.recipes.tuning.finals import Choice
from headstart.recipes.tuning.ledger import Ledger
from headstart.recipes.tuning.plan import Plan
from headstart.tasks import from_json
from headstart.training.loop import LOWER_IS_BETTER

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SCHEMA = 1
FILE = "tune.json"
SUBJECT, AGAINST = "the tuned model", "the model with the method's defaults"


@dataclass(frozen=True)
class Study:
    """The folder of a study that has a result."""

    path: Path

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def best(self) -> Run:
        """The run of the winner: it predicts, evaluates and ships as any other."""
        return Run(self.path / "best")

    @cached_property
    def result(self) -> dict[str, Any]:
        """`tune.json`. Raises ArtifactError where the study has none yet."""
        path = self.path / FILE
        if not path.is_file():
            raise ArtifactError(f"{self.path} holds no study with a result. Go on with the same `headstart tune`.")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def summary(self) -> str:
        """What a person wants to know first, a few lines."""
        return "\n".join(_lines(self))


def publish(
    place: Path,
    plan: Plan,
    target: Target,
    ledger: Ledger,
    choice: Choice,
    best: Run,
    default: Run | None,
    ending: Ending,
    seconds: float,
) -> Study:
    """Write the page and, last of all, `tune.json`. default: the run of the defaults; None where they won."""
    verdict = None if default is None else _verdict(best, default, plan.seed)
    if default is None:
        shutil.rmtree(place / "default", ignore_errors=True)
    test = {"best": best, "default": default or best}
    metric = plan.metric if plan.metric in best.metrics["test"] else best.metrics["primary"]
    intervals = {name: Interval.from_json(run.metrics["test"][metric]) for name, run in test.items()}
    importances = ledger.importances()
    tried = [_tried(ledger, trial, plan.metric) for trial in ledger.trials()]
    looks = sum(int(t.user_attrs.get("looks") or 0) for t in (*ledger.trials(), *ledger.repeats().values()))
    higher = plan.metric not in LOWER_IS_BETTER
    values = {number: list(found) for number, found in choice.values.items()}
    first, *fresh = values[choice.winner.number]
    judged = (sum(t.state == "complete" for t in tried), sum(t.state == "pruned" for t in tried))
    n = {str(role): part.count for role, part in target.parts.items()}
    result = {
        "schema": SCHEMA,
        "headstart": __version__,
        "task": target.task.name,
        "source": plan.source,
        "method": plan.method,
        "seed": plan.seed,
        "metric": plan.metric,
        "n": n,
        "ending": ending,
        "best": {
            "trial": choice.winner.number,
            "options": {**plan.fixed, **choice.winner.params},
            "validation": first,
            "validation_fresh": fmean(fresh) if fresh else None,
            "test": intervals["best"].to_json(),
            "run": "best",
        },
        "default": {
            "options": {**plan.fixed, **choice.default.params},
            "validation": values[0][0],
            "validation_fresh": fmean(values[0][1:]) if fresh else None,
            "test": intervals["default"].to_json(),
            "run": "default" if default is not None else "best",
        },
        "verdict": None if verdict is None else verdict.to_json(),
        "looks": {
            "trials": len(tried),
            "complete": judged[0],
            "pruned": judged[1],
            "validation": looks,
            "test": 1 if default is None else 2,
        },
        "optimism": (first - intervals["best"].value) * (1 if higher else -1),
        "finalists": values,
        "importances": importances,
        "space": plan.space,
        "trials": [trial.__dict__ for trial in tried],
        "cost": {
            "seconds": round(seconds, 3),
            "trial_seconds": round(sum(trial.seconds for trial in tried), 3),
            "best_seconds": best.metrics["cost"]["seconds"],
        },
    }
    report = StudyReport(
        title=target.name,
        folder=str(place),
        method=plan.method,
        source=plan.source,
        n=n,
        metric=metric,
        trials=tried,
        space=[
            Searched(
                key,
                text,
                choice.default.params.get(key),
                choice.winner.params.get(key),
                importances.get(key, 0.0) if importances else None,
                text.endswith("(log)"),
            )
            for key, text in plan.space.items()
        ],
        finalists=values,
        winner=choice.winner.number,
        test=intervals["best"],
        test_default=intervals["default"],
        verdict=verdict,
        looks=looks,
        seconds=seconds,
        ending=ending,
        higher=higher,
        next_steps=_next_steps(place, MODALITIES[from_json(describe(best.path).task).modality]),
        environment={name: str(value) for name, value in best.metrics["environment"].items()},
    )
    write_study(place / "report.html", report)
    folder.write_json(place / FILE, result)
    with contextlib.suppress(OSError):  # what was not tried to its end keeps its checkpoints there
        (place / "trials").rmdir()
    return Study(place)


def _tried(ledger: Ledger, trial: FrozenTrial, metric: str) -> Tried:
    states, attrs = ledger.states, trial.user_attrs
    value, detail = attrs.get("value"), str(attrs.get("reason", ""))
    if "twin" in attrs:
        value = ledger.trials()[attrs["twin"]].user_attrs.get("value")
        detail = f"the same options as trial {attrs['twin']}"
    state = "complete" if trial.state == states.COMPLETE else "pruned"
    if trial.state in (states.WAITING, states.RUNNING):
        state = "waiting"
    elif trial.state == states.FAIL or "reason" in attrs:
        state = "failed"
    elif state == "pruned" and trial.intermediate_values:
        last = max(trial.intermediate_values.values())
        value = -last if metric in LOWER_IS_BETTER else last
    return Tried(trial.number, dict(trial.params), state, value, float(attrs.get("seconds") or 0.0), detail)  # type: ignore[arg-type]


def _verdict(best: Run, default: Run, seed: int) -> Verdict:
    """Of the two models on the same test items, which no trial has seen."""
    ours, theirs = (
        Predictions.load(run.path / "predictions.jsonl", from_json(describe(run.path).task)) for run in (best, default)
    )
    return compare_runs(ours, theirs, names=(SUBJECT, AGAINST), seed=seed)


def _next_steps(place: Path, modality: Modality[Any, Any]) -> list[NextStep]:
    best = shlex.quote(str(place / "best"))
    return [
        NextStep(f"Label new {modality.plural} with the winner", f"headstart predict {best} {modality.example[0]}"),
        NextStep(f"Judge it on other labelled {modality.plural}", f"headstart evaluate {best} {modality.example[1]}"),
        NextStep("Fit the winner again, to the same numbers", f"headstart fit {best}/recipe.yaml --out runs/again"),
    ]


def _lines(study: Study) -> Iterable[str]:
    found = study.result
    best, default, looks, metric = found["best"], found["default"], found["looks"], found["metric"].replace("_", " ")
    yield (
        f"{found['method']} on {found['source']}: {looks['trials']} trials ({looks['pruned']} ended early), "
        f"{looks['validation']} looks at {found['n']['validation']} validation items"
    )
    if found["verdict"] is None:
        yield "nothing was better on validation data than the method's own options"
    else:
        changed = [f"{k}={_short(v)}" for k, v in best["options"].items() if default["options"].get(k) != v]
        yield f"best: trial {best['trial']}, {' '.join(changed)}"
    for label, row in (("best", best), ("defaults", default)):
        fresh = "" if row["validation_fresh"] is None else f", fresh divisions {row['validation_fresh']:.3f}"
        test = row["test"]
        yield (
            f"  {label:8}  validation {metric} {row['validation']:.3f}{fresh}, "
            f"test {test['value']:.3f} ({test['low']:.3f} to {test['high']:.3f})"
        )
    if found["verdict"] is not None:
        yield f"on test items: {found['verdict']['words']}"
    yield (
        f"the best of {looks['validation']} looks at validation items is partly luck (here {found['optimism']:+.3f} "
        "against the test items): quote the test interval."
    )
    yield f"report: {study.report}"
    yield f"model:  {study.best.model}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
