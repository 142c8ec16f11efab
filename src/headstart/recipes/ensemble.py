"""Ensemble: several finished runs that answer as one, and whether that is worth what it costs.

    headstart ensemble runs/a runs/b --out runs/both

Checks that the runs were fitted on the same data and split, predicts the validation items again with each, decides
there how much each counts and the temperature of the whole, and only then looks at the test items, once. There it is
held against the member that does best on them: a gain over that one is a gain over each. So is what it costs to answer,
measured on this machine.
"""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart import __version__
from headstart.artifacts.card import CardFacts
from headstart.artifacts.load import LoadedEnsemble, LoadedModel
from headstart.artifacts.save import Member, save_ensemble
from headstart.core.card import Input
from headstart.core.passages import Units
from headstart.core.progress import Progress, Silent
from headstart.core.task import Task
from headstart.data.dataset import Dataset
from headstart.data.kept import Kept
from headstart.data.loader import Batches
from headstart.data.modalities import MODALITIES
from headstart.evaluation.compare import Verdict, verdict
from headstart.evaluation.evaluate import Evaluation, evaluate
from headstart.evaluation.names import metric_name
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.report.content import BaselineResult, CostSummary, NextStep, ReportData, Serving
from headstart.evaluation.report.write import write_report
from headstart.metrics.calibration import fit_temperature
from headstart.metrics.pooling import Pool, fit_weights
from headstart.recipes import folder
from headstart.recipes.cost import Stopwatch, peak_memory_mb
from headstart.recipes.joined import (
    EnsembleRecipe,
    Joined,
    MemberRecipe,
    Weighting,
    named,
    open_run,
    require_distinct,
    shared_target,
)
from headstart.recipes.page import glimpses
from headstart.recipes.predict import member_logits
from headstart.recipes.prepare import Part, Target
from headstart.recipes.run import Run
from headstart.recipes.serving import serving_costs

PROBES = 4


