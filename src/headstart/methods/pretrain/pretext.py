"""The interface of an objective that needs no labels: an encoder is asked for what was hidden from it.

Gururangan et al. 2020 ("Don't stop pretraining"): a network that goes on to learn so from the target's own items, or
from others like them, is a better start for whatever method comes next.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.method import Loop, Phase
from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.metrics.resampling import Statistic
from headstart.nn.encoder import Encoder
from headstart.nn.freeze import PREFIX
from headstart.nn.model import Model

EVALUATED_WITH: Final = 0
"""Seed of what is hidden while a network is judged: the same of every item, before and after."""
OUTPUT_EPOCHS: Final = 1
OUTPUT_RATE: Final = 1e-3
"""Of the phase in which an output layer alone learns to read a network that was pretrained without it."""


class Pretext(Model, ABC):
    """An encoder with the output layer that answers for it, and what it is asked.

    Its outputs are (B, 2) of each item: the loss, summed over all that was asked, and how much that was.
    `head` and whatever else is not the encoder's is the output layer.
    """

    name: ClassVar[str]
    asks: ClassVar[Literal["token", "row"]]
    """What the loss is the mean over."""
    paper: ClassVar[str]
    new: bool = True
    """Whether the output layer has everything to learn yet."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder, self.answers(encoder))

    @staticmethod
    @abstractmethod
    def answers(encoder: Encoder) -> int:
        """Outputs of the head."""

    @staticmethod
    @abstractmethod
    def misfit(encoder: Encoder) -> str:
        """Why this encoder cannot be asked so, the end of a sentence that begins with its name; "" where it can."""

    @abstractmethod
    def ask(self, encoder: Encoder, batch: Tensor, generator: torch.Generator | None) -> Tensor:
        """Prepared batch -> (B, 2) float32. encoder: this one's, or a faster form of it.

        generator: what is hidden is drawn with it; None is torch's own.
        """

    def begin(self, batches: Iterable[Tensor]) -> None:
        """Put into a new output layer what needs no gradient, such as how frequent a token is. batches: prepared, of
        the items that are learned from."""

    def through(self, encoder: Encoder, batch: Tensor) -> Tensor:
        """(B, ...) prepared batch -> (B, 2), as above."""
        generator = None if self.training else torch.Generator(batch.device).manual_seed(EVALUATED_WITH)
        return self.ask(encoder, batch, generator).float()

    def output_layer(self) -> dict[str, Tensor]:
        """The tensors that are not the encoder's, by name."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(PREFIX)}

    def take_up(self, learned: Mapping[str, Tensor]) -> None:
        """Go on with an output layer that was trained with this encoder."""
        self.load_state_dict({**self.state_dict(), **learned})
        self.new = False


class SelfSupervision(Task):
    """The task of a Pretext to the loop: its outputs are losses already."""

    kind: ClassVar[Literal["single", "multi", "number"]] = "number"

    def __init__(self, objective: str, modality: str) -> None:
        self.objective = objective
        self.modality = modality

    @property
    def name(self) -> str:
        return self.objective

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("loss", "asked")

    @property
    def primary(self) -> str:
        return "loss"

    def encode(self, labels: Sequence[Any]) -> np.ndarray:
        """There is nothing in a label that it would look at."""
        return np.zeros((len(labels), 1), np.float32)

    def loss(self, logits: Tensor, targets: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """The mean over all that was asked of the batch."""
        return logits[:, 0].sum() / logits[:, 1].sum().clamp(min=1)

    def scores(self, logits: np.ndarray) -> np.ndarray:
        return logits

    def decode(self, scores: np.ndarray, units: Units | None = None) -> list[Any]:
        return [float(loss / max(asked, 1)) for loss, asked in scores]

    def statistic(
        self, targets: np.ndarray, scores: np.ndarray, units: Units | None = None, only: str | None = None
    ) -> Statistic:
        return lambda counts: {"loss": scores[:, 0] @ counts / np.maximum(scores[:, 1] @ counts, 1)}

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "modality": self.modality}


def read_output(model: Pretext, loop: Loop) -> None:
    """Let a new output layer learn to read a network that stays as it is: what it has to say is then heard from the
    first step of `learn` on, and what it knew before can be told."""
    if model.new:
        loop.train(Phase("output-layer", OUTPUT_EPOCHS, blocks=0, learning_rate=OUTPUT_RATE, schedule="constant"))


def learn(loop: Loop, epochs: int, rate: float) -> None:
    """Everything trains; the weights that were best on held-out items stay. rate: the highest."""
    loop.train(Phase("pretraining", epochs, learning_rate=rate, schedule="slanted", batchnorm="train"))


def per_item(losses: Tensor, rows: Tensor, items: int) -> Tensor:
    """losses: (M,) of single answers. rows: (M,) the item of each -> (items, 2), their sums and counts."""
    summed = losses.new_zeros(items, 2)
    return summed.index_add(0, rows, torch.stack([losses, torch.ones_like(losses)], dim=1))


def vocabulary_of(encoder: Encoder) -> nn.Embedding:
    """Raises ValueError for an encoder without one, which `misfit` has named before."""
    found = encoder.vocabulary()
    if found is None:
        raise ValueError(f"{encoder.architecture.name} has no vocabulary")
    return found
