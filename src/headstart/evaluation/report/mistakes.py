"""The test items that a model was most confidently wrong about."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.report.content import Glimpse, ReportData
from headstart.tasks.token_classification import TokenClassification

MISTAKES: Final = 12


def mistakes(data: ReportData) -> list[dict[str, Any]]:
    """The items that were most confidently wrong."""
    task, found = data.task, data.predictions
    if not len(found.ids):
        return []
    if found.units is not None:
        return _wrong_texts(task, found, found.units) if data.glimpse is not None else []
    labels, (wrong, badness) = truths(found), _faults(found)
    worst = [int(i) for i in np.argsort(-badness, kind="stable") if wrong[i]][:MISTAKES]
    predicted = task.decode(found.scores[worst])
    shown = []
    for i, guess in zip(worst, predicted, strict=True):
        seen = data.glimpse(i) if data.glimpse is not None else Glimpse()
        shown.append(
            {
                "id": found.ids[i],
                "label": plain(labels[i]),
                "predicted": plain(guess),
                "sure": f"{found.scores[i].max():.0%}" if task.kind == "single" else "",
                "photo": None if seen.picture is None else base64.b64encode(seen.picture).decode(),
                "words": seen.words,
            }
        )
    return shown


def truths(found: Predictions) -> list[Any]:
    """The label of each item."""
    if found.task.kind == "single":
        return [found.task.outputs[i] for i in found.targets]
    return found.task.decode(found.targets)


def _faults(found: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """(N,) whether each item's answer is wrong, and (N,) how bad the answer is."""
    if found.task.kind == "single":
        wrong = found.scores.argmax(axis=1) != found.targets
        return wrong, found.scores.max(axis=1) - found.scores[np.arange(len(found.ids)), found.targets]
    if found.task.kind == "multi":
        wrong = ((found.scores > 0.5) != (found.targets > 0.5)).any(axis=1)
        kept = np.clip(np.where(found.targets > 0.5, found.scores, 1 - found.scores), 1e-12, 1)
        return wrong, -np.log(kept).sum(axis=1)
    spread = np.maximum(found.targets.std(axis=0), 1e-12)
    badness = (np.abs(found.scores - found.targets) / spread).max(axis=1)
    return badness > 0, badness


def telling(found: Predictions, count: int) -> list[int]:
    """Indices of the items that are most worth an explanation: the worst mistakes, half of `count` where there are so
    many, then the surest answers that are right (of numbers the nearest)."""
    wrong, badness = _faults(found)
    worst = [int(i) for i in np.argsort(-badness, kind="stable") if wrong[i]]
    doubt = 1 - found.scores.max(axis=1) if found.task.kind == "single" else badness
    right = [int(i) for i in np.argsort(doubt, kind="stable") if not wrong[i] or found.task.kind == "number"]
    first = worst[: max(count // 2, count - len(right))]
    return first + [i for i in right if i not in first][: count - len(first)]


def _wrong_texts(task: Task, found: Predictions, units: Units) -> list[dict[str, Any]]:
    """The texts whose words, or whose answer, were most confidently wrong, each with what stands in it and what was
    said."""
    said = task.decode(found.scores, units)
    if isinstance(task, TokenClassification):
        true = task.decode(np.eye(len(task.outputs))[found.targets], units)
        rows = found.scores.max(axis=1) - found.scores[np.arange(len(found.ids)), found.targets]
        badness = np.maximum.reduceat(np.append(rows, 0.0), units.starts[:-1])
        labels, guesses = ([_entities(one) for one in side] for side in (true, said))
        wrong = [label != guess for label, guess in zip(labels, guesses, strict=True)]
        sure = [""] * len(units)
    else:
        labels = [" / ".join(passage.answers) or "(no answer)" for passage in units.passages]
        guesses = [answers[0]["text"] or "(no answer)" for answers in said]
        badness = np.array([answers[0]["probability"] for answers in said])
        wrong = [
            guess not in (passage.answers or ("(no answer)",))
            for guess, passage in zip(guesses, units.passages, strict=True)
        ]
        sure = [f"{value:.0%}" for value in badness]
    worst = [int(u) for u in np.argsort(-badness, kind="stable") if wrong[u]][:MISTAKES]
    return [
        {
            "id": units.passages[u].id,
            "label": labels[u],
            "predicted": guesses[u],
            "sure": sure[u],
            "photo": None,
            "words": units.passages[u].shown(),
        }
        for u in worst
    ]


def _entities(found: Sequence[Mapping[str, Any]]) -> str:
    """What was found in a text, in words."""
    return ", ".join(f"{one['text']} ({one.get('type') or one.get('tag')})" for one in found) or "nothing"


def plain(value: Any) -> str:
    """A JSON-like value as a person would write it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(f"({plain(v)})" if isinstance(v, list | tuple) else plain(v) for v in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k}: {plain(v)}" for k, v in value.items()) or "none"
    return value if isinstance(value, str) else json.dumps(value, default=str)
