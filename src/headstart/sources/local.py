"""A checkpoint on this machine, of an architecture that a library can build."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from headstart.core.card import SourceCard
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Source
from headstart.nn.encoder import Encoder
from headstart.sources import LIBRARIES, build
from headstart.sources.measure import measure
from headstart.sources.weights import fit_weights, read_bytes, read_tensors


@dataclass(frozen=True)
class LocalSource(Source):
    """The weights in a file: .safetensors, or a torch state dict. Its old head is dropped.

    file: where they are. architecture: "timm:resnet18", "torchvision:vgg16", as the weights were trained.
    """

    file: Path
    architecture: str

    @cached_property
    def card(self) -> SourceCard:
        library, colon, name = self.architecture.partition(":")
        if not colon:
            raise SourceError(
                f"{self.architecture!r} names no library. Expected e.g. '{self.file}@timm:{self.architecture}'."
            )
        architecture, input = LIBRARIES[library].describe(name)
        data = read_bytes(self.file, str(self.file))
        parameters, width = measure(architecture, input)
        return SourceCard(
            name=f"{self.file}@{self.architecture}",
            modality=input.modality,
            architecture=architecture,
            input=input,
            license="not stated",
            trained_on="not stated",
            origin=str(self.file),
            sha256=hashlib.sha256(data).hexdigest(),
            parameters=parameters,
            size_bytes=len(data),
            width=width,
        )

    def availability(self) -> Availability:
        here = self.file.is_file()
        return Availability(here, str(self.file) if here else f"there is no file {self.file}")

    def load(self) -> Encoder:
        card = self.card
        tensors = read_tensors(self.file, card.name, card.sha256)
        with torch.random.fork_rng(devices=[]):
            encoder = build(card.architecture, card.input)
        network = encoder.get_submodule("network")
        fit_weights(network, tensors, card.name)
        return encoder
