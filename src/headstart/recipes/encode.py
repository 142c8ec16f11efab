"""Frozen features of a source over the parts of a target, out of the feature store where it has them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from headstart.core.source import Source
from headstart.features.bank import FeatureBank, Views
from headstart.features.extract import BATCH, ENGINE
from headstart.features.store import FeatureStore
from headstart.nn.device import best_device
from headstart.nn.encoder import Encoder
from headstart.recipes.prepare import Part


def feature_bank(
    source: Source,
    parts: Mapping[Any, Part],
    *,
    wanted: str = "auto",
    load: Callable[[], Encoder] | None = None,
    prepare: Callable[[Tensor], Tensor] | None = None,
    about: Mapping[str, Any] | None = None,
    store: FeatureStore | None = None,
) -> FeatureBank:
    """Features of `source` over `parts`; its network is loaded only if something has to be encoded.

    wanted: the number format, as in `TrainConfig.precision`. load: gives the encoder where it is loaded already.
    prepare, about: where the encoder or what it is shown is not the source's own, how a batch is prepared instead, and
    what tells those features from all others. store: None is the one in the cache.
    """
    card = source.card
    encoder = cache(load or source.load)
    return FeatureBank(
        encoder,
        {
            name: Views(part.digests, partial(part.batches.evaluations, size=BATCH), part.batches.lengths)
            for name, part in parts.items()
        },
        prepare or next(iter(parts.values())).batches.prepare,
        width=card.width or encoder().width,
        about={
            "architecture": card.architecture.model_dump(mode="json"),
            "input": card.input.digest(),
            "engine": ENGINE,
            **(about or {"weights": card.sha256 or weights_digest(encoder()), "view": "evaluation"}),
        },
        device=best_device(),
        wanted=wanted,
        store=store or FeatureStore(),
    )


def weights_digest(encoder: Encoder) -> str:
    """sha256 over every weight and statistic of a network."""
    digest = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().cpu().reshape(-1)  # a count has no dimension to view
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
