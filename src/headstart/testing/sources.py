"""What every source must keep, and a tiny source to test everything else with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import safetensors.torch
import torch

from headstart.core.card import Architecture, ImageInput, SourceCard
from headstart.core.source import Availability, Source
from headstart.nn.encoder import Encoder
from headstart.sources import build


@dataclass(frozen=True)
class TinySource(Source):
    """A convolutional network of 100,000 weights on pictures of 32 pixels; its weights depend on the seed alone."""

    seed: int = 0

    @cached_property
    def card(self) -> SourceCard:
        encoder = self.load()
        weights = safetensors.torch.save(encoder.state_dict())
        return SourceCard(
            name=f"tiny-{self.seed}",
            modality="image",
            architecture=encoder.architecture,
            input=encoder.input,
            license="Apache-2.0",
            trained_on="nothing: random weights",
            origin="headstart.testing",
            sha256=hashlib.sha256(weights).hexdigest(),
            parameters=sum(p.numel() for p in encoder.parameters()),
            size_bytes=len(weights),
            width=encoder.width,
        )

    def availability(self) -> Availability:
        return Availability(True, "made from its seed")

    def load(self) -> Encoder:
        architecture = Architecture(library="timm", name="test_efficientnet")
        input = ImageInput(resize=36, crop=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            encoder = build(architecture, input)
            _settle_statistics(encoder, torch.randn(64, 3, input.crop, input.crop))
        return encoder


def tiny_source(seed: int = 0) -> Source:
    """A real source in miniature: 7 blocks, batch normalisation, 256 features, 32-pixel pictures, loads in 0.1 s."""
    return TinySource(seed)


def _settle_statistics(encoder: Encoder, batch: torch.Tensor) -> None:
    """Set the running statistics of batch normalisation to those of `batch`, as training would have."""
    norms = [m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    encoder.train()
    with torch.no_grad():
        encoder(batch)
    encoder.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
