"""The last part of a run: judge on the test data, once, and write the folder that can be trusted."""

from __future__ import annotations

import math
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart import __version__
from headstart.artifacts.card import CardFacts
from headstart.artifacts.save import save_model
from headstart.core.card import SourceCard
from headstart.core.method import Method
from headstart.core.progress import Progress
from headstart.core.task import Task
from headstart.evaluation.compare import Verdict, verdict
from headstart.evaluation.evaluate import Evaluation, evaluate
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.report.write import write_report
from headstart.losses.adversarial import Box, robust_accuracy
from headstart.metrics.calibration import fit_temperature
from headstart.metrics.intervals import wilson
from headstart.recipes import folder
from headstart.recipes.baselines import Baseline
from headstart.recipes.cost import Stopwatch, peak_memory_mb
from headstart.recipes.page import report_data
from headstart.recipes.prepare import Part, Target
from headstart.recipes.recipe import Recipe
from headstart.recipes.run import Run
from headstart.tracking.recorder import Recorder
from headstart.training.loop import TrainingLoop

SCHEMA = 1
PROBES = 4
AGAINST = {"quick": "no_transfer", "full": "scratch"}
CALLED = {
    "no_transfer": "the best model without transfer",
    "scratch": "the same network trained from scratch",
    "probe": "the frozen probe",
}


@dataclass(frozen=True)
class Outcome:
    """What a method ended with. logits: (N, K) of the final model by part; "test" is looked at here for the first time.

    baselines: by name as in `metrics.json`. encoded: items that went through a frozen encoder; the others' features
    were in the store.
    """

    recipe: Recipe
    target: Target
    source: SourceCard
    method: Method
    loop: TrainingLoop
    logits: dict[str, np.ndarray]
    baselines: dict[str, Baseline]
    encoded: int


def publish(outcome: Outcome, place: Path, recorder: Recorder, progress: Progress, watch: Stopwatch) -> Run:
    """Write model, predictions, report and, last of all, `metrics.json`."""
    target, task, recipe = outcome.target, outcome.target.task, outcome.recipe
    test = target.parts["test"]
    progress.stage("judging")
    with watch("judging"):
        temperature = calibrated(task, outcome.logits["validation"], target.parts["validation"].targets)
        scores = scaled(task, outcome.logits["test"], temperature)
        judged = evaluate(task, test.targets, scores, groups=test.groups, seed=recipe.seed)
        before = evaluate(
            task,
            test.targets,
            scaled(task, outcome.logits["test"], 1.0),
            groups=test.groups,
            seed=recipe.seed,
            resamples=100,
        )
        baselines = {
            name: evaluate(task, test.targets, baseline.scores, groups=test.groups, seed=recipe.seed)
            for name, baseline in outcome.baselines.items()
        }
        verdicts = {
            name: verdict(
                task,
                test.targets,
                scores,
                baseline.scores,
                against=CALLED.get(name, name),
                groups=test.groups,
                seed=recipe.seed,
            )
            for name, baseline in outcome.baselines.items()
        }
        robust = _robust(outcome, test)
    progress.stage("saving")
    metrics = _metrics(outcome, judged, before, baselines, verdicts, robust, temperature)
    predictions = Predictions(task, tuple(item.id for item in test.dataset.items), test.targets, scores, test.groups)
    with watch("saving"):
        save_model(
            place / "model",
            model=outcome.loop.model,
            task=task,
            contract=target.contract,
            source=outcome.source,
            temperature=temperature,
            precision=outcome.loop.precision,
            probes=_probes(target),
            facts=CardFacts(
                name=place.name,
                data=target.name,
                fingerprint=target.fingerprint,
                metrics=metrics,
                seed=recipe.seed,
                warnings=tuple(f.message for f in target.findings),
            ),
        )
        predictions.save(place / "predictions.jsonl")
    metrics["cost"] = _cost(outcome, watch)
    headline = AGAINST.get(recipe.verdict)
    ordered = sorted(verdicts, key=lambda name: name != headline)
    content = report_data(
        place,
        recipe,
        target,
        outcome.source,
        outcome.loop,
        judged,
        before,
        predictions,
        {name: (outcome.baselines[name], found) for name, found in baselines.items()},
        [verdicts[name] for name in ordered],
        metrics,
    )
    write_report(place / "report.html", content)
    recorder.text("verdict", metrics["verdict"]["words"] if metrics["verdict"] else "not asked for")
    shutil.rmtree(place / "checkpoints", ignore_errors=True)
    folder.write_json(place / "metrics.json", metrics)
    return Run(place)


