"""A tiny model folder that really works, for whatever reads, serves or converts models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from headstart.artifacts.card import CardFacts
from headstart.artifacts.save import save_model
from headstart.core.task import Task
from headstart.nn.model import Model
from headstart.tasks.classification import Classification
from headstart.testing.sources import tiny_source


def save_tiny_model(folder: Path, *, classes: Sequence[str] = ("cat", "dog", "owl"), task: Task | None = None) -> Path:
    """Save a model of 32-pixel pictures on the tiny source's encoder, its head drawn with a fixed seed.

    task: instead of a single label out of `classes`. Returns `folder`.
    """
    source = tiny_source()
    task = task or Classification(tuple(classes))
    model = tiny_model(task)
    rng = np.random.default_rng(0)
    metrics = {
        "schema": 1,
        "task": task.name,
        "source": source.card.name,
        "method": "probe",
        "n": {"train": 30, "validation": 10, "test": 20},
        "test": {task.primary: {"value": 0.8, "low": 0.7, "high": 0.9}},
        "baselines": {},
        "verdict": None,
    }
    save_model(
        folder,
        model=model,
        task=task,
        contract=source.card.input,
        source=source.card,
        temperature=1.5,
        probes=rng.integers(0, 256, (4, source.card.input.crop, source.card.input.crop, 3), dtype=np.uint8),
        facts=CardFacts(name="tiny", data="toy photos", fingerprint="0" * 64, metrics=metrics),
    )
    return folder


def tiny_model(task: Task) -> Model:
    """The tiny source's encoder with a head for `task`, drawn with a fixed seed; in eval mode."""
    model = Model(tiny_source().load(), len(task.outputs))
    with torch.no_grad():
        model.head.weight.copy_(torch.randn(model.head.weight.shape, generator=torch.Generator().manual_seed(0)))
    return model.eval()
