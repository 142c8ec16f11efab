"""The interface of a task: what the head predicts, how it is judged and how it is decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Task(ABC):
    """What is predicted. A task is a frozen value: its outputs are fixed when it is made.

    Arrays of targets are `(N,)` class indices for a single label, `(N, K)` zeros and ones for
    many labels, `(N, K)` float for numbers.
    """

    kind: ClassVar[Literal["single", "multi", "number"]]
    modality: str
    """Of the items that it is asked about: "image", "text", "audio" or "table"."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As in `metrics.json`, e.g. "image-classification"."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the K outputs: classes, labels or quantities."""

    @property
    @abstractmethod
    def primary(self) -> str:
        """The metric that choices look at unless the user names another; larger is better."""

    @abstractmethod
    def encode(self, labels: Sequence[Any]) -> np.ndarray:
        """Raw labels -> array of targets. Raises DataError naming a label that it does not know."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """Mean loss of a batch, a scalar. logits: (B, K). targets: (B,) indices, or (B, K) soft labels or numbers.

        weight: (K,) per-class weights. smoothing: label smoothing in [0, 1).
        """

    @abstractmethod
    def scores(self, logits: np.ndarray) -> np.ndarray:
        """(N, K) raw outputs -> (N, K) probabilities (or predicted numbers, in the user's units)."""

    @abstractmethod
    def decode(self, scores: np.ndarray) -> list[Any]:
        """(N, K) scores -> one JSON-ready prediction an item."""

    @abstractmethod
    def metrics(self, targets: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        """Every point metric of the task; `primary` is among the keys."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to make the task again: `{"name": ..., ...}`; see `headstart.tasks.from_json`."""
