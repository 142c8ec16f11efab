"""The encoder: a source's network without its old head, seen as an ordered list of blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from headstart.core.types import Features

if TYPE_CHECKING:
    from headstart.core.card import Architecture, Input


@dataclass(frozen=True)
class Block:
    """One stage of an encoder. Every parameter of the encoder is in exactly one block.

    parameters: (qualified name within the encoder, parameter).
    modules: the leaf modules (normalisation, dropout, convolutions, ...) that belong to the stage.
    """

    name: str
    parameters: tuple[tuple[str, nn.Parameter], ...]
    modules: tuple[nn.Module, ...]


class Encoder(nn.Module, ABC):
    """A network from a prepared batch to Features. Freezing, gradual unfreezing, layer-wise rates, L2-SP and
    adapters work on `blocks` alone, so one implementation of each serves every modality.

    architecture: how to build it again with random weights. input: its preprocessing contract.
    width: D of `Features.pooled`.
    causal: whether what it says of a token owes nothing to the tokens after it.
    shares: whether rows of equal inputs are computed once. Whoever changes what is inside from row to row puts it off.
    """

    architecture: Architecture
    input: Input
    width: int
    causal: bool = False
    shares: bool = False

    @abstractmethod
    def forward(self, batch: Tensor) -> Features:
        """batch: for images (B, 3, H, W) float, normalised as `input` says."""

    @abstractmethod
    def stages(self) -> tuple[str, ...]:
        """Names of the stages, input to output."""

    @abstractmethod
    def stage_of(self, name: str) -> int:
        """Index into `stages()` for the qualified name of a parameter or module of this encoder.

        Names that an adapter has wrapped ("a.conv.base_layer.weight", "a.conv.lora_A.default.weight")
        belong to the stage of what they wrap.
        """

    def vocabulary(self) -> nn.Embedding | None:
        """The table of vectors that the tokens of a text begin as; None where there is none."""
        return None

    def entrance(self) -> nn.Module | None:
        """The module whose output (B, ...) is the first that can be moved by little, where a batch cannot, being of
        tokens or categories; None: the batch can."""
        return self.vocabulary()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The stages with what is in them now, input to output. Made afresh: adapters change the network."""
        names = self.stages()
        parameters: list[list[tuple[str, nn.Parameter]]] = [[] for _ in names]
        modules: list[list[nn.Module]] = [[] for _ in names]
        for name, parameter in self.named_parameters():
            parameters[self.stage_of(name)].append((name, parameter))
        for name, module in self.named_modules():
            if name and not any(True for _ in module.children()):
                modules[self.stage_of(name)].append(module)
        return tuple(Block(n, tuple(p), tuple(m)) for n, p, m in zip(names, parameters, modules, strict=True))
