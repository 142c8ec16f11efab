"""`evaluate`: the keys, the intervals' coverage, what is said of classes that are missing, the round trip."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import sklearn.metrics as oracle

from headstart.core.errors import DataError, ShapeError
from headstart.core.task import Task
from headstart.evaluation.evaluate import Evaluation, evaluate
from headstart.metrics.intervals import wilson
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import MultiLabel
from headstart.tasks.regression import Regression

METRICS_JSON = (
    "accuracy balanced_accuracy precision_macro recall_macro f1_macro f1_micro roc_auc log_loss ece".split()  # noqa: SIM905
)


def classes(number: int) -> Classification:
    return Classification(tuple(f"class {i}" for i in range(number)))


def draw(seed: int, items: int, outputs: int, skill: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Targets of uneven classes, and probabilities of a model with some skill."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, outputs + 1)
    targets = rng.choice(outputs, size=items, p=share / share.sum())
    logits = rng.normal(size=(items, outputs)) + skill * np.eye(outputs)[targets]
    return targets, classes(outputs).scores(logits)


def every_kind() -> list[tuple[Task, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    truth = (rng.random((60, 3)) < 0.4).astype(np.float32)
    noisy = np.clip(truth * 0.6 + rng.random((60, 3)) * 0.5, 0, 1)
    numbers = rng.normal(size=(60, 2))
    return [
        (classes(4), *draw(0, 60, 4)),
        (MultiLabel(("indoor", "people", "water")), truth, noisy),
        (Regression(("age", "height"), (0.0, 0.0), (1.0, 1.0)), numbers, numbers + 0.1 * rng.normal(size=(60, 2))),
    ]


def test_keys_of_metrics_json_and_their_values() -> None:
    task, (targets, scores) = classes(4), draw(0, 200, 4)
    found = evaluate(task, targets, scores)
    assert list(found.metrics) == METRICS_JSON
    assert found.metrics["accuracy"] == wilson(float((scores.argmax(axis=1) == targets).sum()), 200)
    for name, value in task.metrics(targets, scores).items():
        assert found.metrics[name].value == pytest.approx(value)
        assert found.metrics[name].low < found.metrics[name].value < found.metrics[name].high
    assert (np.array(found.confusion) == oracle.confusion_matrix(targets, scores.argmax(axis=1))).all()
    precision, recall, f1, support = oracle.precision_recall_fscore_support(targets, scores.argmax(axis=1))
    for k, row in enumerate(found.per_class):
        assert (row.name, row.count) == (f"class {k}", support[k])
        expected = {"precision": precision[k], "recall": recall[k], "f1": f1[k]}
        for name, value in expected.items():
            assert row.metrics[name].value == pytest.approx(value)
            assert row.metrics[name].low < value < row.metrics[name].high


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("case", every_kind(), ids=lambda case: case[0].kind)
def test_every_kind_round_trips_through_strict_json(case: tuple[Task, np.ndarray, np.ndarray], grouped: bool) -> None:
    task, targets, scores = case
    groups = np.arange(60) // 2 if grouped else None
    found = evaluate(task, targets, scores, groups=groups, resamples=200)
    assert set(found.metrics) == set(task.metrics(targets, scores))
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found
    assert evaluate(task, targets, scores, groups=groups, resamples=200) == found
    assert [row.name for row in found.per_class] == list(task.outputs)
    assert found.groups == (30 if grouped else None)
    assert any("whole groups, 30" in note for note in found.notes) == grouped
    for row in found.per_class:
        assert all(i.low <= i.value <= i.high for i in row.metrics.values())
        assert set(row.metrics) == (
            {"mse", "mae", "rmse", "r2"} if task.kind == "number" else {"precision", "recall", "f1"}
        )


def test_missing_rare_and_never_predicted_classes_are_said() -> None:
    targets, scores = np.array([0] * 30 + [1] * 3), np.tile([0.8, 0.1, 0.1], (33, 1))
    found = evaluate(Classification(("cat", "dog", "emu")), targets, scores)
    notes = " ".join(found.notes)
    assert "Only 33 test items" in notes
    assert "No test item has emu" in notes
    assert "Fewer than 5 test items have dog" in notes
    assert "Never predicted: dog" in notes
    assert found.per_class[2].metrics == {}
    assert found.metrics["roc_auc"].value == 0.5


def test_undefined_metrics_are_left_out_and_said() -> None:
    found = evaluate(classes(3), np.zeros(5, dtype=int), np.eye(3)[np.zeros(5, dtype=int)])
    assert "roc_auc" not in found.metrics
    assert any("left out: roc_auc" in note for note in found.notes)
    assert found.metrics["accuracy"].high == 1
    assert found.metrics["f1_macro"].low < 0.9, "five items right do not prove a perfect model"


def test_one_item() -> None:
    for target in (0, 1):
        found = evaluate(classes(2), np.array([target]), np.array([[0.9, 0.1]]))
        assert found.n == 1
        assert found.metrics["accuracy"] == wilson(1 - target, 1)


@pytest.mark.parametrize(
    ("targets", "scores", "groups", "error", "words"),
    [
        (np.zeros(0, int), np.zeros((0, 3)), None, DataError, "no test items"),
        (np.zeros(4, int), np.zeros((4, 2)), None, ShapeError, r"scores \(4, 3\), but got \(4,\) and \(4, 2\)"),
        (np.zeros((4, 3)), np.zeros((4, 3)), None, ShapeError, r"targets \(4,\)"),
        (np.zeros(4, int), np.full((4, 3), np.nan), None, DataError, "4 of 4 items are not finite"),
        (np.zeros(4, int), np.zeros((4, 3)), np.zeros(3), ShapeError, "4 items but 3 groups"),
    ],
)
def test_what_does_not_fit_is_refused(
    targets: np.ndarray, scores: np.ndarray, groups: np.ndarray | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        evaluate(classes(3), targets, scores, groups=groups)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    task = classes(3)
    truth = task.metrics(*draw(10**6, 200_000, 3))
    hits = dict.fromkeys(truth, 0)
    for seed in range(300):
        for name, interval in evaluate(task, *draw(seed, 150, 3), seed=seed, resamples=500).metrics.items():
            hits[name] += interval.low <= truth[name] <= interval.high
    assert all(0.92 <= hits[name] / 300 <= 0.98 for name in hits if name != "ece"), hits
    assert hits["ece"] / 300 >= 0.92, hits


def test_ten_thousand_items_of_a_hundred_classes_take_seconds() -> None:
    targets, scores = draw(0, 10_000, 100)
    start = time.process_time()
    evaluate(classes(100), targets, scores, resamples=200)
    assert time.process_time() - start < 6
