"""One label an item, out of two or more classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from headstart.core.errors import DataError
from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.metrics import classification
from headstart.metrics.resampling import Statistic
from headstart.tasks.names import require_names, unknown_label

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Classification(Task):
    """classes: names of the K classes, two or more, all different; their order is the order of the outputs."""

    classes: tuple[str, ...]
    modality: str = "image"
    kind: ClassVar[Literal["single", "multi", "number"]] = "single"

    def __post_init__(self) -> None:
        require_names("classes", self.classes, at_least=2)

    @classmethod
    def from_labels(cls, labels: Iterable[Any], modality: str = "image") -> Classification:
        """The task of telling apart every label that occurs, sorted by name. Raises ConfigError for fewer than two."""
        return cls(tuple(sorted({str(label) for label in labels})), modality)

    @property
    def name(self) -> str:
        return f"{self.modality}-classification"

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.classes

    @property
    def primary(self) -> str:
        return "accuracy"

    def encode(self, labels: Sequence[Any]) -> np.ndarray:
        """Labels -> (N,) int64 class indices. A label is compared by its text, so 3 and "3" are one."""
        index = {name: i for i, name in enumerate(self.classes)}
        try:
            return np.array([index[str(label)] for label in labels], dtype=np.int64)
        except KeyError as error:
            raise DataError(unknown_label(error.args[0], self.classes)) from None

    def loss(self, logits: Tensor, targets: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy. targets: (B,) indices or (B, K) soft labels; with `weight`, the mean weighted by class."""
        from torch.nn.functional import cross_entropy

        logits = logits.float()
        if targets.ndim == 1:
            return cross_entropy(logits, targets, weight, label_smoothing=smoothing)
        targets = targets.to(logits.dtype)
        if weight is None:
            return cross_entropy(logits, targets, label_smoothing=smoothing)
        total = cross_entropy(logits, targets, weight, label_smoothing=smoothing, reduction="sum")
        return total / (targets @ weight).sum()

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Softmax, in float64."""
        logits = np.asarray(logits, dtype=np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def decode(self, scores: np.ndarray, units: Units | None = None) -> list[Any]:
        """The name of the likeliest class of each item."""
        return [self.classes[i] for i in scores.argmax(axis=1)]

    def statistic(
        self, targets: np.ndarray, scores: np.ndarray, units: Units | None = None, only: str | None = None
    ) -> Statistic:
        return lambda counts: classification.metrics(targets, scores, counts, only)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "modality": self.modality, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Classification:
        return cls(tuple(data["classes"]), data["modality"])
