"""A tiny model folder that really works, for whatever reads, serves or converts models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from headstart.artifacts.card import CardFacts
from headstart.artifacts.save import Member, save_ensemble, save_model
from headstart.core.card import Input
from headstart.core.task import Task
from headstart.data.modalities import MODALITIES
from headstart.metrics.pooling import Pool
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
    save_model(
        folder,
        model=model,
        task=task,
        contract=source.card.input,
        source=source.card,
        temperature=1.5,
        probes=_noise(source.card.input),
        facts=_facts(task, source.card.name),
    )
    return folder


def save_tiny_ensemble(
    folder: Path,
    *,
    combine: Pool = "probabilities",
    classes: Sequence[str] = ("cat", "dog", "owl"),
    task: Task | None = None,
    reverse: bool = False,
) -> Path:
    """Save two tiny models as one: of 32 and of 48 pixels, of weights 1 and 3 and temperatures 1.5 and 0.5.

    reverse: the members in the other order. Returns `folder`.
    """
    task = task or Classification(tuple(classes))
    members = [_tiny_member(task, 0, 32, 1, 1.5), _tiny_member(task, 1, 48, 3, 0.5)]
    save_ensemble(
        folder,
        members=members[::-1] if reverse else members,
        combine=combine,
        task=task,
        temperature=1.2,
        facts=_facts(task, "tiny-0 + tiny-1"),
    )
    return folder


def tiny_model(task: Task, seed: int = 0) -> Model:
    """A tiny source's encoder with a head for `task`, drawn with the same seed; in eval mode."""
    model = Model(tiny_source(seed).load(), len(task.outputs))
    with torch.no_grad():
        model.head.weight.copy_(torch.randn(model.head.weight.shape, generator=torch.Generator().manual_seed(seed)))
    return model.eval()


def _tiny_member(task: Task, seed: int, crop: int, weight: float, temperature: float) -> Member:
    source = tiny_source(seed)
    contract = source.card.input.model_copy(update={"resize": crop + 4, "crop": crop})
    model = tiny_model(task, seed)
    return Member(model, contract, source.card, _noise(contract), weight=weight, temperature=temperature)


def _noise(contract: Input) -> Tensor:
    """Four made-up views."""
    return MODALITIES[contract.modality].noise(contract, 4)


def _facts(task: Task, source: str) -> CardFacts:
    metrics = {
        "schema": 1,
        "task": task.name,
        "source": source,
        "method": "probe",
        "n": {"train": 30, "validation": 10, "test": 20},
        "test": {task.primary: {"value": 0.8, "low": 0.7, "high": 0.9}},
        "baselines": {},
        "verdict": None,
    }
    return CardFacts(name="tiny", data="toy photos", fingerprint="0" * 64, metrics=metrics)
