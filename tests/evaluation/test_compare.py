"""The verdict: its rate of false alarms, its power, its words; and two runs by their stored predictions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import ArtifactError, DataError
from headstart.core.task import Task
from headstart.evaluation.compare import Verdict, compare_runs, verdict
from headstart.evaluation.predictions import Predictions
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import MultiLabel
from headstart.tasks.regression import Regression

TASK = Classification(("bird", "cat", "dog"))


def draw(seed: int, items: int, skills: tuple[float, float], own: float = 1.0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Targets, and scores of two models that share some of their mistakes (`own`: how much noise is theirs alone)."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, size=items)
    shared = rng.normal(size=(items, 3))
    logits = [shared + own * rng.normal(size=(items, 3)) + skill * np.eye(3)[targets] for skill in skills]
    return targets, [TASK.scores(z) for z in logits]


def judge(seed: int, items: int, skills: tuple[float, float], own: float = 1.0) -> Verdict:
    targets, (ours, theirs) = draw(seed, items, skills, own)
    return verdict(TASK, targets, ours, theirs, against="scratch", seed=seed, resamples=500)


@pytest.mark.parametrize(("items", "own"), [(20, 1.0), (60, 0.3), (200, 1.0)])
def test_false_alarms_are_rare(items: int, own: float) -> None:
    alarms = sum(judge(seed, items, (1.5, 1.5), own).transfer != "neutral" for seed in range(400))
    assert alarms / 400 <= 0.06


def test_a_real_gain_and_a_real_loss_are_found() -> None:
    better, worse = judge(0, 300, (3, 1)), judge(0, 300, (1, 3))
    assert (better.transfer, worse.transfer) == ("positive", "negative")
    assert 0 < better.low < better.gain < better.high
    assert better.p_value < 0.01
    assert better.mcnemar_p is not None
    assert better.mcnemar_p < 0.01
    assert worse.gain == pytest.approx(-better.gain, abs=0.1)
    assert "Transfer helped" in better.words
    assert "300 test items" in better.words
    assert "Transfer hurt: scratch is better" in worse.words
    assert "nan" not in better.words + worse.words


def test_schema_and_round_trip() -> None:
    found = judge(0, 50, (2, 1))
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert {"transfer", "gain", "low", "high", "p_value", "against", "test"} <= set(data)
    assert data["test"] == "paired bootstrap"
    assert data["against"] == "scratch"
    assert Verdict.from_json(data) == found


def test_a_handful_of_differences_proves_nothing() -> None:
    targets = np.zeros(40, dtype=int)
    ours, theirs = np.eye(3)[targets], np.eye(3)[targets]
    theirs[:5] = [0, 1, 0]
    found = verdict(TASK, targets, ours, theirs, against="probe")
    assert (found.transfer, found.differing) == ("neutral", 5)
    assert found.low > 0, "the bootstrap alone would have called it"
    assert "Too few to tell" in found.words
    assert "only 5 items" in found.words
    theirs[:9] = [0, 1, 0]
    assert verdict(TASK, targets, ours, theirs, against="probe").transfer == "positive"


def test_groups_are_what_counts_where_items_depend_on_each_other() -> None:
    targets = np.zeros(60, dtype=int)
    ours, theirs = np.eye(3)[targets], np.eye(3)[targets]
    theirs[:10] = [0, 1, 0]
    alone = verdict(TASK, targets, ours, theirs, against="probe")
    grouped = verdict(TASK, targets, ours, theirs, against="probe", groups=np.arange(60) // 10)
    assert (alone.transfer, grouped.transfer) == ("positive", "neutral")
    assert (grouped.differing, grouped.mcnemar_p) == (1, None)
    assert "only 1 group," in grouped.words


def test_identical_predictions_are_neutral() -> None:
    targets, (ours, _) = draw(0, 30, (1, 1))
    found = verdict(TASK, targets, ours, ours, against="probe")
    assert (found.transfer, found.gain, found.p_value, found.mcnemar_p) == ("neutral", 0, 1, 1)


def test_many_labels_and_numbers() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((80, 3)) < 0.5).astype(np.float32)
    labels = MultiLabel(("a", "b", "c"))
    found = verdict(labels, truth, truth.astype(float), rng.random((80, 3)), against="scratch")
    assert (found.transfer, found.metric) == ("positive", "f1_macro")
    numbers = rng.normal(size=(80, 1))
    task = Regression(("age",), (0.0,), (1.0,))
    found = verdict(task, numbers, numbers + 0.1, np.zeros((80, 1)), against="scratch")
    assert (found.transfer, found.metric, found.mcnemar_p) == ("positive", "r2", None)
    same = verdict(task, np.ones((9, 1)), np.ones((9, 1)), np.zeros((9, 1)), against="scratch")
    assert same.transfer == "neutral"
    assert "undefined" in same.words


def stored(task: Task = TASK, seed: int = 0) -> Predictions:
    targets, (scores, _) = draw(seed, 30, (2, 1))
    return Predictions(task, tuple(f"photo {i}.jpg" for i in range(30)), targets, scores)


@pytest.mark.parametrize(
    "predictions",
    [
        stored(),
        replace(stored(), groups=np.arange(30).astype(str)),
        Predictions(
            MultiLabel(("a", "b")), ("x", "y"), np.eye(2, dtype=np.float32), np.array([[0.1, 0.7], [1 / 3, 0]])
        ),
        Predictions(Regression(("a",), (0.0,), (1.0,)), ("x",), np.array([[0.1]]), np.array([[1e-9]])),
        Predictions(Regression(("a", "b"), (0.0, 0.0), (1.0, 2.0)), ("x",), np.array([[0.1, 3]]), np.array([[1.0, 2]])),
    ],
)
def test_predictions_survive_the_disk(predictions: Predictions, tmp_path: Path) -> None:
    predictions.save(tmp_path / "predictions.jsonl")
    again = Predictions.load(tmp_path / "predictions.jsonl", predictions.task)
    assert again.ids == predictions.ids
    assert np.array_equal(again.targets, predictions.targets)
    assert np.array_equal(again.scores, predictions.scores)
    assert (again.groups is None) == (predictions.groups is None)
    line = json.loads((tmp_path / "predictions.jsonl").read_text().splitlines()[0])
    assert set(line) == {"id", "label", "predicted", "scores", "group"}


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"id": "a"}', '{"id": "a", "label": "cat", "scores": [1], "group": null}']
)
def test_damaged_predictions_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    stored().save(path)
    path.write_text(path.read_text() + damage + "\n")
    with pytest.raises(ArtifactError, match=r"line 31 .* is not a stored prediction"):
        Predictions.load(path, TASK)
    with pytest.raises(ArtifactError, match="cannot be read"):
        Predictions.load(tmp_path / "absent", TASK)


def test_runs_compare_by_id_in_any_order() -> None:
    a, b = stored(seed=0), replace(stored(seed=0), scores=np.roll(stored(seed=0).scores, 1, axis=1))
    found = compare_runs(a, b, names=("runs/a", "runs/b"))
    assert found.transfer == "positive"
    assert found.words.startswith("runs/a is better than runs/b. On 30 test items")
    assert compare_runs(b, a, names=("runs/b", "runs/a")).words.startswith("runs/a is better than runs/b. ")
    shuffled = b.ordered_as([b.ids[i] for i in np.random.default_rng(0).permutation(30)])
    assert compare_runs(a, shuffled, names=("runs/a", "runs/b")) == found


def test_runs_that_cannot_be_compared() -> None:
    a = stored()
    other = Predictions(Classification(("bird", "cat", "emu")), a.ids, a.targets, a.scores)
    with pytest.raises(DataError, match="predict different things"):
        compare_runs(a, other)
    with pytest.raises(DataError, match=r"30 and 30; 2 not in both, for instance 'other.jpg'"):
        compare_runs(a, replace(a, ids=("other.jpg", *a.ids[1:])))
    with pytest.raises(DataError, match=r"1 test items have different true labels .* 'photo 0.jpg'"):
        compare_runs(a, replace(a, targets=np.concatenate([(a.targets[:1] + 1) % 3, a.targets[1:]])))
