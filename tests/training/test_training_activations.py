"""Texts whose first layers are frozen: computed once, and trained as if they had been computed at every step."""

from __future__ import annotations

import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.core.config import TrainConfig
from headstart.core.method import Phase
from headstart.data.dataset import Dataset, Item, Role
from headstart.data.loader import Batches
from headstart.nn.model import Model
from headstart.nn.truncate import Truncation
from headstart.tasks.classification import Classification
from headstart.testing.sources import tiny_text_source
from headstart.training.activations import Activations
from headstart.training.loop import Split, TrainingLoop

PHASES = {"top": Phase("top", 4, blocks=1, learning_rate=3e-3), "head": Phase("head", 4, blocks=0, learning_rate=0.05)}
ITEMS = {"train": 40, "validation": 12}


class Killed(BaseException):
    pass


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


@pytest.fixture(scope="module")
def parts() -> tuple[Split, Split]:
    rng, made = random.Random(0), []
    roles: tuple[Role, ...] = ("train", "validation")
    for role in roles:
        items = []
        for i in range(ITEMS[role]):
            words = rng.choices(["the", "film", "was", "a", "room"], k=rng.randint(0, 12))
            words.insert(rng.randint(0, len(words)), rng.choice(["good", "fine"] if i % 2 else ["bad", "poor"]))
            items.append(Item(f"{role} {i}", " ".join(words), "up" if i % 2 else "down", role))
        dataset = Dataset(role, tuple(items), modality="text")
        targets = Classification(("down", "up"), "text").encode(dataset.labels)
        made.append(Split(Batches(dataset, None, tiny_text_source().card.input), targets))
    return made[0], made[1]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batch sizes of the frozen part's forward passes, as they happen."""
    seen: list[int] = []
    plain = Truncation.bottom

    def counted(self: Truncation, batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(batch))
        return plain(self, batch)

    monkeypatch.setattr(Truncation, "bottom", counted)
    return seen


def make(parts: tuple[Split, Split], folder: Path, progress: Any = None, **options: Any) -> TrainingLoop:
    torch.manual_seed(1)
    options = {"batch_size": 8, "checkpoint_seconds": 0, "early_stop": 0, "precision": "float32", **options}
    model, task = Model(tiny_text_source().load(), 2), Classification(("down", "up"), "text")
    return TrainingLoop(model, task, TrainConfig(**options), *parts, seed=3, folder=folder, progress=progress)


def weights(loop: TrainingLoop) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in loop.model.state_dict().items()}


TRIED = 3
"""Items that are encoded to try the cut, and to see how large one is."""


@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES.keys())
def test_kept_activations_train_the_same_weights(
    parts: tuple[Split, Split], tmp_path: Path, encoded: list[int], phase: Phase
) -> None:
    anew = make(parts, tmp_path / "anew", cached_views=0)
    anew.train(phase)
    assert not encoded
    kept = make(parts, tmp_path / "kept")
    kept.train(phase)
    assert sum(encoded) == sum(ITEMS.values()) + TRIED  # one view: nothing is drawn
    for name, tensor in weights(anew).items():
        torch.testing.assert_close(weights(kept)[name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    assert [row["train_loss"] for row in kept.history] == pytest.approx([r["train_loss"] for r in anew.history], 1e-4)
    assert kept.history[-1]["train_loss"] < kept.history[0]["train_loss"]


def test_a_few_wordings_serve_every_epoch(parts: tuple[Split, Split], tmp_path: Path, encoded: list[int]) -> None:
    loop = make(parts, tmp_path, cached_views=2, augment={"word_delete": 0.3})
    loop.train(Phase("top", 8, blocks=1))
    assert sum(encoded) == 2 * ITEMS["train"] + ITEMS["validation"] + TRIED


@pytest.mark.parametrize("at", [3, 17])
def test_a_kill_among_kept_activations_changes_nothing(
    parts: tuple[Split, Split], tmp_path: Path, encoded: list[int], at: int
) -> None:
    options = {"cached_views": 2, "augment": {"word_swap": 0.2}}
    whole = make(parts, tmp_path / "whole", **options)
    whole.train(PHASES["top"])
    with pytest.raises(Killed):
        make(parts, tmp_path / "cut", KillAt(at), **options).train(PHASES["top"])
    again = make(parts, tmp_path / "cut", **options)
    again.train(PHASES["top"])
    assert encoded
    assert all(torch.equal(tensor, weights(again)[name]) for name, tensor in weights(whole).items())
    assert whole.history == again.history


def test_items_of_several_lengths_stand_together() -> None:
    """Padded as a batch of the same texts is, whatever stood beside them before."""
    rows = [torch.full((length, 2), float(length)) for length in (3, 9, 17)]

    def padded(some: list[torch.Tensor], length: int) -> torch.Tensor:
        return torch.stack([torch.cat([row, torch.full((length - len(row), 2), torch.nan)]) for row in some])

    views = [padded(rows[:2], 16), padded(rows[2:], 20)]  # 20: as long as a text may be, and no multiple of 8
    kept = Activations(lambda batch: batch, nullcontext, lambda view: views, list, 1, 2)
    for indices, length in (([0], 8), ([0, 1], 16), ([1], 16), ([2, 0], 20)):
        expected = padded([rows[i] for i in indices], length)
        assert torch.equal(kept.training(0, indices).nan_to_num(-1), expected.nan_to_num(-1))
