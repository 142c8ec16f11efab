"""Optimisers by name."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer


def make_optimizer(name: str, groups: list[dict[str, Any]], momentum: float) -> Optimizer:
    """name: "adamw", "adam" (L2 in the gradient), "sgd" (plain) or "momentum". groups: as torch takes them, with lr."""
    match name:
        case "adamw":
            return torch.optim.AdamW(groups)
        case "adam":
            return torch.optim.Adam(groups)
        case "sgd":
            return torch.optim.SGD(groups)
        case "momentum":
            return torch.optim.SGD(groups, momentum=momentum)
    raise ValueError(name)
