"""Texts, and pairs of texts: kept as they are, cut into tokens for each view, padded to the longest of a batch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from torch import Tensor

from headstart.core.card import TextInput
from headstart.core.config import AugmentConfig
from headstart.core.errors import DataError, ShapeError
from headstart.core.passages import Place
from headstart.data.dataset import Dataset, Finding, Item
from headstart.data.modalities.base import BALL, Check, Look, Modality, Plain, Seen
from headstart.data.passages import joined, surroundings
from headstart.data.tokens import MULTIPLE, collate, encode, encode_place, pad_id, tokenizer
from headstart.data.transforms.places import described
from headstart.data.transforms.text import reworded
from headstart.data.transforms.tfidf import tfidf
from headstart.losses.adversarial import Ball, Region
from headstart.nn.pooling import real_tokens

Text = str | tuple[str, str] | Place
EXCERPT: Final = 200
MANY: Final = 0.05
"""Share of texts from which on it is worth saying that they are cut."""


@dataclass(frozen=True, slots=True)
class Facts:
    """letters: of the text or of both. tokens: before it is cut; 0 where it was not asked."""

    letters: int
    tokens: int = 0


def empty(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Texts without a single letter or digit."""
    ids = [item.id for item, look in zip(dataset.items, looks, strict=True) if look.flat]
    if ids:
        shown = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
        yield Finding("warning", "empty-text", f"{len(ids)} text(s) hold no word: {shown}.", tuple(ids))


class TextModality(Modality[TextInput, Text]):
    """What is kept is the text itself. A view is int64 (2, t): tokens, and the segment each belongs to; by word (3, t),
    and which tokens are the word's."""

    noun: ClassVar[str] = "text"
    plural: ClassVar[str] = "texts"
    example: ClassVar[tuple[str, str]] = ("'A text.'", "other_texts.csv")
    checks: ClassVar[tuple[Check, ...]] = (empty,)

    def look(self, content: bytes, item: Item, contract: TextInput | None) -> Seen[Text]:
        text = self._text(item)
        whole = "\n".join(text) if isinstance(text, tuple) else str(text)
        plain = re.sub(r"\W+", " ", unicodedata.normalize("NFKC", whole).casefold()).strip()
        return Seen(Facts(len(whole)), text, plain or None, flat=not plain)

    def read(self, item: Item, contract: TextInput) -> Text:
        return self._text(item)

    def _text(self, item: Item) -> Text:
        given: Any = item.input
        if isinstance(given, str | Place):
            return given
        if isinstance(given, tuple) and all(isinstance(part, str) for part in given):
            return (given[0], given[1]) if len(given) == 2 else joined(given)[0]
        if isinstance(given, Path):
            from headstart.data.encodings import decoded

            return decoded(item.content(), item.id)[0]
        raise DataError(f"{item.id} is no text (it is a {type(given).__name__}). Expected one text, or two of a pair.")

    def weigh(self, kept: Text) -> int:
        return 64 if isinstance(kept, Place) else 2 * sum(map(len, kept))  # a place holds no text of its own

    def evaluation(self, kept: Text, contract: TextInput) -> np.ndarray:
        return encode_place(kept, contract) if isinstance(kept, Place) else encode([kept], contract)[0]

    def training(self, kept: Text, contract: TextInput, augment: AugmentConfig, seed: int) -> np.ndarray:
        """The text in other words, where that is asked for; a word stays where it stands."""
        return self.evaluation(kept if isinstance(kept, Place) else reworded(kept, augment, seed), contract)

    def varies(self, augment: AugmentConfig) -> bool:
        words = (augment.word_replace, augment.word_insert, augment.word_swap, augment.word_delete)
        return any(words) or bool(augment.back_translation)

    def collate(self, views: Sequence[np.ndarray], contract: TextInput) -> Tensor:
        return collate(views, pad_id(contract), contract.length)

    def require(self, batch: Tensor, contract: TextInput) -> None:
        rows, what = (3, "tokens, segments and marks") if contract.by_word else (2, "tokens and segments")
        if batch.dtype != torch.int64 or batch.ndim != 3 or batch.shape[1] != rows or batch.shape[2] > contract.length:
            raise ShapeError(
                f"expected int64 {what} of shape (B, {rows}, T) with T at most {contract.length}, "
                f"got {batch.dtype} {tuple(batch.shape)}."
            )

    def noise(self, contract: TextInput, count: int) -> Tensor:
        length = min(contract.length, 32)
        tokens = np.random.default_rng(0).integers(0, tokenizer(contract).get_vocab_size(), (count, length))
        marks = [np.ones_like(tokens)] if contract.by_word else []
        return torch.from_numpy(np.stack([tokens, np.zeros_like(tokens), *marks], axis=1))

    def region(self, batch: Tensor, contract: TextInput, epsilon: float | None) -> Region:
        """Of the vectors of its tokens; padding never moves."""
        return Ball(BALL if epsilon is None else epsilon, real_tokens(batch))

    def length(self, kept: Text, contract: TextInput) -> int:
        tokens = int(self.evaluation(kept, contract).shape[1])
        return min(contract.length, -(-tokens // MULTIPLE) * MULTIPLE)

    def about_plain(self, contract: TextInput) -> Plain:
        if contract.by_word:
            return Plain("word looks", "the looks of each word and of those beside it", scaling="all")
        return Plain("tf-idf", "tf-idf of words and letters", scaling="all")  # what is rare is small on purpose

    def plain(self, train: Sequence[Text], others: Sequence[Sequence[Text]], contract: TextInput) -> list[np.ndarray]:
        if contract.by_word:
            return [described(part) for part in (train, *others)]  # type: ignore[arg-type]
        whole, *parts = ([self._joined(text) for text in part] for part in (train, *others))
        return tfidf(whole, parts)

    def _joined(self, text: Text) -> str:
        """The second text of a pair has words of its own."""
        if not isinstance(text, tuple):
            return str(text)
        first, second = text
        return first + " " + re.sub(r"\w+", lambda word: f"2{word[0]}", second)

    def alike(self, likenesses: Sequence[Any]) -> list[list[int]]:
        """Texts that differ only in case, punctuation, spaces or the form of their letters."""
        same: dict[str, list[int]] = {}
        for index, plain in enumerate(likenesses):
            same.setdefault(plain, []).append(index)
        return [group for group in same.values() if len(group) > 1]

    def describe(self, contract: TextInput) -> str:
        before = f", {contract.prefix!r} put before it" if contract.prefix else ""
        if contract.by_word:
            return f"each word within {contract.length} tokens of tokenizer {contract.tokenizer[:12]}{before}"
        return f"the first {contract.length} tokens of tokenizer {contract.tokenizer[:12]}{before}"

    def excerpt(self, item: Item) -> str | None:
        try:
            text = self._text(item)
        except DataError:
            return None
        if isinstance(text, Place):
            return surroundings(text)
        whole = " ".join((text if isinstance(text, str) else " — ".join(text)).split())
        return whole if len(whole) <= EXCERPT else whole[: EXCERPT - 1] + "…"


TEXT = TextModality()
