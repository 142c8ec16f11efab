"""The interface of a modality: how items of one kind are looked at, and become what networks take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from torch import Tensor

from headstart.core.config import AugmentConfig
from headstart.data.dataset import Dataset, Finding, Item
from headstart.losses.adversarial import Ball, Region

BALL = 0.05
"""Radius of the ball in which an attack moves the numbers of an item, as a share of their length."""

C = TypeVar("C")
"""A preprocessing contract (`headstart.core.card`)."""
K = TypeVar("K")
"""What is kept of an item between its reading and its views: a picture, a wave, a text, a row."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an item's content told.

    digest: sha256 of the content, "" if it could not be read. facts: of the modality; None if it is none of it; then
    `code` and `problem` say why. flat: there is nothing in it (one colour, silence, no word).
    """

    digest: str
    facts: Any | None
    code: str = ""
    problem: str = ""
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Seen(Generic[K]):
    """What came of reading an item once. facts, flat: as in Look. kept: for the contract that was asked for.

    likeness: what `Modality.alike` compares; None where the item has too little in it to compare.
    """

    facts: Any
    kept: K | None = None
    likeness: Any | None = None
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Plain:
    """Features without a network. name: of the baseline on them. words: what they are. scaling: of them under a linear
    head, as in `headstart.nn.linear.fit_linear`."""

    name: str
    words: str
    scaling: Literal["each", "all"] = "each"


Check = Callable[[Dataset, Sequence[Look]], Iterator[Finding]]


class Modality(ABC, Generic[C, K]):
    """Stateless. A view is what a network sees of one item, before it is put together with others and prepared."""

    noun: ClassVar[str]
    """Of one item, for messages; with "s" of several."""
    plural: ClassVar[str]
    """Of several, as users call them."""
    example: ClassVar[tuple[str, str]]
    """One item, and labelled data, as arguments of a command."""
    checks: ClassVar[tuple[Check, ...]] = ()
    """What could be wrong with items of this modality alone."""

    def admit(self, item: Item) -> None:
        """Refuse an item before it is read: its file is too large to lie in memory. Raises DataError naming it."""

    @abstractmethod
    def look(self, content: bytes, item: Item, contract: C | None) -> Seen[K]:
        """Read the item, whose content is given, once. contract: also give what is kept for it.

        Raises DataError naming the item, its `code` as in a Finding.
        """

    @abstractmethod
    def read(self, item: Item, contract: C) -> K:
        """What is kept of the item. Raises DataError naming it where it cannot be read."""

    @abstractmethod
    def weigh(self, kept: K) -> int:
        """Bytes that it takes in memory."""

    @abstractmethod
    def evaluation(self, kept: K, contract: C) -> np.ndarray:
        """The view that models are judged and used on."""

    @abstractmethod
    def training(self, kept: K, contract: C, augment: AugmentConfig, seed: int) -> np.ndarray:
        """A random view, determined by `seed` (0 or larger) alone."""

    def varies(self, augment: AugmentConfig) -> bool:
        """Whether training views of one item differ from each other."""
        return False

    @abstractmethod
    def collate(self, views: Sequence[np.ndarray], contract: C) -> Tensor:
        """Views of one or more items -> a batch (B, ...)."""

    def prepare(self, batch: Tensor, contract: C) -> Tensor:
        """A batch, on its device already, in the form that the encoder takes."""
        return batch

    @abstractmethod
    def require(self, batch: Tensor, contract: C) -> None:
        """Raise ShapeError unless the batch is one of evaluation views of this contract."""

    @abstractmethod
    def noise(self, contract: C, count: int) -> Tensor:
        """A batch of made-up views, the same every time: to try a network, or to time it."""

    def length(self, kept: K, contract: C) -> int:
        """Items whose views come in different sizes: the size of this one, after rounding. 0 where all have one."""
        return 0

    @abstractmethod
    def plain(self, train: Sequence[K], others: Sequence[Sequence[K]], contract: C) -> list[np.ndarray]:
        """Features that owe nothing to a pretrained network: (N, D) float32 of the training items, then of each other
        part. Whatever is fitted for them is fitted to the training items. What `about_plain` describes."""

    @abstractmethod
    def about_plain(self, contract: C) -> Plain:
        """What plain features are."""

    trees: ClassVar[bool] = False
    """Whether boosted trees on plain features are what people would take who have no pretrained network."""

    def fits(self, dataset: Dataset, contract: C) -> Iterator[Finding]:
        """What there is to say of items before they are shown under a contract that was not made for them.

        Raises DataError where they cannot be.
        """
        yield from ()

    def alike(self, likenesses: Sequence[Any]) -> list[list[int]]:
        """Groups of two or more indices whose likenesses are nearly equal."""
        return []

    @abstractmethod
    def describe(self, contract: C) -> str:
        """The contract in a few words, for the model card."""

    def region(self, batch: Tensor, contract: C, epsilon: float | None) -> Region:
        """Where an attack may move a prepared batch, or what its network first makes of it (`nn.entrance`).

        epsilon: None is what is usual.
        """
        return Ball(BALL if epsilon is None else epsilon)

    def smaller(self, ready: Tensor) -> Tensor:
        """A prepared batch at a fraction of the cost, for a baseline that does not need every detail."""
        return ready

    def thumbnail(self, item: Item) -> bytes | None:
        """A small JPEG of the item for a report; None where it has no picture, or cannot be read."""
        return None

    def excerpt(self, item: Item) -> str | None:
        """The item in a few words for a report; None where words say nothing of it."""
        return None
