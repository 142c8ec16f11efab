"""The last part of a run: judge on the test data, once, and write the folder that can be trusted."""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart import __version__
from headstart.artifacts import save as artifacts
from headstart.artifacts.card import CardFacts
from headstart.artifacts.load import load_model
from headstart.artifacts.save import save_ensemble, save_model
from headstart.core.progress import Progress
from headstart.core.task import Task
from headstart.evaluation.compare import Verdict, verdict
from headstart.evaluation.evaluate import Evaluation, evaluate
from headstart.evaluation.explanation import Explanation
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.report.mistakes import telling
from headstart.evaluation.report.write import write_report
from headstart.evaluation.slices import Slices, evaluate_slices
from headstart.losses.adversarial import robust_accuracy
from headstart.metrics.calibration import fit_temperature
from headstart.metrics.intervals import wilson
from headstart.nn.device import Precision, best_device
from headstart.nn.entrance import entered, values_of
from headstart.recipes import folder
from headstart.recipes.baselines import Baseline
from headstart.recipes.cost import Stopwatch, peak_memory_mb
from headstart.recipes.explain import explain_items
from headstart.recipes.fitted import Fitted, Member
from headstart.recipes.page import report_data
from headstart.recipes.prepare import Part, Target
from headstart.recipes.pretraining import Pretrained
from headstart.recipes.recipe import Recipe
from headstart.recipes.run import Run
from headstart.recipes.slicing import slice_values
from headstart.tracking.recorder import Recorder

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
    """A run that has only to be judged. baselines: by name as in `metrics.json`.

    encoded: items that went through a frozen encoder; the others' features
    were in the store. pretrained: what was learned without labels before, if anything was.
    """

    recipe: Recipe
    target: Target
    fitted: Fitted
    baselines: dict[str, Baseline]
    encoded: int
    pretrained: Pretrained | None = None


def publish(outcome: Outcome, place: Path, recorder: Recorder, progress: Progress, watch: Stopwatch) -> Run:
    """Write model, predictions, report and, last of all, `metrics.json`."""
    target, task, recipe = outcome.target, outcome.target.task, outcome.recipe
    test, carried = target.parts["test"], _carried(outcome.fitted)
    progress.stage("judging")
    with watch("judging"):
        temperature = calibrated(task, outcome.fitted.logits["validation"], target.parts["validation"].targets)
        scores = scaled(task, outcome.fitted.logits["test"], temperature)
        judged = evaluate(task, test.targets, scores, groups=test.groups, units=test.units, seed=recipe.seed)
        before = evaluate(
            task,
            test.targets,
            scaled(task, outcome.fitted.logits["test"], 1.0),
            groups=test.groups,
            units=test.units,
            seed=recipe.seed,
            resamples=100,
        )
        baselines = {
            name: evaluate(task, test.targets, baseline.scores, groups=test.groups, units=test.units, seed=recipe.seed)
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
                units=test.units,
                seed=recipe.seed,
                subject="transfer" if carried else "the network trained from scratch",
            )
            for name, baseline in outcome.baselines.items()
        }
        if not carried:
            verdicts = {name: _of_no_transfer(found) for name, found in verdicts.items()}
        slices = _slices(outcome, scores)
        robust = _robust(outcome, outcome.fitted.members[0].parts["test"])
    progress.stage("saving")
    metrics = _metrics(outcome, judged, before, baselines, verdicts, robust, temperature)
    ids = tuple(item.id for item in test.dataset.items)
    predictions = Predictions(task, ids, test.targets, scores, test.groups, test.units)
    with watch("saving"):
        facts = CardFacts(
            name=place.name,
            data=target.name,
            fingerprint=target.fingerprint,
            metrics=metrics,
            seed=recipe.seed,
            warnings=tuple(f.message for f in target.findings),
        )
        _save(place / "model", outcome, temperature, facts)
        predictions.save(place / "predictions.jsonl")
    if slices is not None:
        metrics["slices"] = slices.to_json()
    metrics["cost"] = _cost(outcome, watch)
    headline = AGAINST.get(recipe.verdict)
    ordered = sorted(verdicts, key=lambda name: name != headline)
    content = report_data(
        place,
        recipe,
        target,
        outcome.fitted,
        judged,
        before,
        predictions,
        {name: (outcome.baselines[name], found) for name, found in baselines.items()},
        [verdicts[name] for name in ordered],
        metrics,
    )
    explained: dict[int, Explanation] = {}
    if recipe.explain:
        progress.stage("explaining")
        indices = telling(predictions, recipe.explain)
        found = explain_items(load_model(place / "model"), test.dataset.take(indices), progress=progress)
        explained = dict(zip(indices, found, strict=True))
    write_report(place / "report.html", replace(content, slices=slices, explained=explained))
    recorder.text("verdict", metrics["verdict"]["words"] if metrics["verdict"] else "not asked for")
    folder.discard_checkpoints(place)
    folder.write_json(place / "metrics.json", metrics)
    return Run(place)


