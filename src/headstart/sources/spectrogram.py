"""Any image source as a source that hears: it looks at the picture of a log-mel spectrogram.

How sound becomes the picture, and what that was measured against, is in docs/audio.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.core.card import Architecture, AudioInput, ImageInput, Input, Mel, SourceCard, input_from_json
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Source
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.sources import LIBRARIES, build, resolve
from headstart.sources.library import Library

RATE, BANDS, WINDOW, HOP = 22_050, 128, 1024, 220
SECONDS = 5.0
"""Of a source that is named without data ("spectrogram:efficientnet-lite0")."""

RANGE = math.log(10 ** (80 / 10))
"""80 dB: from the loudest point of a clip, which is white, down to black."""


class SpectrogramEncoder(Encoder):
    """An image encoder that is shown spectrograms: time to the right, frequency upwards, loudness as grey."""

    mean: Tensor
    std: Tensor

    def __init__(self, seen: Encoder, architecture: Architecture, input: Input) -> None:
        super().__init__()
        if not isinstance(seen.input, ImageInput):
            raise SourceError(f"only a network of images can look at spectrograms; {seen.architecture.name} is another")
        self.seen = seen
        self.architecture = architecture
        self.input = input
        self.width = seen.width
        self._crop = seen.input.crop
        self.register_buffer("mean", torch.tensor(seen.input.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(seen.input.std).view(3, 1, 1), persistent=False)

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, bands, frames) levels, natural logarithms -> the Features of the picture."""
        features: Features = self.seen(self.pictures(batch))
        return features

    def pictures(self, levels: Tensor) -> Tensor:
        """(B, bands, frames) -> (B, 3, crop, crop), normalised as the image network has it."""
        grey = ((levels - levels.amax((1, 2), keepdim=True)) / RANGE + 1).clamp(min=0)
        square = nn.functional.interpolate(grey.flip(1)[:, None], (self._crop, self._crop), mode="bilinear")
        return (square - self.mean) / self.std

    def stages(self) -> tuple[str, ...]:
        return self.seen.stages()

    def stage_of(self, name: str) -> int:
        return self.seen.stage_of(name.removeprefix("seen").removeprefix("."))


@dataclass(frozen=True)
class HeardSource(Source):
    """source: of images. seconds: of sound that make a picture; rate: hertz that the sound is brought to."""

    source: Source
    seconds: float
    rate: int = RATE

    @property
    def card(self) -> SourceCard:
        card = self.source.card
        if not isinstance(card.input, ImageInput):
            raise SourceError(
                f"source {card.name!r} is of {card.modality}; only a source of images can look at spectrograms."
            )
        architecture, input = _heard(card.architecture, card.input, self.seconds, self.rate)
        return card.model_copy(update={"modality": "audio", "architecture": architecture, "input": input})

    def availability(self) -> Availability:
        return self.source.availability()

    def load(self) -> Encoder:
        card = self.card
        return SpectrogramEncoder(self.source.load(), card.architecture, card.input).eval()

    def classifier(self) -> Callable[[Features], Tensor] | None:
        return self.source.classifier()


def heard(source: Source, seconds: float, rate: int = RATE) -> Source:
    """A source of images as a source of sounds `seconds` long. Its name, weights and head are those of `source`."""
    return HeardSource(source, seconds, rate)


def mel_of(rate: int) -> Mel:
    """The spectrogram that pictures are made from, its window and hop as long in time at any rate."""
    return Mel(bands=BANDS, window=round(WINDOW * rate / RATE), hop=round(HOP * rate / RATE), floor=1e-8)


def _heard(architecture: Architecture, input: Input, seconds: float, rate: int) -> tuple[Architecture, AudioInput]:
    options = {"architecture": architecture.model_dump(mode="json"), "input": input.model_dump(mode="json")}
    outer = Architecture(library="spectrogram", name=architecture.name, options=options)
    return outer, AudioInput(rate=rate, seconds=seconds, mel=mel_of(rate))


def _build(architecture: Architecture, input: Input) -> SpectrogramEncoder:
    """The encoder with random weights. architecture.options: the image network's architecture and input."""
    if not {"architecture", "input"} <= architecture.options.keys():
        raise SourceError(f"spectrogram {architecture.name!r} does not say which image network looks at it.")
    inner = Architecture.model_validate(architecture.options["architecture"])
    return SpectrogramEncoder(build(inner, input_from_json(architecture.options["input"])), architecture, input).eval()


def _describe(name: str) -> tuple[Architecture, Input]:
    library, _, model = name.partition(":")
    architecture, input = LIBRARIES[library].describe(model)
    return _heard(architecture, input, SECONDS, RATE)


def _named(name: str) -> Source:
    return heard(resolve(name), SECONDS)


LIBRARY = Library(build=_build, source=_named, describe=_describe)
