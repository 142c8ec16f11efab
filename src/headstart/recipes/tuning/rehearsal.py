"""What a method would train, found out by walking through it without training anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from headstart.core.config import TrainConfig
from headstart.core.method import Method, Phase
from headstart.core.task import Task
from headstart.nn.model import Model


def phases_of(method: Method, model: Model, task: Task, config: TrainConfig) -> tuple[Phase, ...]:
    """The phases that `method` would train on `model`, in order, with its own defaults. The model is spent by it."""
    rehearsal = _Rehearsal(model, task, config)
    method.fit(model, rehearsal)
    return tuple(phase for phase in rehearsal.phases if phase.epochs)


class _Rehearsal:
    """A `headstart.core.method.Loop` that takes notes and changes no weight."""

    seed = 0

    def __init__(self, model: Model, task: Task, config: TrainConfig) -> None:
        self.config = config
        self.task = task
        self.phases: list[Phase] = []
        self._width = model.encoder.width

    def train(self, phase: Phase) -> None:
        self.phases.append(phase)

    def step(self, name: str, change: Callable[[], None]) -> None:
        del name, change

    def features(self, split: Literal["train", "validation"]) -> tuple[np.ndarray, np.ndarray]:
        del split
        return np.zeros((0, self._width), np.float32), np.zeros(0, int)

    def groups(self, split: Literal["train", "validation"]) -> np.ndarray | None:
        del split
        return None

    def validate(self) -> float:
        return 0.0

    def snapshots(self, phase: str) -> Sequence[tuple[float, dict[str, Tensor]]]:
        del phase
        return ()

    def note(self, name: str, value: Any) -> None:
        del name, value