def _carried(fitted: Fitted) -> bool:
    """Whether there was anything to transfer: weights that had learned something, and a method that took them."""
    return fitted.method != "scratch" and any(member.source.pretrained for member in fitted.members)


def _of_no_transfer(found: Verdict) -> Verdict:
    """A gain is the network's then, and says nothing of transfer."""
    words = f"Nothing was transferred: the network began with random weights. {found.words}"
    return replace(found, transfer="neutral", words=words)


def _slices(outcome: Outcome, scores: np.ndarray) -> Slices | None:
    """The test items by what the user asked for."""
    recipe, test = outcome.recipe, outcome.target.parts["test"]
    if recipe.data.slice is None:
        return None
    values = slice_values(test.given, recipe.data.slice)
    return evaluate_slices(
        outcome.target.task,
        test.targets,
        scores,
        values,
        recipe.data.slice,
        groups=test.groups,
        units=test.units,
        seed=recipe.seed,
    )


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
    recipe, target, fitted = outcome.recipe, outcome.target, outcome.fitted
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
        "source": fitted.source_name,
        "method": fitted.method,
        "seed": recipe.seed,
        "n": {role: part.count for role, part in target.parts.items()},
        "test": test,
        "test_uncalibrated": {
            name: interval.to_json() for name, interval in before.metrics.items() if name in ("ece", "log_loss")
        },
        "validation": _defined(
            target.task.metrics(
                validation.targets,
                scaled(target.task, outcome.fitted.logits["validation"], temperature),
                validation.units,
            )
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
        "pretraining": outcome.pretrained.to_json() if outcome.pretrained else None,
        "choices": dict(fitted.notes),
        "tried": [
            {"name": c.name, "validation": c.score if math.isfinite(c.score) else None, "kept": c.kept, **c.detail}
            for c in fitted.choices
        ],
        "notes": list(judged.notes),
        "warnings": [{"code": f.code, "message": f.message, "items": list(f.items)} for f in target.findings],
        "data": {"name": target.name, "fingerprint": target.fingerprint},
        "environment": environment(fitted.members[0].precision),
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
        "parameters_trained": outcome.fitted.parameters_trained,
        "parameters_total": sum(p.numel() for member in outcome.fitted.members for p in member.model.parameters()),
    }


def environment(precision: Precision) -> dict[str, Any]:
    """What the numbers depend on beside the recipe."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(terse=True),
        "device": best_device().type,
        "precision": precision,
        "threads": torch.get_num_threads(),
    }


def _save(folder: Path, outcome: Outcome, temperature: float, facts: CardFacts) -> None:
    """One network as it is, several as members whose logits are summed."""
    task, members = outcome.target.task, outcome.fitted.members
    if len(members) == 1:
        (member,) = members
        save_model(
            folder,
            model=member.model,
            task=task,
            contract=member.source.input,
            source=member.source,
            temperature=temperature,
            precision=member.precision,
            probes=_probes(member),
            facts=facts,
        )
        return
    save_ensemble(
        folder,
        members=[
            artifacts.Member(m.model, m.source.input, m.source, _probes(m), precision=m.precision) for m in members
        ],
        combine="logits",
        task=task,
        temperature=temperature,
        facts=facts,
    )


def _probes(member: Member) -> Tensor:
    """(n, ...) evaluation views of a few items that the saved model must always answer alike."""
    part = next(p for p in (member.parts["validation"], member.parts["train"]) if len(p))
    count = min(PROBES, len(part))
    spread = [round(i * (len(part) - 1) / max(count - 1, 1)) for i in range(count)]
    return part.batches.evaluation(spread)


def _robust(outcome: Outcome, test: Part) -> dict[str, Any] | None:
    """Accuracy under the attack that the model was trained against, with its interval."""
    settings, (member, *others) = outcome.recipe.train.adversarial, outcome.fitted.members
    contract = member.source.input
    if settings.attack == "none" or outcome.target.task.kind != "single" or others or not len(test):
        return None
    device, model = best_device(), member.model
    right, start = 0.0, 0
    for batch in test.batches.evaluations():
        ready = test.batches.prepare(batch.to(device))
        aim = torch.as_tensor(test.targets[start : start + len(ready)], device=device)
        values = values_of(model.encoder, ready)
        region = test.batches.modality.region(ready, contract, settings.epsilon)
        torch.manual_seed(outcome.recipe.seed)
        answer = partial(entered, model.encoder, model, ready)
        right += len(ready) * robust_accuracy(model, values, aim, region, answer=answer)
        start += len(ready)
    return wilson(round(right), len(test)).to_json() | {"epsilon": region.epsilon, "attack": "pgd, 10 steps"}
