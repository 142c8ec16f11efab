"""The interface of a source: a pretrained model that can be reused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.core.card import SourceCard
from headstart.core.types import Features

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.nn.encoder import Encoder


@dataclass(frozen=True)
class Availability:
    """Whether a source's weights are on this machine, and what to do if they are not."""

    here: bool
    how: str
    """Where they are, or the command that brings them."""


@dataclass(frozen=True)
class Output:
    """The layer that answered while a network was pretrained without labels. objective: what it was asked. tensors: of
    the layer, by name."""

    objective: str
    tensors: Mapping[str, Tensor]


class Source(ABC):
    """A pretrained model with its card. Constructing one loads nothing."""

    @property
    @abstractmethod
    def card(self) -> SourceCard:
        """What is known of it without loading it."""

    @abstractmethod
    def availability(self) -> Availability:
        """Look on this machine only; never ask the network."""

    @abstractmethod
    def load(self) -> Encoder:
        """The network with its pretrained weights and without its old head, on the CPU, in eval mode.

        Raises SourceError where the weights are damaged or absent, OfflineError where they would
        have to be fetched from a host that does not answer.
        """

    def classifier(self) -> Callable[[Features], Tensor] | None:
        """The source's own head, from Features to (B, K) scores over what it was trained on.

        None where it has none. Scores of LEEP and NCE and the self-test of a pack use it.
        """
        return None

    def output_layer(self) -> Output | None:
        """What to go on with, where it was pretrained without labels and is to learn more in that way; else None."""
        return None
