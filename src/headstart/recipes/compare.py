"""Compare: is one run better than another, on the same test items?

headstart compare runs/mine runs/other
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.artifacts.load import describe, load_model
from headstart.core.errors import ArtifactError
from headstart.core.progress import Progress, Silent
from headstart.data.dataset import Dataset
from headstart.evaluation.compare import compare_runs
from headstart.evaluation.predictions import Predictions
from headstart.recipes.evaluate import items_to_judge, predictions
from headstart.recipes.folder import is_complete, is_run
from headstart.tasks import from_json

PREDICTIONS = "predictions.jsonl"


def compare(
    run: str | Path,
    other: str | Path,
    *,
    data: str | Path | Dataset | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge whether `run` is better than `other`, item by item.

    data: labelled items to judge both on; None takes their stored test predictions, so both must have been fitted
    on the same data and split. seed: of the bootstrap.

    Returns `{"runs": [...], "verdict": {...}}`; the verdict is that of `metrics.json`, in favour of `run` where
    positive. Raises ArtifactError for a run that is not finished, DataError where the two cannot be compared.
    """
    progress = progress or Silent()
    if data is None:
        first, second = (_stored(Path(folder)) for folder in (run, other))
    else:
        first, second = (_judged(Path(folder), data, progress) for folder in (run, other))
    verdict = compare_runs(first, second, names=_names(Path(run), Path(other)), seed=seed)
    return {
        "schema": 1,
        "runs": [str(run), str(other)],
        "items": "stored test predictions" if data is None else str(data),
        "verdict": verdict.to_json(),
    }


def _stored(run: Path) -> Predictions:
    place = run if is_run(run) else run.parent
    if not is_complete(place) or not (place / PREDICTIONS).is_file():
        raise ArtifactError(
            f"{run} is no finished run: it holds no {PREDICTIONS}. Give the folder of one, or judge both models on "
            "data of yours with --data."
        )
    return Predictions.load(place / PREDICTIONS, from_json(describe(run).task))


def _judged(run: Path, data: str | Path | Dataset, progress: Progress) -> Predictions:
    model = load_model(run)
    dataset, _ = items_to_judge(model, data)
    return predictions(model, dataset, progress=progress)


def _names(run: Path, other: Path) -> tuple[str, str]:
    return (run.name, other.name) if run.name != other.name else (str(run), str(other))