def ensemble(
    *runs: str | Path,
    out: str | Path,
    weights: Weighting = "equal",
    combine: Pool = "probabilities",
    data: str | Path | Dataset | None = None,
    seed: int = 0,
    overwrite: bool = False,
    photos: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Join finished runs into one model, judge it, and say what it gains and costs against its best member.

    runs: two or more, fitted on the same data and split; or the one `recipe.yaml` of an earlier ensemble, which is
        then made again (of the other arguments only `out`, `data`, `overwrite` and `progress` count).
    weights: "equal", or fitted on the validation items (`headstart.metrics.pooling.fit_weights`).
    combine: "probabilities" averages what the members say, each calibrated by its own run; "logits" their logits.
    data: where the data is now; None is where the first run found it. seed: of the intervals.
    out: a folder that does not exist yet. photos: whether the report shows test photos.

    No choice looks at test items.

    Raises ArtifactError for a run that is not finished or was changed, ConfigError or DataError where runs do not fit
    together or the data is not theirs.
    """
    progress, watch, place = progress or Silent(), Stopwatch(), Path(out)
    folder.require_free(place, overwrite)
    progress.stage("loading the members")
    recipe: EnsembleRecipe | None = None
    with watch("members"):
        if len(runs) == 1 and Path(runs[0]).suffix in (".yaml", ".yml"):
            recipe = EnsembleRecipe.read(Path(runs[0]))
            members = named([open_run(Path(member.run), member.sha256) for member in recipe.members])
        else:
            members = named([open_run(Path(run)) for run in runs])
    require_distinct(members, place)
    recipe = recipe or EnsembleRecipe(
        headstart=__version__,
        members=tuple(MemberRecipe(run=member.place, sha256=member.sha256) for member in members),
        data=members[0].recipe.data.model_copy(update={"fingerprint": members[0].fingerprint}),
        weights=weights,
        combine=combine,
        seed=seed,
        photos=photos,
    )
    with watch("data"):
        target = shared_target(members, recipe.data if data is None else data, progress)
    with folder.only_writer(place):
        outcome = _join(recipe, members, target, place, progress, watch)
        return _publish(outcome, place, progress, watch)


# -- what they say together -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decided:
    """What validation items decided. metrics: of the whole on them. standing: the primary metric of each member."""

    whole: LoadedEnsemble
    metrics: Mapping[str, float]
    standing: tuple[float | None, ...]


@dataclass(frozen=True)
class Outcome:
    """An ensemble that was judged. before: without its temperature. alone: each member, by name.

    verdicts: against each member by name, the one that is hardest to beat first.
    """

    recipe: EnsembleRecipe
    members: Sequence[Joined]
    target: Target
    decided: Decided
    predictions: Predictions
    judged: Evaluation
    before: Evaluation
    alone: Mapping[str, Evaluation]
    verdicts: Mapping[str, Verdict]

    @property
    def best(self) -> Joined:
        """The member that is hardest to beat on the test items."""
        first = next(iter(self.verdicts))
        return next(member for member in self.members if member.name == first)


def _join(
    recipe: EnsembleRecipe,
    members: Sequence[Joined],
    target: Target,
    place: Path,
    progress: Progress,
    watch: Stopwatch,
) -> Outcome:
    """Decide on the validation items, then judge on the test items."""
    task, models = target.task, [member.model for member in members]
    validation, test = target.parts["validation"], target.parts["test"]
    progress.stage("predicting")
    with watch("validation"):
        raw = _logits(models, validation, progress)
        decided = decide(
            models, raw, validation.targets, recipe.weights, recipe.combine, place / "model", validation.units
        )
    with watch("test"):
        raw = _logits(models, test, progress)
    progress.stage("judging")
    with watch("judging"):
        together = decided.whole.combine(raw)
        scores = decided.whole.scores_of(together)
        own = {m.name: m.model.scores_of(z) for m, z in zip(members, raw, strict=True)}
        verdicts = {
            name: verdict(
                task,
                test.targets,
                scores,
                theirs,
                against=name,
                groups=test.groups,
                units=test.units,
                seed=recipe.seed,
                subject="the ensemble",
            )
            for name, theirs in own.items()
        }
        return Outcome(
            recipe=recipe,
            members=members,
            target=target,
            decided=decided,
            predictions=Predictions(
                task, tuple(item.id for item in test.dataset.items), test.targets, scores, test.groups, test.units
            ),
            judged=evaluate(task, test.targets, scores, groups=test.groups, units=test.units, seed=recipe.seed),
            before=evaluate(
                task,
                test.targets,
                task.scores(together),
                groups=test.groups,
                units=test.units,
                seed=recipe.seed,
                resamples=100,
            ),
            alone={
                name: evaluate(task, test.targets, theirs, groups=test.groups, units=test.units, seed=recipe.seed)
                for name, theirs in own.items()
            },
            verdicts=dict(sorted(verdicts.items(), key=lambda pair: (pair[1].gain, pair[1].low))),
        )


def decide(
    models: Sequence[LoadedModel],
    logits: Sequence[np.ndarray],
    targets: np.ndarray,
    weights: Weighting,
    combine: Pool,
    place: Path,
    units: Units | None = None,
) -> Decided:
    """Everything that is chosen: the weights and the temperature. Sees validation items and nothing else.

    logits: (N, K) raw outputs of each model. targets: as `Task.encode` gives them. place: of the model folder to be.
    units: as in `evaluate`.
    """
    task = models[0].task
    counts = _weights(models, logits, targets, combine) if weights == "validation" else [1 / len(models)] * len(models)
    whole = LoadedEnsemble(place, tuple(models), tuple(counts), combine, task, 1.0)
    together = whole.combine(logits)
    if task.kind == "single":
        whole = replace(whole, temperature=fit_temperature(together, targets))
    standing = [_metrics(task, targets, model.scores_of(z), units) for model, z in zip(models, logits, strict=True)]
    return Decided(
        whole=whole,
        metrics=_metrics(task, targets, whole.scores_of(together), units),
        standing=tuple(found.get(task.primary) for found in standing),
    )


def _weights(
    models: Sequence[LoadedModel], logits: Sequence[np.ndarray], targets: np.ndarray, combine: Pool
) -> list[float]:
    task = models[0].task
    each = [model.tempered(z) for model, z in zip(models, logits, strict=True)]
    if task.kind == "number" and len(targets):
        spread = targets.std(axis=0)
        unit = np.where(spread > 0, spread, 1.0)
        each, targets = [task.scores(z) / unit for z in each], targets / unit
    found: list[float] = fit_weights(each, targets, combine, task.kind).tolist()
    return found


def _logits(models: Sequence[LoadedModel], part: Part, progress: Progress) -> list[np.ndarray]:
    """(N, K) raw outputs of each model."""
    nothing = np.zeros((0, len(models[0].task.outputs)))
    rows = list(member_logits(models, part.dataset, progress=progress))
    return [np.concatenate([nothing, *(row[number] for row in rows)]) for number in range(len(models))]


def _metrics(task: Task, targets: np.ndarray, scores: np.ndarray, units: Units | None) -> dict[str, float]:
    """The metrics that are defined on these items."""
    if not len(targets):
        return {}
    return {name: value for name, value in task.metrics(targets, scores, units).items() if np.isfinite(value)}


# -- what is written ------------------------------------------------------------------------------------------------


def _publish(outcome: Outcome, place: Path, progress: Progress, watch: Stopwatch) -> Run:
    """Write recipe, model, predictions, report and, last of all, `metrics.json`."""
    metrics, best = _document(outcome), outcome.best
    progress.stage("saving")
    with watch("saving"):
        folder.clear(place)
        folder.write_text(place / "recipe.yaml", outcome.recipe.to_yaml())
        _save(outcome, place, metrics)
        outcome.predictions.save(place / "predictions.jsonl")
    progress.stage("measuring what it costs to answer")
    with watch("measuring"):
        ours, theirs = serving_costs(
            [("ensemble", outcome.decided.whole, place / "model"), (best.name, best.model, best.run.model)]
        )
    metrics["cost"] = {
        "seconds": round(watch.total, 3),
        "seconds_by_stage": {name: round(seconds, 3) for name, seconds in watch.stages.items()},
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "parameters_trained": 0,
        "parameters_total": ours.parameters,
        "serving": [asdict(ours), asdict(theirs)],
        "conclusion": conclusion(outcome.verdicts[best.name], ours, theirs),
    }
    write_report(place / "report.html", _report(outcome, place, metrics, [ours, theirs]))
    folder.write_json(place / "metrics.json", metrics)
    return Run(place)


def conclusion(found: Verdict, ours: Serving, best: Serving) -> str:
    """Gain and cost against the best member in a sentence, and plainly whether that is worth it."""
    name = metric_name(found.metric)
    scale, digits, unit = (100, 1, " points") if name.share else (1, 3, "")
    gain, low, high = (f"{scale * value:+.{digits}f}" for value in (found.gain, found.low, found.high))
    price = (
        f"{ours.latency_ms / best.latency_ms:.1f} times its time for one item, "
        f"{best.per_second / ours.per_second:.1f} times in batches, and {ours.size_bytes / best.size_bytes:.1f} times "
        "its size on disk"
    )
    advice = {
        "positive": "Worth it, where you can afford that.",
        "neutral": f"Not worth it: no gain over {best.name} is proved.",
        "negative": f"Not worth it: {best.name} alone is better.",
    }[found.transfer]
    return f"{name.title} {gain}{unit} ({low} to {high}) over its best member, {best.name}, for {price}. {advice}"


def _document(outcome: Outcome) -> dict[str, Any]:
    """`metrics.json` but for the cost."""
    target, decided, whole = outcome.target, outcome.decided, outcome.decided.whole
    return {
        "schema": 1,
        "headstart": __version__,
        "task": whole.task.name,
        "primary": whole.task.primary,
        "source": " + ".join(card.name for card in whole.sources),
        "method": "ensemble",
        "seed": outcome.recipe.seed,
        "n": {role: part.count for role, part in target.parts.items()},
        "test": {name: interval.to_json() for name, interval in outcome.judged.metrics.items()},
        "test_uncalibrated": {
            name: interval.to_json() for name, interval in outcome.before.metrics.items() if name in ("ece", "log_loss")
        },
        "validation": dict(decided.metrics),
        "temperature": whole.temperature,
        "baselines": {
            member.name: {name: interval.to_json() for name, interval in outcome.alone[member.name].metrics.items()}
            | {"description": member.described}
            for member in outcome.members
        },
        "verdict": outcome.verdicts[outcome.best.name].to_json(),
        "verdicts": {name: found.to_json() for name, found in outcome.verdicts.items()},
        "ensemble": {
            "combine": whole.how,
            "weighting": outcome.recipe.weights,
            "members": [
                {
                    "name": member.name,
                    "run": member.place,
                    "source": member.model.source.name,
                    "weight": weight,
                    "validation": score,
                }
                for member, weight, score in zip(outcome.members, whole.weights, decided.standing, strict=True)
            ],
        },
        "choices": {},
        "notes": list(outcome.judged.notes),
        "warnings": [{"code": f.code, "message": f.message, "items": list(f.items)} for f in target.findings],
        "data": {"name": target.name, "fingerprint": target.fingerprint},
        "environment": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "platform": platform.platform(terse=True),
            "device": whole.members[0].device.type,
            "precision": ", ".join(dict.fromkeys(member.precision for member in whole.members)),
            "threads": torch.get_num_threads(),
        },
        "cost": {},
    }


def _save(outcome: Outcome, place: Path, metrics: Mapping[str, Any]) -> None:
    target, whole = outcome.target, outcome.decided.whole
    probed = next(part for part in (target.parts["validation"], target.parts["train"]) if len(part)).dataset
    facts = CardFacts(
        name=place.name,
        data=target.name,
        fingerprint=target.fingerprint,
        metrics=metrics,
        seed=outcome.recipe.seed,
        warnings=tuple(finding.message for finding in target.findings),
    )
    save_ensemble(
        place / "model",
        members=[
            Member(
                model=member.model.model,
                contract=member.model.contract,
                source=member.model.source,
                probes=_probes(probed, member.model.contract),
                precision=member.model.precision,
                weight=weight,
                temperature=member.model.temperature,
                facts=replace(facts, name=member.name, metrics=member.run.metrics, seed=member.recipe.seed),
            )
            for member, weight in zip(outcome.members, whole.weights, strict=True)
        ],
        combine=whole.how,
        task=whole.task,
        temperature=whole.temperature,
        facts=facts,
    )


def _probes(dataset: Dataset, contract: Input) -> Tensor:
    """(n, ...) views of a few items, the same ones for every contract."""
    spread = np.linspace(0, len(dataset) - 1, min(PROBES, len(dataset))).round().astype(int).tolist()
    return Batches(dataset, Kept(contract, memory_limit=0), contract).evaluation(spread)


def _report(outcome: Outcome, place: Path, metrics: Mapping[str, Any], costs: Sequence[Serving]) -> ReportData:
    cost, run, whole = metrics["cost"], shlex.quote(str(place)), outcome.decided.whole
    first, *further = whole.sources
    modality = MODALITIES[whole.task.modality]
    return ReportData(
        title=outcome.target.name,
        run=str(place),
        task=whole.task,
        method="ensemble",
        source=first,
        further_sources=further,
        ensemble=True,
        n=metrics["n"],
        predictions=outcome.predictions,
        evaluation=outcome.judged,
        cost=CostSummary(
            cost["seconds"],
            cost["seconds_by_stage"],
            cost["peak_memory_mb"],
            cost["parameters_trained"],
            cost["parameters_total"],
        ),
        recipe=outcome.recipe.to_yaml(),
        verdicts=list(outcome.verdicts.values()),
        baselines=[
            BaselineResult(
                member.name,
                member.described,
                member.run.metrics["cost"]["seconds"],
                outcome.alone[member.name].metrics,
            )
            for member in outcome.members
        ],
        uncalibrated_ece=outcome.before.metrics.get("ece"),
        temperature=whole.temperature,
        serving=costs,
        conclusion=cost["conclusion"],
        notes={
            "combined by": f"the mean of {whole.how}",
            "weights": {m.name: weight for m, weight in zip(outcome.members, whole.weights, strict=True)},
            "weights are": {"equal": "equal", "validation": "fitted on validation items"}[outcome.recipe.weights],
        },
        findings=outcome.target.findings,
        glimpse=glimpses(outcome.target.parts["test"]) if outcome.recipe.photos else None,
        plural=modality.plural,
        next_steps=[
            NextStep(f"Label new {modality.plural}", f"headstart predict {run} {modality.example[0]}"),
            NextStep(
                f"Judge it on other labelled {modality.plural}", f"headstart evaluate {run} {modality.example[1]}"
            ),
            NextStep("Make it again, to the same numbers", f"headstart ensemble {run}/recipe.yaml --out runs/again"),
            NextStep("Hold it against another run", f"headstart compare {run} runs/other"),
        ],
        environment={name: str(value) for name, value in metrics["environment"].items()},
    )
