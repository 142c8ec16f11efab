"""Networks that headstart has itself, because no library of architectures has them. Most come with a pack."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from headstart.core.card import Architecture, Input, TableInput
from headstart.core.errors import SourceError, unknown_name
from headstart.core.registry import Registry
from headstart.core.source import Source
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.sources import PACKS, recurrent, tables
from headstart.sources.library import Library
from headstart.sources.stages import Stages, by_structure

NETWORKS: Registry[Any] = Registry(
    "network",
    {
        "aisfx": "headstart.nn.aisfx:AiSfx",
        "ft-transformer": "headstart.nn.tables:FTTransformer",
        "lstm": "headstart.nn.lstm:LSTM",
        "mlp": "headstart.nn.tables:MLP",
        "resemblyzer": "headstart.nn.resemblyzer:Resemblyzer",
        "resnet": "headstart.nn.tables:ResNet",
        "static-embedding": "headstart.nn.static_embedding:StaticEmbedding",
        "use-multilingual": "headstart.nn.use_multilingual:UseMultilingual",
    },
    group="headstart.networks",
)
"""Name -> a torch module that gives Features of a prepared batch and says its `width`; its children are registered in
the order in which the batch passes them. Where a batch holds categories it says its `entrance`, as Encoder does."""


class OwnEncoder(Encoder):
    """One of NETWORKS."""

    def __init__(self, network: Any, architecture: Architecture, input: Input) -> None:
        super().__init__()
        self.network = network
        self.architecture = architecture
        self.input = input
        self.width = network.width
        self.causal = getattr(network, "causal", False)
        self._stages = Stages(network, by_structure(network))

    def forward(self, batch: Tensor) -> Features:
        """batch: as `input` says -> what the network says."""
        features: Features = self.network(batch)
        return features

    def vocabulary(self) -> nn.Embedding | None:
        found = getattr(self.network, "embedding", None)
        return found if isinstance(found, nn.Embedding) else None

    def entrance(self) -> nn.Module | None:
        return getattr(self.network, "entrance", None) or self.vocabulary()

    def stages(self) -> tuple[str, ...]:
        return self._stages.names

    def stage_of(self, name: str) -> int:
        return self._stages.of(name.removeprefix("network").removeprefix("."))


def build(architecture: Architecture, input: Input) -> OwnEncoder:
    """The encoder with random weights. architecture.options go to the network, and the columns of a table's rows."""
    shape = {"levels": [len(column.levels) for column in input.columns]} if isinstance(input, TableInput) else {}
    return OwnEncoder(NETWORKS[architecture.name](**shape, **architecture.options), architecture, input).eval()


def _named(name: str) -> Source:
    """The pack whose weights fit a network, or one of those that have none: for tables, and for texts."""
    if name in tables.NETWORKS:
        return tables.TableNetwork(name)
    if name in recurrent.NETWORKS:
        return recurrent.RecurrentNetwork(name)
    packs = {pack.card.architecture.name: pack for pack in PACKS.values() if pack.card.architecture.library == NAME}
    if name not in packs:
        raise SourceError(unknown_name("network of headstart's own", name, packs))
    return packs[name]


def _describe(name: str) -> tuple[Architecture, Input]:
    card = _named(name).card
    return card.architecture, card.input


NAME = "headstart"
LIBRARY = Library(build=build, source=_named, describe=_describe)
