"""A source that hears for another time than its card says, where its network takes any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from headstart.core.card import AudioInput, SourceCard
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Source
from headstart.core.types import Features
from headstart.nn.encoder import Encoder


@dataclass(frozen=True)
class LastingSource(Source):
    """source: whose contract says `any_length`. seconds: of sound that it is given."""

    source: Source
    seconds: float

    @property
    def card(self) -> SourceCard:
        card = self.source.card
        if not isinstance(card.input, AudioInput) or not card.input.any_length:
            raise SourceError(f"source {card.name!r} does not take sounds of any length.")
        return card.model_copy(update={"input": card.input.model_copy(update={"seconds": self.seconds})})

    def availability(self) -> Availability:
        return self.source.availability()

    def load(self) -> Encoder:
        encoder = self.source.load()
        encoder.input = self.card.input
        return encoder

    def classifier(self) -> Callable[[Features], Tensor] | None:
        return self.source.classifier()


def lasting(source: Source, seconds: float) -> Source:
    """A source of sounds as one that is given `seconds` of them. Its name, weights and head are those of `source`."""
    return LastingSource(source, seconds)
