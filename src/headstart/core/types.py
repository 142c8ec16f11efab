"""Values that travel between rooms. Importing this module loads no torch.

Letters used for shapes throughout headstart: B batch, D feature width, T tokens, C channels,
H height, W width, K classes or outputs, N items.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Rows(Protocol):
    """(N, D) numbers that may be too many to hold: an array, or something that reads a slice of one when asked."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Features:
    """What an encoder says of a batch.

    pooled: (B, D), one vector an item.
    tokens: (B, T, D), one vector a position, where the network has positions.
    maps: feature maps, each (B, C, H, W), coarsest last, where the network has maps.
    """

    pooled: Tensor
    tokens: Tensor | None = None
    maps: tuple[Tensor, ...] = field(default=())


@dataclass(frozen=True)
class Interval:
    """A number with the interval it is believed to lie in (95 % unless said)."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Interval:
        return cls(float(data["value"]), float(data["low"]), float(data["high"]))

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"
