"""What it costs to answer with a model, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.artifacts.load import Loaded
from headstart.data.modalities import MODALITIES
from headstart.evaluation.report.content import Serving

BATCH = 32
FEWEST = 5
"""Measurements of each model and batch size, at least."""
SECONDS = 2.0
"""So long each batch size is measured, if that is more."""


def serving_costs(models: Sequence[tuple[str, Loaded, Path]]) -> list[Serving]:
    """Time of one item alone and of batches of 32, from views to scores, beside size and parameters.

    models: what each is called, itself, and its folder as it is shipped. They take turns, so that whatever else the
    machine does falls on all of them; medians.
    """
    alone, together = (_medians([model for _, model, _ in models], size) for size in (1, BATCH))
    return [
        Serving(
            name=name,
            parameters=sum(p.numel() for member in model.members for p in member.model.parameters()),
            size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            latency_ms=round(1000 * seconds, 3),
            per_second=round(BATCH / seconds_together, 2),
        )
        for (name, model, folder), seconds, seconds_together in zip(models, alone, together, strict=True)
    ]


def _medians(models: Sequence[Loaded], size: int) -> list[float]:
    """Median seconds of a batch of `size` made-up items, of each model."""
    contracts = {member.contract for model in models for member in model.members}
    batches = {contract: MODALITIES[contract.modality].noise(contract, size) for contract in contracts}

    def answer(model: Loaded) -> float:
        started = time.perf_counter()
        model.scores_of(model.combine([member.logits(batches[member.contract]) for member in model.members]))
        return time.perf_counter() - started

    for model in models:  # the first call of a network sets things up
        answer(model)
    rounds: list[list[float]] = []
    until = time.perf_counter() + SECONDS
    while len(rounds) < FEWEST or time.perf_counter() < until:
        rounds.append([answer(model) for model in models])
    medians: list[float] = np.median(rounds, axis=0).tolist()
    return medians
