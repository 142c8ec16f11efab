"""Frozen features: one forward pass over the evaluation view, in the fastest format that tells the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from headstart.nn.device import Precision, autocast
from headstart.nn.encoder import Encoder
from headstart.nn.fuse import fused
from headstart.nn.memory import keep_freed_memory

AGREEMENT = 0.99
BATCH = 32
"""Items in every forward pass: kernels, and with them the last bits, depend on it. Other sizes are no faster
(docs/benchmarks.md, "Encoding")."""
ENGINE = 2
"""Raised whenever the same weights and the same file come to give other rows; features in the store are told apart by
it."""


def extract(
    encoder: Encoder,
    batches: Iterable[Tensor],
    prepare: Callable[[Tensor], Tensor],
    *,
    device: torch.device,
    precision: Precision,
) -> Iterator[np.ndarray]:
    """Pooled features (B, D) float32 of every batch, in order; the encoder is left in eval mode.

    batches: (B, ...) as the data room gives them (uint8 for pictures). A batch of fewer than 32 items is filled up for
    the forward pass, so that an item's features do not depend on which items are encoded with it. prepare: puts a
    batch, already on the device, into the form the encoder takes. precision: one that `trusted_precision` has seen to
    be good enough.
    """
    keep_freed_memory()
    encoder.to(device).to(memory_format=torch.channels_last).eval()
    network: Encoder | None = None
    for batch in batches:
        count = len(batch)
        if count < BATCH:
            batch = torch.cat([batch, batch[-1:].expand(BATCH - count, *batch.shape[1:])])
        with torch.inference_mode(), autocast(device, precision):
            ready = prepare(batch.to(device, non_blocking=True))
            if network is None:
                network = fused(encoder, ready[:1])
            pooled = network(ready).pooled
        yield pooled[:count].float().cpu().numpy()


def trusted_precision(
    encoder: Encoder, ready: Tensor, device: torch.device, precision: Precision, sample: int = 8
) -> Precision:
    """`precision` if features in it agree with float32 on a sample of the prepared batch, else "float32".

    They agree where the median cosine similarity, of features less their mean over the sample, is 0.99 or more: what
    all items share is no evidence. ready: (B, ...) on any device.
    """
    if precision == "float32":
        return precision
    encoder.to(device).to(memory_format=torch.channels_last).eval()
    ready = ready.to(device)
    with torch.inference_mode():
        exact = encoder(ready[:sample]).pooled.float()
        network = fused(encoder, ready[:1])
        with autocast(device, precision):
            reduced = network(ready[:sample]).pooled.float()
    shared = exact.mean(dim=0) if len(exact) > 1 else torch.zeros_like(exact[0])
    agreement = torch.nn.functional.cosine_similarity(exact - shared, reduced - shared, dim=1).median()
    return precision if float(agreement) >= AGREEMENT else "float32"
