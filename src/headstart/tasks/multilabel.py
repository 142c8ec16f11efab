"""Any number of labels an item, each there or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from headstart.core.errors import DataError
from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.metrics import multilabel
from headstart.metrics.resampling import Statistic
from headstart.tasks.names import require_names, unknown_label

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MultiLabel(Task):
    """labels: names of the K labels, one or more, all different; their order is the order of the outputs."""

    labels: tuple[str, ...]
    modality: str = "image"
    kind: ClassVar[Literal["single", "multi", "number"]] = "multi"

    def __post_init__(self) -> None:
        require_names("labels", self.labels, at_least=1)

    @classmethod
    def from_labels(cls, labels: Iterable[Iterable[Any]], modality: str = "image") -> MultiLabel:
        """The task of finding every label that occurs, sorted by name. labels: one collection of names an item."""
        return cls(tuple(sorted({str(name) for several in labels for name in several})), modality)

    @property
    def name(self) -> str:
        return f"{self.modality}-multilabel"

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.labels

    @property
    def primary(self) -> str:
        return "f1_macro"

    def encode(self, labels: Sequence[Any]) -> np.ndarray:
        """Collections of names -> (N, K) float32 zeros and ones; an empty collection is an item without labels."""
        index = {name: i for i, name in enumerate(self.labels)}
        targets = np.zeros((len(labels), len(self.labels)), dtype=np.float32)
        for row, several in enumerate(labels):
            if isinstance(several, str) or not isinstance(several, Iterable):
                raise DataError(
                    f"item {row} has the labels {several!r}, but this task takes a list of names. "
                    f"Write one label as [{several!r}], none as []."
                )
            for name in several:
                if str(name) not in index:
                    raise DataError(unknown_label(name, self.labels))
                targets[row, index[str(name)]] = 1
        return targets

    def loss(self, logits: Tensor, targets: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """Binary cross-entropy, mean over items and labels, labels weighted by `weight` (K,).

        smoothing: targets move this share of the way to one half.
        """
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = logits.float()
        soft = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        each = binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(dim=0)
        return each.mean() if weight is None else (each * weight).sum() / weight.sum()

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Sigmoid of each output, in float64."""
        probabilities: np.ndarray = 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, dtype=np.float64)))
        return probabilities

    def decode(self, scores: np.ndarray, units: Units | None = None) -> list[Any]:
        """The list of labels whose probability is above one half, for each item."""
        return [[self.labels[i] for i in np.flatnonzero(row)] for row in multilabel.called(scores)]

    def statistic(
        self, targets: np.ndarray, scores: np.ndarray, units: Units | None = None, only: str | None = None
    ) -> Statistic:
        return lambda counts: multilabel.metrics(targets, scores, counts, only)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "modality": self.modality, "labels": list(self.labels)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> MultiLabel:
        return cls(tuple(data["labels"]), data["modality"])
