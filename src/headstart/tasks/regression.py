"""One or more numbers an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from headstart.core.errors import ConfigError, DataError
from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.metrics import regression
from headstart.metrics.resampling import Statistic
from headstart.tasks.names import require_names

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Regression(Task):
    """targets: names of the K quantities. mean, std: of each over the training items, in the user's units.

    The network works in standard units, (value - mean) / std. Targets, scores and metrics are in the user's.
    """

    targets: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    modality: str = "image"
    kind: ClassVar[Literal["single", "multi", "number"]] = "number"

    def __post_init__(self) -> None:
        require_names("quantities", self.targets, at_least=1)
        if not len(self.targets) == len(self.mean) == len(self.std):
            raise ConfigError(
                f"a task of {len(self.targets)} quantities needs as many means and standard deviations, "
                f"but there are {len(self.mean)} and {len(self.std)}."
            )
        if not np.isfinite(self.mean).all() or not np.isfinite(self.std).all() or min(self.std) <= 0:
            raise ConfigError(
                f"means should be finite and deviations above 0, but they are {self.mean} and {self.std}."
            )

    @classmethod
    def from_labels(cls, labels: Sequence[Any], targets: Sequence[str], modality: str = "image") -> Regression:
        """The task of predicting `targets`, standardised by the labels of the training items.

        labels: a number an item, or as many numbers as targets. Raises DataError if a quantity never varies.
        """
        values = _numbers(labels, targets)
        std = values.std(axis=0) if len(values) else np.zeros(len(targets))
        for name, deviation in zip(targets, std, strict=True):
            if not deviation > 0:
                raise DataError(
                    f"{name!r} has the same value in all {len(values)} training items, so there is nothing to learn. "
                    f"Give items with different values of {name!r}."
                )
        return cls(tuple(targets), tuple(values.mean(axis=0).tolist()), tuple(std.tolist()), modality)

    @property
    def name(self) -> str:
        return f"{self.modality}-regression"

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.targets

    @property
    def primary(self) -> str:
        return "r2"

    def encode(self, labels: Sequence[Any]) -> np.ndarray:
        """Numbers -> (N, K) float64, in the user's units."""
        return _numbers(labels, self.targets)

    def loss(self, logits: Tensor, targets: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """Mean squared error in standard units, quantities weighted by `weight` (K,). Smoothing means nothing here."""
        mean, std = logits.new_tensor(self.mean).float(), logits.new_tensor(self.std).float()
        wanted = ((targets - mean.to(targets.dtype)) / std.to(targets.dtype)).float()
        each = ((logits.float() - wanted) ** 2).mean(dim=0)
        return each.mean() if weight is None else (each * weight).sum() / weight.sum()

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Predicted numbers in the user's units, float64."""
        numbers: np.ndarray = np.asarray(logits, dtype=np.float64) * np.array(self.std) + np.array(self.mean)
        return numbers

    def decode(self, scores: np.ndarray, units: Units | None = None) -> list[Any]:
        """A number an item, or where there are several quantities, an object of them by name."""
        if len(self.targets) == 1:
            return [float(row[0]) for row in scores]
        return [dict(zip(self.targets, map(float, row), strict=True)) for row in scores]

    def statistic(
        self, targets: np.ndarray, scores: np.ndarray, units: Units | None = None, only: str | None = None
    ) -> Statistic:
        return lambda counts: regression.metrics(targets, scores, counts, only)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "modality": self.modality,
            "targets": list(self.targets),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Regression:
        return cls(tuple(data["targets"]), tuple(data["mean"]), tuple(data["std"]), data["modality"])


def _numbers(labels: Sequence[Any], targets: Sequence[str]) -> np.ndarray:
    """(N, K) float64 of labels that are a number, or K numbers, each. Raises DataError naming the first that is not."""
    rows = []
    for row, label in enumerate(labels):
        values = label if isinstance(label, (tuple, list, np.ndarray)) else (label,)
        try:
            numbers = [float(value) for value in values]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) != len(targets) or not np.isfinite(numbers).all():
            raise DataError(
                f"item {row} has the label {label!r}, but this task takes {len(targets)} finite "
                f"number{'s' if len(targets) > 1 else ''} ({', '.join(targets)}). Correct or remove the item."
            )
        rows.append(numbers)
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(targets))
