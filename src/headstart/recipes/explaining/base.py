"""What an explainer is given, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from headstart.artifacts.load import LoadedModel
from headstart.core.errors import ConfigError
from headstart.data.dataset import Item
from headstart.evaluation.explanation import Evidence
from headstart.nn.attribution import Output

AUTO, GRAD_CAM, INTEGRATED, OCCLUSION = "auto", "grad-cam", "integrated-gradients", "occlusion"
METHODS = (AUTO, GRAD_CAM, INTEGRATED, OCCLUSION)


@dataclass(frozen=True)
class Onlooker:
    """A member of the model before one item.

    kept: of the item, as its modality keeps it. view: (1, ...) as `Batches.evaluation` gives it, on the CPU. ready: as
    the encoder takes it, on the member's device. output: what is explained, in the member's own standard unit.
    weight: how much the member counts, in the unit of the answer; attributions are multiplied by it.
    """

    member: LoadedModel
    kept: Any
    view: Tensor
    ready: Tensor
    output: Output
    weight: float


@dataclass(frozen=True)
class Found:
    """evidence: over all members. methods: of each. gaps: as `Path.gap`, of those members whose method has one."""

    evidence: Evidence
    methods: tuple[str, ...]
    gaps: tuple[float, ...]


Explainer = Callable[[Item, Sequence[Onlooker], str], Found]
"""(item, members, method) -> Found."""


def chosen(method: str, *possible: str) -> str:
    """The method to use: the first of those that are possible where it is left open. Raises ConfigError."""
    if method == AUTO:
        return possible[0]
    if method not in possible:
        raise ConfigError(f"{method} cannot explain this kind of input. Possible here: {', '.join(possible)}.")
    return method
