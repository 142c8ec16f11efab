"""Evaluate: what a saved model is worth on other labelled data.

headstart evaluate runs/mine other_photos/
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headstart.artifacts.load import Loaded, load_model
from headstart.core.errors import DataError
from headstart.core.progress import Progress, Silent
from headstart.data.dataset import Dataset
from headstart.data.modalities import MODALITIES
from headstart.data.passages import by_word
from headstart.data.read import read_dataset
from headstart.evaluation.evaluate import evaluate as judge
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.slices import evaluate_slices
from headstart.recipes.choose import Standardise
from headstart.recipes.predict import BATCH_SIZE, logits_of, of_cohort, unlike
from headstart.recipes.prepare import label_kind
from headstart.recipes.slicing import slice_values


def evaluate(
    model: Loaded | str | Path,
    data: str | Path | Dataset,
    *,
    input: str | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    slice: str | None = None,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    standardise: Standardise = "source",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge a model on labelled data, each metric with its 95 % interval.

    model: a run folder, its `model/`, or one that `headstart.load` gave. data: as in `fit`. Its test items are
    judged where it has any, else all items; `"items"` says which. input, label, group, split: columns of a table.
    slice: a column, or "group", "domain" or "class", by whose values every metric is given too, with the largest gaps
    (`"slices"`). seed: of the bootstrap.
    standardise: "per-cohort" sees a table's numbers by the means and deviations of the items that are judged, without
    their labels.

    Returns the form of `metrics.json` (`"n"`, `"test"`), with `"per_class"`, `"confusion"` and `"notes"`.
    Raises DataError for labels that the model does not know, items that cannot be read, or no labels at all.
    """
    loaded = model if isinstance(model, Loaded) else load_model(model)
    progress = progress or Silent()
    dataset, items = items_to_judge(loaded, data, input=input, label=label, group=group, split=split, slice=slice)
    differing = unlike(loaded, dataset)
    if standardise == "per-cohort":
        loaded, items = of_cohort(loaded, dataset), f"{items}, standardised by themselves,"
    found = predictions(loaded, dataset, batch_size=batch_size, progress=progress)
    judged = judge(found.task, found.targets, found.scores, groups=found.groups, units=found.units, seed=seed)
    by = {}
    if slice is not None:
        values = slice_values(dataset, slice)
        parts = evaluate_slices(
            found.task,
            found.targets,
            found.scores,
            values,
            slice,
            groups=found.groups,
            units=found.units,
            seed=seed,
        )
        by = {"slices": parts.to_json()}
    return {
        "schema": 1,
        "task": loaded.task.name,
        "primary": loaded.task.primary,
        "model": str(loaded.folder),
        "source": " + ".join(source.name for source in loaded.sources),
        "data": dataset.name,
        "items": items,
        "n": {"train": 0, "validation": 0, "test": judged.n},
        "test": {name: interval.to_json() for name, interval in judged.metrics.items()},
        "per_class": [
            {
                "name": row.name,
                "count": row.count,
                "predicted": row.predicted,
                **{name: interval.to_json() for name, interval in row.metrics.items()},
            }
            for row in judged.per_class
        ],
        "outputs": list(loaded.task.outputs),
        "confusion": [list(row) for row in judged.confusion],
        **by,
        "notes": [*judged.notes, *(finding.message for finding in (*differing, *dataset.findings))],
    }


def predictions(model: Loaded, dataset: Dataset, *, batch_size: int = BATCH_SIZE, progress: Progress) -> Predictions:
    """A model's scores for labelled items, beside the truth."""
    units = None
    if model.task.by_word:
        dataset, units = by_word(dataset)
    targets = model.task.encode(dataset.labels)
    logits = np.concatenate(list(logits_of(model, dataset, batch_size=batch_size, progress=progress)))
    groups = [item.group for item in dataset.items]
    return Predictions(
        task=model.task,
        ids=tuple(item.id for item in dataset.items),
        targets=targets,
        scores=model.scores_of(logits),
        groups=np.array([g or f"item {i}" for i, g in enumerate(groups)]) if any(groups) else None,
        units=units,
    )


def items_to_judge(model: Loaded, data: str | Path | Dataset, **columns: Any) -> tuple[Dataset, str]:
    """The items to judge on, and which they are in words."""
    dataset = read_dataset(data, kind=label_kind(model.task.name), **columns)
    if dataset.modality != model.task.modality:
        raise DataError(
            f"{dataset.name} holds {MODALITIES[dataset.modality].plural}, and the model takes "
            f"{MODALITIES[model.task.modality].plural}. Give data of its kind, or name the columns (--input, --label)."
        )
    if dataset.kind == "none" or any(value is None for value in dataset.labels):
        raise DataError(
            f"{dataset.name} has items without a label, so nothing can be judged on it. "
            "Expected one folder per class, or a table with --label; for answers alone use: headstart predict"
        )
    if model.task.kind == "number" and dataset.targets != model.task.outputs:
        raise DataError(
            f"the model predicts {', '.join(model.task.outputs)}, but {dataset.name} gives "
            f"{', '.join(dataset.targets)}. Name the columns in the model's order: "
            f"--label {','.join(model.task.outputs)}"
        )
    if "test" in dataset.splits:
        return dataset.split("test"), "its test split"
    dataset.require_items()
    return dataset, "all of its items"
