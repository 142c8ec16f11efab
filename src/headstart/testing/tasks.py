"""The contract of a task. Run it over your own: `check_task(task, labels)` raises AssertionError where it is broken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from headstart import tasks
from headstart.core.passages import Passage, Units
from headstart.core.task import Task

EXAMPLES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "classification": (
        {"name": "image-classification", "modality": "image", "classes": ["bird", "cat", "dog"]},
        ["dog", "cat", "bird", "cat", "dog", "bird", "cat", "dog"],
    ),
    "multilabel": (
        {"name": "image-multilabel", "modality": "image", "labels": ["indoor", "people", "water"]},
        [["indoor"], [], ["people", "water"], ["water"], ["indoor", "people"], ["people"], [], ["water", "indoor"]],
    ),
    "question-answering": (
        {"name": "text-question-answering", "modality": "text", "longest": 3, "may_lack": True},
        [(0, 0), (0, 0), (1, 0), (0, 1), (0, 0), (1, 1), (0, 0), (0, 0)],
    ),
    "regression": (
        {
            "name": "image-regression",
            "modality": "image",
            "targets": ["age", "height"],
            "mean": [40, 1.7],
            "std": [9, 0.2],
        },
        [(30, 1.6), (41, 1.8), (29, 1.75), (60, 1.9), (45, 1.5), (38, 1.65), (33, 1.7), (52, 1.71)],
    ),
    "token-classification": (
        {
            "name": "text-token-classification",
            "modality": "text",
            "classes": ["B-person", "B-place", "I-person", "I-place", "O"],
            "scheme": "iob2",
        },
        ["B-person", "I-person", "O", "B-place", "I-place", "O", "B-place", "B-person"],
    ),
}
"""Key of TASKS -> a description that `from_json` takes, and labels of some items."""


def example_units(task: Task) -> Units | None:
    """Which of the rows of EXAMPLES are of one text; None where the items are no words."""
    if not task.by_word:
        return None
    asked = "Who was it?" if task.kind == "multi" else ""
    passages = []
    for name, rows, answers in (("one", 5, ("bb cc",)), ("two", 3, ())):
        words = ["aa", "bb", "cc", "dd", "ee"][: rows - bool(asked)]
        spans = tuple((3 * i, 3 * i + 2) for i in range(len(words)))
        passages.append(Passage(name, " ".join(words), spans, asked, answers if asked else ()))
    return Units(tuple(passages), np.array([0, 5, 8]))


def check_task(task: Task, labels: Sequence[Any], units: Units | None = None) -> None:
    """Check every promise of `headstart.core.task.Task`. labels: of eight or so items, every output among them. units:
    which of them are of one text, where they are words."""
    again = tasks.from_json(json.loads(json.dumps(task.to_json())))
    assert again == task, f"{task.name} does not survive a round trip through JSON"
    assert task.name.split("-")[0]
    assert task.name.partition("-")[2] in tasks.TASKS
    assert task.kind in ("single", "multi", "number")

    targets, outputs = task.encode(labels), len(task.outputs)
    assert outputs == len(set(task.outputs)) > 0
    assert targets.shape == ((len(labels),) if task.kind == "single" else (len(labels), outputs))
    assert targets.dtype.kind == ("i" if task.kind == "single" else "f")
    assert task.encode([]).shape == (0, *targets.shape[1:]), "no items should encode to no targets"

    logits = np.random.default_rng(0).normal(size=(len(labels), outputs)).astype(np.float32)
    _check_scores(task, logits, units)
    _check_loss(task, torch.from_numpy(logits), torch.from_numpy(targets))
    metrics = task.metrics(targets, task.scores(logits), units)
    assert task.primary in metrics
    ideal = _ideal(task, targets)
    best, worst = task.metrics(targets, ideal, units), task.metrics(targets, -ideal, units)
    assert worst[task.primary] < best[task.primary] == 1, "the primary metric should be larger where it is better"
    items = len(targets) if units is None else len(units)
    resamples = np.stack([np.ones(items), np.arange(items) == 0], axis=1).astype(np.float32)
    drawn = task.statistic(targets, ideal, units)(resamples)
    assert all(values.shape == (2,) for values in drawn.values())
    assert drawn[task.primary][0] == 1
    only = task.statistic(targets, ideal, units, task.primary)(resamples)
    assert only.keys() == {task.primary}
    assert np.array_equal(only[task.primary], drawn[task.primary], equal_nan=True)
    json.dumps({"metrics": metrics, "predictions": task.decode(task.scores(logits), units)}, allow_nan=False)


def _ideal(task: Task, targets: np.ndarray) -> np.ndarray:
    """(N, K) scores that are right throughout."""
    return np.eye(len(task.outputs))[targets] if task.kind == "single" else targets.astype(np.float64)


def _check_scores(task: Task, logits: np.ndarray, units: Units | None) -> None:
    before, scores = logits.copy(), task.scores(logits)
    assert scores.shape == logits.shape
    assert scores.dtype == np.float64
    assert (logits == before).all(), "scores() should leave its input alone"
    assert len(task.decode(scores, units)) == (len(logits) if units is None else len(units))
    assert task.scores(logits[:0]).shape == (0, logits.shape[1])
    assert task.decode(scores[:0], None if units is None else units.take([])) == []
    if task.kind != "number":
        extreme = task.scores(logits * 1e6)
        assert np.isfinite(extreme).all()
        assert (extreme >= 0).all()
        assert (extreme <= 1).all()
    if task.kind == "single":
        assert np.allclose(scores.sum(axis=1), 1)


def _check_loss(task: Task, logits: torch.Tensor, targets: torch.Tensor) -> None:
    logits = logits.clone().requires_grad_()
    loss = task.loss(logits, targets)
    assert loss.shape == ()
    assert torch.isfinite(loss)
    (gradient,) = torch.autograd.grad(loss, logits)
    stepped = task.loss(logits - 0.1 * gradient, targets)
    assert stepped < loss, "a step down the gradient should lower the loss"

    even = torch.full((len(task.outputs),), 3.0)
    assert torch.allclose(task.loss(logits, targets, weight=even), loss), "equal weights should change nothing"
    assert torch.isfinite(task.loss(logits, targets, smoothing=0.1))
    half = task.loss(logits.bfloat16(), targets)
    assert half.dtype == torch.float32, "the loss should be taken in float32 whatever the network computes in"
    if task.kind == "single":
        soft = torch.nn.functional.one_hot(targets, len(task.outputs)).float()
        uneven = torch.arange(1.0, len(task.outputs) + 1)
        for weight in (None, uneven):
            hard = task.loss(logits, targets, weight=weight, smoothing=0.1)
            assert torch.allclose(task.loss(logits, soft, weight=weight, smoothing=0.1), hard), "soft labels differ"
