"""Networks for tables: nothing is pretrained for a table's columns but what headstart was fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from headstart.core.card import Architecture, SourceCard, TableInput
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Source
from headstart.sources import build

if TYPE_CHECKING:
    from headstart.nn.encoder import Encoder

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
            trained_on="nothing (random weights)",
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
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(self.card.architecture, self.input)
