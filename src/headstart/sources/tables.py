"""Networks for tables: nothing is pretrained for a table's columns but what headstart was fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import torch

from headstart.core.card import Architecture, SourceCard, TableInput
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Output, Source
from headstart.nn.encoder import Encoder
from headstart.sources import build

NETWORKS: Final = ("mlp", "resnet", "ft-transformer")


@dataclass(frozen=True)
class TableNetwork(Source):
    """An architecture with random weights, one of NETWORKS. input: the columns it takes; none until it has a table."""

    name: str
    input: TableInput = field(default_factory=lambda: TableInput(columns=()))

    @property
    def card(self) -> SourceCard:
        return SourceCard(
            name=self.name,
            modality="table",
            architecture=Architecture(library="headstart", name=self.name),
            input=self.input,
            license="Apache-2.0",
            trained_on="nothing",
            origin="headstart",
            paper="Gorishniy et al. 2021, arXiv:2106.11959",
            notes="Random weights: there is nothing to transfer until it was fitted to a table.",
            pretrained=False,
        )

    def availability(self) -> Availability:
        return Availability(True, "made from nothing")

    def load(self) -> Encoder:
        """Random weights, the same every time."""
        if not self.input.columns:
            raise SourceError(f"{self.name} takes the columns of a table and has none yet. Fit it to one first.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(self.card.architecture, self.input)


@dataclass(frozen=True)
class Restandardised(Source):
    """A source of tables that takes its columns by other means and deviations."""

    source: Source
    input: TableInput

    @property
    def card(self) -> SourceCard:
        return self.source.card.model_copy(update={"input": self.input})

    def availability(self) -> Availability:
        return self.source.availability()

    def load(self) -> Encoder:
        encoder = self.source.load()
        encoder.input = self.input
        return encoder

    def output_layer(self) -> Output | None:
        return self.source.output_layer()
