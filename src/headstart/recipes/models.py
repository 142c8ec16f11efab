"""A source's network under a new head, and the loop that may train it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from headstart.core.config import TrainConfig
from headstart.core.source import Source
from headstart.nn.model import Model
from headstart.recipes.prepare import Target
from headstart.sources import build
from headstart.training.loop import Split, TrainingLoop
from headstart.training.randomness import derive


def new_model(source: Source, target: Target, seed: int, *, pretrained: bool) -> Model:
    """The source's network (with random weights where not `pretrained`) under a new head."""
    if pretrained:
        encoder = source.load()
    else:
        torch.manual_seed(derive(seed, "random weights"))
        encoder = build(source.card.architecture, source.card.input)
    return Model(encoder, len(target.task.outputs))


def make_loop(
    model: Model, target: Target, config: TrainConfig, seed: int, checkpoints: Path, **more: Any
) -> TrainingLoop:
    """A loop that sees the training and validation parts, and no other. more: as TrainingLoop takes."""
    train, validation = (
        Split(part.batches, part.targets, part.groups, part.units)
        for part in (target.parts["train"], target.parts["validation"])
    )
    return TrainingLoop(model, target.task, config, train, validation, seed=seed, folder=checkpoints, **more)
