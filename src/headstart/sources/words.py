"""Any text source as a source of words: one vector for each word of a text, where it stands.

What a batch is, and which words it is of, is in `headstart.data.tokens.encode_place`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.core.card import Architecture, Input, SourceCard, TextInput, input_from_json
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Output, Source
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.sources import LIBRARIES, build, resolve
from headstart.sources.library import Library


class WordEncoder(Encoder):
    """A text encoder whose rows are words: the mean of the vectors of each word's tokens."""

    shares = True

    def __init__(self, read: Encoder, architecture: Architecture, input: Input) -> None:
        super().__init__()
        if not isinstance(read.input, TextInput):
            raise SourceError(f"only a network of texts has words; {read.architecture.name} is another")
        self.read = read
        self.architecture = architecture
        self.input = input
        self.width = read.width

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 3, T) int64, tokens, segments and marks of the word's tokens -> pooled (B, D). A text that
        neighbouring rows share is read once."""
        texts = batch[:, :2]
        new = torch.ones(len(batch), dtype=torch.bool, device=batch.device)
        if self.shares:
            new[1:] = (texts[1:] != texts[:-1]).flatten(1).any(1)
        tokens = self.read(texts[new]).tokens
        if tokens is None:
            raise SourceError(f"{self.read.architecture.name} has no vectors of single tokens, so it has none of words")
        row, place = torch.nonzero(batch[:, 2] > 0, as_tuple=True)
        text = new.cumsum(0)[row] - 1
        total = tokens.new_zeros(len(batch), tokens.shape[2]).index_add(0, row, tokens[text, place])
        count = batch[:, 2].sum(1, keepdim=True).clamp(min=1).to(total.dtype)
        return Features(total / count)

    def vocabulary(self) -> nn.Embedding | None:
        return self.read.vocabulary()

    def stages(self) -> tuple[str, ...]:
        return self.read.stages()

    def stage_of(self, name: str) -> int:
        return self.read.stage_of(name.removeprefix("read").removeprefix("."))


@dataclass(frozen=True)
class WordSource(Source):
    """source: of texts."""

    source: Source

    @property
    def card(self) -> SourceCard:
        card = self.source.card
        if not isinstance(card.input, TextInput):
            raise SourceError(f"source {card.name!r} is of {card.modality}; only a source of texts has words.")
        architecture, input = _by_word(card.architecture, card.input)
        return card.model_copy(update={"architecture": architecture, "input": input})

    def availability(self) -> Availability:
        return self.source.availability()

    def load(self) -> Encoder:
        card = self.card
        return WordEncoder(self.source.load(), card.architecture, card.input).eval()

    def classifier(self) -> Callable[[Features], Tensor] | None:
        return self.source.classifier()

    def output_layer(self) -> Output | None:
        return self.source.output_layer()


def by_word(source: Source) -> Source:
    """A source of texts as a source of their words; itself where it is one. Its name and weights are those of
    `source`."""
    return source if source.card.input.by_word else WordSource(source)


@dataclass(frozen=True)
class TextSource(Source):
    """source: of words, such as a run that was fitted to tags; here its network reads whole texts again."""

    source: Source

    @property
    def card(self) -> SourceCard:
        card = self.source.card
        options = card.architecture.options
        architecture, input = Architecture.model_validate(options["architecture"]), input_from_json(options["input"])
        return card.model_copy(update={"architecture": architecture, "input": input})

    def availability(self) -> Availability:
        return self.source.availability()

    def load(self) -> Encoder:
        encoder = self.source.load()
        assert isinstance(encoder, WordEncoder)
        return encoder.read

    def output_layer(self) -> Output | None:
        return self.source.output_layer()


def by_text(source: Source) -> Source:
    """A source of words as a source of the texts that it reads; itself where it is one of texts."""
    return TextSource(source) if source.card.input.by_word else source


def reader_of(encoder: Encoder) -> Encoder:
    """The network that reads whole texts, of one of words; itself where it is none."""
    return encoder.read if isinstance(encoder, WordEncoder) else encoder


def _by_word(architecture: Architecture, input: TextInput) -> tuple[Architecture, TextInput]:
    options = {"architecture": architecture.model_dump(mode="json"), "input": input.model_dump(mode="json")}
    outer = Architecture(library="words", name=architecture.name, options=options)
    return outer, input.model_copy(update={"by": "word"})


def _build(architecture: Architecture, input: Input) -> WordEncoder:
    """The encoder with random weights. architecture.options: the text network's architecture and input."""
    if not {"architecture", "input"} <= architecture.options.keys():
        raise SourceError(f"words {architecture.name!r} does not say which text network reads them.")
    inner = Architecture.model_validate(architecture.options["architecture"])
    return WordEncoder(build(inner, input_from_json(architecture.options["input"])), architecture, input).eval()


def _describe(name: str) -> tuple[Architecture, Input]:
    library, _, model = name.partition(":")
    architecture, input = LIBRARIES[library].describe(model)
    assert isinstance(input, TextInput)
    return _by_word(architecture, input)


def _named(name: str) -> Source:
    return by_word(resolve(name))


LIBRARY = Library(build=_build, source=_named, describe=_describe)
