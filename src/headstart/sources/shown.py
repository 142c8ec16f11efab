"""A source that is shown items by another contract than its card says, where its network takes both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.core.card import AudioInput, Input, SourceCard
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Output, Source
from headstart.core.types import Features

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.nn.encoder import Encoder


@dataclass(frozen=True)
class ShownSource(Source):
    """Name, weights and head are those of `source`; input: the contract by which it is shown items."""

    source: Source
    input: Input

    @property
    def card(self) -> SourceCard:
        return self.source.card.model_copy(update={"input": self.input})

    def availability(self) -> Availability:
        return self.source.availability()

    def load(self) -> Encoder:
        encoder = self.source.load()
        encoder.input = self.input
        return encoder

    def classifier(self) -> Callable[[Features], Tensor] | None:
        return self.source.classifier()

    def output_layer(self) -> Output | None:
        return self.source.output_layer()


def lasting(source: Source, seconds: float) -> Source:
    """A source of sounds as one that is given `seconds` of them. Raises SourceError where its network takes no other
    length than its own."""
    card = source.card
    if not isinstance(card.input, AudioInput) or not card.input.any_length:
        raise SourceError(f"source {card.name!r} does not take sounds of any length.")
    return ShownSource(source, card.input.model_copy(update={"seconds": seconds}))