def calibrated(task: Task, logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature that suits validation data (Guo et al. 2017); 1 where there is nothing to fit it on."""
    if task.kind != "single" or not len(targets):
        return 1.0
    return fit_temperature(logits, targets)


def scaled(task: Task, logits: np.ndarray, temperature: float) -> np.ndarray:
    return task.scores(logits / temperature if task.kind == "single" else logits)


def _metrics(
    outcome: Outcome,
    judged: Evaluation,
    before: Evaluation,
    baselines: dict[str, Evaluation],
    verdicts: dict[str, Verdict],
    robust: dict[str, Any] | None,
    temperature: float,
) -> dict[str, Any]:
    recipe, target, loop = outcome.recipe, outcome.target, outcome.loop
    test = {name: interval.to_json() for name, interval in judged.metrics.items()}
    if robust is not None:
        test["robust_accuracy"] = robust
    against = AGAINST.get(recipe.verdict)
    validation = target.parts["validation"]
    return {
        "schema": SCHEMA,
        "headstart": __version__,
        "task": target.task.name,
        "primary": target.task.primary,
        "source": outcome.source.name,
        "method": recipe.method,
        "seed": recipe.seed,
        "n": {role: len(part) for role, part in target.parts.items()},
        "test": test,
        "test_uncalibrated": {
            name: interval.to_json() for name, interval in before.metrics.items() if name in ("ece", "log_loss")
        },
        "validation": _defined(
            target.task.metrics(validation.targets, scaled(target.task, outcome.logits["validation"], temperature))
            if len(validation)
            else {}
        ),
        "temperature": temperature,
        "baselines": {
            name: {metric: interval.to_json() for metric, interval in found.metrics.items()}
            | {"description": outcome.baselines[name].description}
            for name, found in baselines.items()
        },
        "verdict": verdicts[against].to_json() | {"against": against} if against else None,
        "verdicts": {name: found.to_json() | {"against": name} for name, found in verdicts.items()},
        "choices": loop.notes,
        "notes": list(judged.notes),
        "warnings": [{"code": f.code, "message": f.message, "items": list(f.items)} for f in target.findings],
        "data": {"name": target.name, "fingerprint": target.fingerprint},
        "environment": environment(loop),
        "cost": {},
    }


def _defined(metrics: dict[str, float]) -> dict[str, float]:
    """Without those that are undefined on the items there are."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _cost(outcome: Outcome, watch: Stopwatch) -> dict[str, Any]:
    return {
        "seconds": round(watch.total, 3),
        "seconds_by_stage": {name: round(seconds, 3) for name, seconds in watch.stages.items()},
        "items_encoded": outcome.encoded,
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "parameters_trained": outcome.loop.parameters_trained
        or sum(p.numel() for p in outcome.loop.model.head.parameters()),
        "parameters_total": sum(p.numel() for p in outcome.loop.model.parameters()),
    }


def environment(loop: TrainingLoop) -> dict[str, Any]:
    """What the numbers depend on beside the recipe."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(terse=True),
        "device": loop.device.type,
        "precision": loop.precision,
        "threads": torch.get_num_threads(),
    }


def _probes(target: Target) -> np.ndarray:
    """(n, crop, crop, 3) uint8: a few items that the saved model must always answer alike."""
    part = next(p for p in (target.parts["validation"], target.parts["train"]) if len(p))
    count = min(PROBES, len(part))
    spread = [round(i * (len(part) - 1) / max(count - 1, 1)) for i in range(count)]
    return np.ascontiguousarray(part.batches.evaluation(spread).permute(0, 2, 3, 1).numpy())


def _robust(outcome: Outcome, test: Part) -> dict[str, Any] | None:
    """Accuracy under the attack that the model was trained against, with its interval."""
    settings, loop = outcome.recipe.train.adversarial, outcome.loop
    if settings.attack == "none" or outcome.target.task.kind != "single":
        return None
    contract = outcome.target.contract
    box = Box(settings.epsilon, contract.mean, contract.std)
    right, start = 0.0, 0
    for batch in test.batches.evaluations():
        ready = test.batches.prepare(batch.to(loop.device))
        aim = torch.as_tensor(test.targets[start : start + len(ready)], device=loop.device)
        torch.manual_seed(outcome.recipe.seed)
        right += len(ready) * robust_accuracy(loop.model, ready, aim, box)
        start += len(ready)
    return wilson(round(right), len(test)).to_json() | {"epsilon": settings.epsilon, "attack": "pgd, 10 steps"}
