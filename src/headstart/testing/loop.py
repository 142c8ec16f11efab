"""A training loop on tensors in memory: small and plain, but it keeps every promise of `headstart.core.method.Loop`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from headstart.core.config import TrainConfig
from headstart.core.method import Phase
from headstart.core.task import Task
from headstart.nn import freeze
from headstart.nn.model import Model
from headstart.training.optim import make_optimizer
from headstart.training.schedule import make_schedule

State = dict[str, Tensor]
SplitName = Literal["train", "validation"]


@dataclass(frozen=True)
class Part:
    """inputs: (N, ...) as the encoder takes them. targets: as `Task.encode` gives them. groups: (N,) or None."""

    inputs: Tensor
    targets: np.ndarray
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class Done:
    """A phase or step that came to its end: the weights before and after, and for a phase what it said and trained."""

    name: str
    before: State
    after: State
    phase: Phase | None = None
    trained: frozenset[str] = frozenset()
    losses: tuple[float, ...] = ()
    """Mean loss of each epoch."""
    snapshots: tuple[tuple[float, State], ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)


class MemoryLoop:
    """Follows phases to the letter, without augmentation. Batches of up to 16, in an order of seed and phase.

    done: what an earlier loop finished (`earlier.done`, or the first few of it): taken up instead of being run, as
    after a kill.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        train: Part,
        validation: Part,
        *,
        seed: int = 0,
        config: TrainConfig | None = None,
        done: Sequence[Done] = (),
    ) -> None:
        self.model = model
        self.task = task
        self.config = config or TrainConfig()
        self.notes: dict[str, Any] = {}
        self.done: list[Done] = []
        self._parts: dict[SplitName, Part] = {"train": train, "validation": validation}
        self._seed = seed
        self._earlier = {entry.name: entry for entry in done}

    @property
    def seed(self) -> int:
        return self._seed

    def note(self, name: str, value: Any) -> None:
        self.notes[name] = value

    def groups(self, split: SplitName) -> np.ndarray | None:
        return self._parts[split].groups

    def features(self, split: SplitName) -> tuple[np.ndarray, np.ndarray]:
        self.model.eval()
        with torch.no_grad():
            return self.model.encoder(self._parts[split].inputs).pooled.numpy(), self._parts[split].targets

    def validate(self) -> float:
        """The task's primary metric; ties go to the lower loss."""
        part = self._parts["validation"]
        self.model.eval()
        with torch.no_grad():
            logits = self.model(part.inputs)
        loss = float(self.task.loss(logits, torch.as_tensor(part.targets)))
        return self.task.metrics(part.targets, self.task.scores(logits.numpy()))[self.task.primary] - 1e-6 * loss

    def snapshots(self, phase: str) -> Sequence[tuple[float, State]]:
        return next((entry.snapshots for entry in self.done if entry.name == phase), ())

    def step(self, name: str, change: Callable[[], None]) -> None:
        if self._taken_up(name):
            return
        before = self._state()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            change()
        self.done.append(Done(name, before, self._state(), notes=dict(self.notes)))

    def train(self, phase: Phase) -> None:
        if self._taken_up(phase.name):
            return
        before = self._state()
        freeze.apply(self.model, phase)
        trained = frozenset(freeze.select(self.model, phase))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed + sum(phase.name.encode()))
            losses, snapshots = self._descend(phase) if phase.epochs else ([], [])
        self.model.eval()
        entry = Done(
            phase.name, before, self._state(), phase, trained, tuple(losses), tuple(snapshots), dict(self.notes)
        )
        self.done.append(entry)

    def _descend(self, phase: Phase) -> tuple[list[float], list[tuple[float, State]]]:
        part = self._parts["train"]
        groups = freeze.parameter_groups(
            self.model,
            phase,
            phase.learning_rate,
            phase.head_learning_rate,
            phase.weight_decay,
            phase.head_weight_decay,
            phase.layer_decay,
        )
        optimizer = make_optimizer(phase.optimizer, groups, self.config.momentum)
        rates = [group["lr"] for group in optimizer.param_groups]
        schedule = make_schedule(self.config.schedule or phase.schedule or "cosine", self.config.warmup)
        per_epoch: int = math.ceil(len(part.targets) / 16)
        best = (self.validate(), self._state())
        losses: list[float] = []
        snapshots: list[tuple[float, State]] = []
        for epoch in range(phase.epochs):
            freeze.apply(self.model, phase)
            total = 0.0
            for number, batch in enumerate(torch.randperm(len(part.targets)).tensor_split(per_epoch)):
                factor = schedule((epoch * per_epoch + number + 0.5) / (phase.epochs * per_epoch))
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factor
                targets = torch.as_tensor(part.targets[batch.numpy()])
                loss = self.task.loss(self.model(part.inputs[batch]), targets)
                total += loss.item() * len(batch)
                if phase.penalty is not None:
                    loss = loss + phase.penalty(self.model)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            losses.append(total / len(part.targets))
            score = self.validate()
            if score > best[0]:
                best = (score, self._state())
            if phase.snapshots:
                snapshots.append((score, self._state()))
        if phase.keep_best:
            self.model.load_state_dict(best[1])
        return losses, snapshots

    def _taken_up(self, name: str) -> bool:
        assert name not in {entry.name for entry in self.done}, f"the name {name!r} is used twice"
        entry = self._earlier.get(name)
        if entry is None:
            return False
        self.model.load_state_dict(entry.after)
        self.notes = dict(entry.notes)
        self.done.append(entry)
        return True

    def _state(self) -> State:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
