"""What the report of a run tells, gathered."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headstart.data.modalities.base import Modality
from headstart.evaluation.compare import Verdict
from headstart.evaluation.evaluate import Evaluation
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.report.content import BaselineResult, CostSummary, Glimpse, NextStep, ReportData
from headstart.recipes.baselines import Baseline
from headstart.recipes.fitted import Fitted
from headstart.recipes.prepare import Part, Target
from headstart.recipes.recipe import Recipe
from headstart.recipes.run import BASELINE_NAMES


def report_data(
    place: Path,
    recipe: Recipe,
    target: Target,
    fitted: Fitted,
    judged: Evaluation,
    uncalibrated: Evaluation,
    predictions: Predictions,
    baselines: Mapping[str, tuple[Baseline, Evaluation]],
    verdicts: list[Verdict],
    metrics: Mapping[str, Any],
) -> ReportData:
    """verdicts: the headline first. metrics: `metrics.json`, cost included."""
    cost, modality = metrics["cost"], target.parts["test"].batches.modality
    return ReportData(
        title=target.name,
        run=str(place),
        task=target.task,
        method=fitted.method,
        source=fitted.members[0].source,
        further_sources=[member.source for member in fitted.members[1:]],
        n=metrics["n"],
        predictions=predictions,
        evaluation=judged,
        cost=CostSummary(
            cost["seconds"],
            cost["seconds_by_stage"],
            cost["peak_memory_mb"],
            cost["parameters_trained"],
            cost["parameters_total"],
        ),
        recipe=recipe.to_yaml(),
        verdicts=verdicts,
        baselines=[
            BaselineResult(BASELINE_NAMES.get(name, name), baseline.description, baseline.seconds, found.metrics)
            for name, (baseline, found) in baselines.items()
            if name != "no_transfer"  # which is the better of the others
        ],
        uncalibrated_ece=uncalibrated.metrics.get("ece"),
        temperature=metrics["temperature"],
        history=fitted.history,
        choices=fitted.choices,
        pretraining=metrics["pretraining"],
        notes=_told(fitted.notes),
        findings=target.findings,
        glimpse=glimpses(target.parts["test"]) if recipe.photos else None,
        plural=modality.plural,
        next_steps=_next_steps(place, modality),
        environment={name: str(value) for name, value in metrics["environment"].items()},
    )


def _told(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Notes of the method for a person: curves stay in `metrics.json`."""
    return {
        name: {k: v for k, v in value.items() if k != "curve"} if isinstance(value, Mapping) else value
        for name, value in notes.items()
    }


def glimpses(part: Part) -> Callable[[int], Glimpse]:
    """Index of an item -> what a report shows of it."""
    modality = part.batches.modality

    def glimpse(index: int) -> Glimpse:
        item = part.dataset[index]
        return Glimpse(modality.thumbnail(item), modality.excerpt(item))

    return glimpse


def _next_steps(place: Path, modality: Modality[Any, Any]) -> list[NextStep]:
    run = shlex.quote(str(place))
    return [
        NextStep(f"Label new {modality.plural}", f"headstart predict {run} {modality.example[0]}"),
        NextStep(f"Judge it on other labelled {modality.plural}", f"headstart evaluate {run} {modality.example[1]}"),
        NextStep("Do this run again, to the same numbers", f"headstart fit {run}/recipe.yaml --out runs/again"),
        NextStep("Hold it against another run", f"headstart compare {run} runs/other"),
        NextStep("Use it as the source of the next model", f"headstart fit more_data --source {run}"),
    ]
