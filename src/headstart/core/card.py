"""The card of a source: where it comes from, what it costs, what input it takes."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """A typed value that cannot be changed after it is made and takes no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageInput(Frozen):
    """The preprocessing contract of an image network.

    resize: the short side is scaled to this many pixels.
    crop: the centre square of this many pixels is what the network sees.
    mean, std: per channel, in the 0..1 range, RGB order.
    """

    modality: Literal["image"] = "image"
    resize: int = Field(256, ge=1, le=8192)
    crop: int = Field(224, ge=1, le=8192)
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def digest(self) -> str:
        """sha256 over the contract's canonical JSON: two contracts are equal if this is."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


class Architecture(Frozen):
    """How to build the network again with random weights, without the source.

    library: the file in `headstart.sources` that builds it ("timm", "torchvision", "transformers").
    name: the library's own name of the architecture.
    options: keyword arguments of the library's builder (plain JSON).
    """

    library: str
    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class SourceCard(Frozen):
    """What is known of a source without loading it."""

    name: str
    modality: Literal["image", "text", "audio", "table"]
    architecture: Architecture
    input: ImageInput
    license: str
    trained_on: str
    origin: str
    sha256: str | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    width: int | None = None
    source_accuracy: float | None = None
    paper: str | None = None
    notes: str = ""
