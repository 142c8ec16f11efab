"""Image networks among those of Hugging Face transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from headstart.core.card import Architecture, ImageInput
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.sources.stages import Stages, by_structure

MODEL_TYPES = (
    "beit",
    "convnext",
    "convnextv2",
    "deit",
    "dinov2",
    "dinov2_with_registers",
    "resnet",
    "swin",
    "swinv2",
    "vit",
)


class ImageTransformer(Encoder):
    """A transformers image backbone. A tanh pooler that no checkpoint of a classifier trains is left out."""

    def __init__(self, network: Any, architecture: Architecture, input: ImageInput) -> None:
        super().__init__()
        pooler = getattr(network, "pooler", None)
        if pooler is not None and any(isinstance(m, nn.Linear) for m in pooler.modules()):
            network.pooler = None
        self.network = network
        self.architecture = architecture
        self.input = input
        sizes = getattr(network.config, "hidden_sizes", None)
        self.width = int(sizes[-1] if sizes else network.config.hidden_size)
        self._stages = Stages(network, by_structure(network))

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 3, H, W) -> pooled (B, D), the class token where nothing pools; tokens (B, T, D) or one map."""
        output = self.network(pixel_values=batch)
        last = output.last_hidden_state
        pooled = last[:, 0] if output.pooler_output is None else output.pooler_output.flatten(1)
        return Features(pooled, maps=(last,)) if last.ndim == 4 else Features(pooled, tokens=last)

    def stages(self) -> tuple[str, ...]:
        return self._stages.names

    def stage_of(self, name: str) -> int:
        return self._stages.of(name.removeprefix("network").removeprefix("."))


def input_of(processor: Mapping[str, Any]) -> ImageInput:
    """The contract of an image processor's configuration. One that squashes to a square is taken to crop it."""
    size = processor["size"]
    short = int(size.get("shortest_edge") or min(size["height"], size["width"]))
    crop = processor.get("crop_size") if processor.get("do_center_crop") else None
    share = processor.get("crop_pct")
    return ImageInput(
        resize=int(short / share) if share and short < 384 else short,
        crop=int(crop["height"]) if crop else short,
        interpolation="bilinear" if processor.get("resample") == 2 else "bicubic",
        mean=tuple(processor["image_mean"]),
        std=tuple(processor["image_std"]),
    )
