"""The interface of a method: how knowledge moves from a source to a target.

A method is a procedure that reads top to bottom. It is handed a model (the source's encoder and a new
head) and a Loop, and says what is built, what trains in which phase and what is minimised. The loop owns
everything else: batches, precision, schedules, checkpoints, resume. `loop.train` and `loop.step` are the
only places where weights may change, and each is done at most once even if the process is killed and
resumed between or inside them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from headstart.core.config import TrainConfig
    from headstart.core.task import Task
    from headstart.core.types import Rows
    from headstart.nn.model import Model


@dataclass(frozen=True)
class Phase:
    """One stretch of gradient descent. Defaults that the user's TrainConfig may override.

    name: unique in the method. epochs: passes over the data.
    blocks: how many encoder blocks train, counted from the output (0 none, None all).
    parameters: instead of whole blocks, a test on (qualified name, parameter) that says what trains.
    penalty: added to the loss at every step; takes the model, gives a scalar.
    layer_decay: learning-rate factor from each block to the one below it.
    batchnorm: "train" lets trained blocks update running statistics; "freeze" keeps the source's.
    keep_best: end with the weights of the best validation score (the state at entry counts too), else the last.
    snapshots: keep the weights of every epoch for the method to combine afterwards (`loop.snapshots`).
    """

    name: str
    epochs: int
    blocks: int | None = None
    parameters: Callable[[str, nn.Parameter], bool] | None = None
    learning_rate: float = 1e-3
    head_learning_rate: float | None = None
    optimizer: Literal["adamw", "adam", "sgd", "momentum"] = "adamw"
    weight_decay: float = 0.01
    head_weight_decay: float | None = None
    schedule: Literal["cosine", "one-cycle", "constant", "slanted"] | None = None
    layer_decay: float = 1.0
    batchnorm: Literal["train", "freeze"] = "train"
    augment: bool = True
    penalty: Callable[[Model], Tensor] | None = None
    keep_best: bool = True
    snapshots: bool = False


class Loop(Protocol):
    """What a method may ask for. Implemented by `headstart.training.loop`."""

    config: TrainConfig
    task: Task

    @property
    def seed(self) -> int: ...

    def train(self, phase: Phase) -> None:
        """Run one phase, or take up its result if an earlier process finished it."""

    def step(self, name: str, change: Callable[[], None]) -> None:
        """Run a change of weights that is no gradient descent, once; its result is checkpointed."""

    def features(self, split: Literal["train", "validation"]) -> tuple[Rows, np.ndarray]:
        """Frozen features (N, D) float32 of the evaluation view, and targets; of the model as it is now."""

    def groups(self, split: Literal["train", "validation"]) -> np.ndarray | None:
        """(N,) group of each item (never to be shared across folds), or None."""

    def validate(self) -> float:
        """The monitored metric on validation data, of the model as it is now. Larger is better."""

    def snapshots(self, phase: str) -> Sequence[tuple[float, dict[str, Tensor]]]:
        """(validation score, weights) of each epoch of a phase that asked for snapshots, in order."""

    def note(self, name: str, value: Any) -> None:
        """Record something the report should tell (chosen C, chosen mixing weight, ...)."""


class Method(ABC):
    """How knowledge moves. A leaf class is a frozen dataclass whose fields are the method's own options."""

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    pretrained: ClassVar[bool] = True
    """Whether it starts from the source's weights (`scratch` does not)."""

    @abstractmethod
    def fit(self, model: Model, loop: Loop) -> None:
        """Change `model` in place. On return it is in its final form: adapters merged, best weights in."""


@dataclass(frozen=True)
class Choice:
    """Something that was tried and kept or not; the report tells the story."""

    name: str
    score: float
    kept: bool
    detail: dict[str, Any] = field(default_factory=dict)
