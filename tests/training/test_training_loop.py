"""The loop: learns, keeps what it promised to freeze, and resumes to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart.core.config import TrainConfig
from headstart.core.errors import ConfigError, InternalError
from headstart.core.method import Phase
from headstart.data.loader import Batches
from headstart.data.read import read_dataset
from headstart.nn.model import Model
from headstart.nn.truncate import Truncation
from headstart.tasks.classification import Classification
from headstart.testing.sources import tiny_source
from headstart.training.loop import Split, TrainingLoop

Plan = Callable[[TrainingLoop], None]


@pytest.fixture(scope="module")
def parts(toy_photos: Path) -> tuple[Classification, Split, Split]:
    dataset = read_dataset(toy_photos)
    task = Classification(dataset.classes)
    made = []
    for role in ("train", "validation"):
        part = dataset.split(role)
        made.append(Split(Batches(part, None, tiny_source().card.input), task.encode(part.labels)))
    return task, made[0], made[1]


class Killed(BaseException):
    """Stands for kill -9: nothing between the step and the end of the process runs."""


class KillAt:
    """A progress that kills at the n-th optimiser step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def stage(self, name: str) -> None: ...

    def say(self, text: str) -> None: ...

    def advance(self, name: str, done: int, total: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def make(
    parts: tuple[Classification, Split, Split], folder: Path, progress: Any = None, **options: Any
) -> TrainingLoop:
    task, train, validation = parts
    torch.manual_seed(1)
    options = {"batch_size": 8, "checkpoint_seconds": 0, "early_stop": 0, **options}
    model = Model(tiny_source().load(), len(task.outputs))
    return TrainingLoop(
        model, task, TrainConfig(**options), train, validation, seed=3, folder=folder, progress=progress
    )


def weights(loop: TrainingLoop) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in loop.model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def unfreeze(loop: TrainingLoop) -> None:
    for k in (0, 1, 3):
        loop.train(Phase(f"top {k}", 1, blocks=k, layer_decay=0.5, schedule="slanted"))


PLANS: dict[str, tuple[Plan, dict[str, Any]]] = {
    "head": (lambda loop: loop.train(Phase("head", 2, blocks=0, learning_rate=0.05)), {}),
    "full": (lambda loop: loop.train(Phase("full", 2)), {}),
    "partial": (lambda loop: loop.train(Phase("top", 2, blocks=2, batchnorm="freeze")), {"dropout": 0.3}),
    "unfreezing": (
        unfreeze,
        {"optimizer": "momentum", "learning_rate": 0.01},
    ),
    "averaged": (lambda loop: loop.train(Phase("full", 2, keep_best=False)), {"ema": 0.9, "schedule": "one-cycle"}),
    "mixed": (
        lambda loop: loop.train(Phase("full", 2)),
        {
            "augment": {"mixup": 0.4, "cutmix": 1.0, "policy": "randaugment"},
            "label_smoothing": 0.1,
            "class_weighting": "balanced",
        },
    ),
    "hardened": (
        lambda loop: loop.train(Phase("top", 1, blocks=1)),
        {"adversarial": {"attack": "freelb"}, "metric_term": "soft-f1", "accumulate": 2},
    ),
    "searched": (lambda loop: loop.train(Phase("top", 1, blocks=1)), {"learning_rate": "auto", "batch_size": "auto"}),
}


@pytest.mark.parametrize("name", PLANS)
def test_killed_and_resumed_it_ends_in_the_same_bits(
    name: str, parts: tuple[Classification, Split, Split], tmp_path: Path
) -> None:
    plan, options = PLANS[name]
    unbroken = make(parts, tmp_path / "unbroken", **options)
    start = weights(unbroken)
    plan(unbroken)
    steps = unbroken.steps_done
    assert not same(start, weights(unbroken))
    for at in sorted({1, steps // 2, steps // 2 + 1, steps - 1, steps}):
        folder = tmp_path / f"killed-{at}"
        killed = make(parts, folder, KillAt(at), **options)
        with pytest.raises(Killed):
            plan(killed)
        resumed = make(parts, folder, **options)
        plan(resumed)
        assert same(weights(resumed), weights(unbroken)), f"killed at step {at} of {steps}"
        plain = [{k: v for k, v in row.items() if k != "seconds"} for row in resumed.history]
        assert plain == [{k: v for k, v in row.items() if k != "seconds"} for row in unbroken.history]


def test_killed_between_phases_each_is_done_once(parts: tuple[Classification, Split, Split], tmp_path: Path) -> None:
    calls = []

    def nudge(loop: TrainingLoop) -> None:
        calls.append(1)
        loop.model.head.weight.data.add_(0.5)

    def plan(loop: TrainingLoop) -> None:
        loop.train(Phase("head", 1, blocks=0, learning_rate=0.05))
        loop.step("nudge", lambda: nudge(loop))
        loop.note("seen", float(loop.model.head.weight.detach().sum()))
        loop.train(Phase("all", 1))

    unbroken = make(parts, tmp_path / "unbroken")
    plan(unbroken)
    per_phase = unbroken.steps_done // 2
    killed = make(parts, tmp_path / "killed", KillAt(per_phase + 1))
    with pytest.raises(Killed):
        plan(killed)
    resumed = make(parts, tmp_path / "killed")
    plan(resumed)
    assert calls == [1, 1]  # once in the unbroken run, once in the killed one, never on resume
    assert same(weights(resumed), weights(unbroken))
    assert resumed.notes == unbroken.notes
    replayed = make(parts, tmp_path / "killed")
    plan(replayed)
    assert same(weights(replayed), weights(unbroken))


def test_it_learns(parts: tuple[Classification, Split, Split], tmp_path: Path) -> None:
    loop = make(parts, tmp_path, checkpoint_seconds=100)
    before = loop.validate()
    loop.train(Phase("full", 12, learning_rate=3e-3))
    assert loop.history[-1]["train_loss"] < loop.history[0]["train_loss"]
    assert loop.validate() > before + 0.2


def test_what_is_frozen_does_not_move(parts: tuple[Classification, Split, Split], tmp_path: Path) -> None:
    loop = make(parts, tmp_path)
    before = weights(loop)
    loop.train(Phase("top", 1, blocks=1, learning_rate=0.01, keep_best=False))
    after = weights(loop)
    trained = {f"encoder.{n}" for n, _ in loop.model.encoder.blocks[-1].parameters}
    for name, tensor in before.items():
        block = name.removeprefix("encoder.").rsplit(".", 1)[0]
        moved = not torch.equal(tensor, after[name])
        if name in trained or name.startswith("head."):
            assert moved, name
        elif not any(t.removeprefix("encoder.").startswith(block) for t in trained):
            assert not moved, name
    assert loop.parameters_trained == sum(
        p.numel() for n, p in loop.model.named_parameters() if n in trained or n.startswith("head.")
    )


def test_the_best_epoch_is_kept_and_the_state_at_entry_counts(
    parts: tuple[Classification, Split, Split], tmp_path: Path
) -> None:
    loop = make(parts, tmp_path)
    loop.train(Phase("good", 12, learning_rate=3e-3))
    good, score = weights(loop), loop.validate()
    loop.train(Phase("ruin", 2, learning_rate=30.0, optimizer="sgd"))
    assert loop.validate() >= score
    assert loop.validate() > score or same(good, weights(loop))


def test_without_validation_items_it_trains_to_the_end(
    parts: tuple[Classification, Split, Split], tmp_path: Path
) -> None:
    task, train, validation = parts
    empty = Split(Batches(validation.batches.dataset.take([]), None, validation.batches.contract), train.targets[:0])
    loop = make((task, train, empty), tmp_path, early_stop=1)
    before = weights(loop)
    loop.train(Phase("full", 3))
    assert len(loop.history) == 3
    assert not same(before, weights(loop))


def test_it_stops_early(parts: tuple[Classification, Split, Split], tmp_path: Path) -> None:
    loop = make(parts, tmp_path, early_stop=2, checkpoint_seconds=100)
    loop.train(Phase("nothing moves", 50, learning_rate=1e-12, blocks=0))
    assert len(loop.history) == 3


def test_a_good_start_is_kept_and_does_not_end_training_that_goes_upwards(
    parts: tuple[Classification, Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = make(parts, tmp_path, early_stop=2, checkpoint_seconds=100)
    scores = iter([0.8, 0.3, 0.5, 0.4, 0.6, 0.5, 0.55, 0.7])
    monkeypatch.setattr(loop, "_judge", lambda: (next(scores), {"validation_loss": 1.0}))
    before = weights(loop)
    loop.train(Phase("full", 20))
    assert len(loop.history) == 6
    assert same(before, weights(loop))


def test_snapshots_are_one_an_epoch_with_their_score(
    parts: tuple[Classification, Split, Split], tmp_path: Path
) -> None:
    loop = make(parts, tmp_path)
    loop.train(Phase("full", 3, snapshots=True))
    found = loop.snapshots("full")
    assert len(found) == 3
    for (score, state), row in zip(found, loop.history, strict=True):
        assert score == pytest.approx(row["validation_accuracy"], abs=1e-3)
        assert state.keys() == loop.model.state_dict().keys()


def test_features_are_those_of_the_evaluation_view(parts: tuple[Classification, Split, Split], tmp_path: Path) -> None:
    loop = make(parts, tmp_path, precision="float32")
    rows, targets = loop.features("validation")
    part = parts[2]
    batch = part.batches.prepare(part.batches.evaluation(range(len(part))))
    with torch.inference_mode():
        expected = loop.model.encoder.eval()(batch).pooled.numpy()
    np.testing.assert_allclose(rows[:], expected, rtol=1e-4, atol=1e-5)
    assert np.array_equal(targets, part.targets)


def test_a_loss_that_blows_up_says_what_to_do(parts: tuple[Classification, Split, Split], tmp_path: Path) -> None:
    loop = make(parts, tmp_path, clip=0, schedule="constant", warmup=0)
    with pytest.raises(ConfigError, match="the loss became .* Lower the learning rate"):
        loop.train(Phase("full", 20, learning_rate=1e30, optimizer="sgd"))


def test_an_unknown_metric_to_monitor_is_named(parts: tuple[Classification, Split, Split], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="metric to monitor 'acuracy'.*Did you mean 'accuracy'"):
        make(parts, tmp_path, monitor="acuracy")


def test_two_phases_of_one_name_are_refused(parts: tuple[Classification, Split, Split], tmp_path: Path) -> None:
    loop = make(parts, tmp_path)
    loop.train(Phase("a", 0))
    with pytest.raises(InternalError, match="'a' twice"):
        loop.train(Phase("a", 0))


@pytest.mark.parametrize("monitor", ["log_loss", "f1_macro", "roc_auc"])
def test_monitored_metrics_point_the_right_way(
    monitor: str, parts: tuple[Classification, Split, Split], tmp_path: Path
) -> None:
    loop = make(parts, tmp_path, monitor=monitor, checkpoint_seconds=100)
    loop.train(Phase("full", 4, learning_rate=3e-3))
    values = [row[f"validation_{monitor}"] for row in loop.history]
    best = min(values) if monitor == "log_loss" else max(values)
    assert abs(loop.validate()) == pytest.approx(best, abs=1e-3)


def bottoms(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batch sizes of the frozen part's forward passes, as they happen."""
    seen: list[int] = []
    plain = Truncation.bottom

    def counted(self: Truncation, batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(batch))
        return plain(self, batch)

    monkeypatch.setattr(Truncation, "bottom", counted)
    return seen


@pytest.mark.parametrize("phase", [Phase("top", 4, blocks=2), Phase("head", 4, blocks=0)], ids=["top", "head"])
def test_kept_activations_train_the_same_weights(
    parts: tuple[Classification, Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: Phase
) -> None:
    anew = make(parts, tmp_path / "anew", cached_views=0, precision="float32")
    anew.train(phase)
    seen = bottoms(monkeypatch)
    kept = make(parts, tmp_path / "kept", cached_views=4, precision="float32")
    kept.train(phase)
    assert sum(seen) >= 4 * len(parts[1]) + len(parts[2])
    for name, tensor in weights(anew).items():
        torch.testing.assert_close(weights(kept)[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    assert [row["train_loss"] for row in kept.history] == pytest.approx([r["train_loss"] for r in anew.history], 1e-3)


def test_a_few_views_serve_every_epoch(
    parts: tuple[Classification, Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = bottoms(monkeypatch)
    loop = make(parts, tmp_path, cached_views=2)
    loop.train(Phase("top", 10, blocks=2))
    assert sum(seen) < 2 * len(parts[1]) + len(parts[2]) + 20
    assert loop.history[-1]["train_loss"] < loop.history[0]["train_loss"]


@pytest.mark.parametrize("at", [3, 11, 17])
def test_a_kill_among_kept_activations_changes_nothing(
    parts: tuple[Classification, Split, Split], tmp_path: Path, at: int
) -> None:
    phase = Phase("top", 4, blocks=2)
    whole = make(parts, tmp_path / "whole", cached_views=2)
    whole.train(phase)
    with pytest.raises(Killed):
        make(parts, tmp_path / "cut", KillAt(at), cached_views=2).train(phase)
    again = make(parts, tmp_path / "cut", cached_views=2)
    again.train(phase)
    assert same(weights(whole), weights(again))
    assert whole.history == again.history


@pytest.mark.parametrize("options", [{"augment": {"mixup": 0.2}}, {"adversarial": {"attack": "fgsm"}}])
def test_inputs_that_are_mixed_or_attacked_are_seen_whole(
    parts: tuple[Classification, Split, Split],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    seen = bottoms(monkeypatch)
    make(parts, tmp_path, **options).train(Phase("top", 6, blocks=1))
    assert not seen
