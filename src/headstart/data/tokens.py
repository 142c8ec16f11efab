"""Texts as token ids, by the tokenizer that a contract names. Texts of any length become rows; rows become a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core import assets
from headstart.core.card import TextInput
from headstart.core.errors import SourceError
from headstart.core.extras import require
from headstart.core.passages import NOWHERE, Passage, Place

if TYPE_CHECKING:
    from torch import Tensor

_PADS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>")
MULTIPLE = 8
"""Lengths are rounded up to a multiple of this, so that few differ."""
_OWN_SPECIAL = ("[PAD]", "[BOS]", "[SEP]", "[EOS]")


def tokenizer(contract: TextInput) -> Any:
    """The contract's `tokenizers.Tokenizer`: it cuts what is longer than the contract's length (of a pair the longer
    text first), adds its special tokens and pads nothing. One object for all threads: change nothing of it.

    Raises MissingExtra without the tokenizers library, SourceError where the tokenizer is not on this machine or is
    none.
    """
    return _tokenizer(contract.tokenizer, contract.length)


@lru_cache(maxsize=16)
def _tokenizer(name: str, length: int, window: str = "") -> Any:
    """window: the truncation strategy by which what is too long gives several encodings that overlap; "" gives one."""
    library = require("tokenizers", "transformers", "a text network")
    try:
        found = library.Tokenizer.from_str(assets.read(name).decode())
    except SourceError:
        raise
    except Exception as error:  # the library raises no other type
        raise SourceError(f"the tokenizer {name[:12]} cannot be read: {error}.") from None
    found.no_padding()
    if window:
        found.enable_truncation(length, stride=length // 4, strategy=window)
    else:
        found.enable_truncation(length, strategy="longest_first")
    return found


def pad_id(contract: TextInput) -> int:
    """The id that padding has."""
    ids = (tokenizer(contract).token_to_id(token) for token in _PADS)
    return next((int(found) for found in ids if found is not None), 0)


def encode(texts: Sequence[str | tuple[str, str]], contract: TextInput) -> list[np.ndarray]:
    """Every text, or pair of texts, as (2, t) int64: token ids, and 0 or 1 for the text that each belongs to.

    Special tokens belong to the text before them. t is at most `contract.length`, and 0 where a tokenizer adds nothing
    to an empty text.
    """
    found = tokenizer(contract)
    rows = []
    for text in texts:
        if isinstance(text, str):
            ids = found.encode(contract.prefix + text).ids
            rows.append(np.array([ids, [0] * len(ids)], np.int64))
        else:
            encoded = found.encode(*(contract.prefix + part for part in text))
            second = np.maximum.accumulate([part or 0 for part in (0, *encoded.sequence_ids)])[1:]
            rows.append(np.array([encoded.ids, second], np.int64))
    return rows


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a passage as a network sees it. tokens: (2, t), as `encode` gives. first, last: (t,) the words that each
    token has part in, from one to the other; of a token that is part of none, 0 and -1."""

    tokens: np.ndarray
    first: np.ndarray
    last: np.ndarray


def encode_place(place: Place, contract: TextInput) -> np.ndarray:
    """A word where it stands, (3, t) int64: as `encode` of the text that it is in (after the question, where one is
    asked), and 1 for the tokens that are the word's, 0 for others. Of a text that is too long, the stretch in which the
    word has most around it. NOWHERE, and a word of which no token is left, have the first token.
    """
    stretches, home = _stretches(place.passage, contract)
    stretch = stretches[home[place.word] if place.word != NOWHERE else 0]
    marks = (stretch.first <= place.word) & (place.word <= stretch.last)
    marks[0] |= not marks.any()
    return np.concatenate([stretch.tokens, marks[None].astype(np.int64)])


def located(given: str | tuple[str, str] | Place, contract: TextInput) -> list[tuple[int, tuple[int, int]]]:
    """Of each token of `encode` or `encode_place`: the text that it is of (of a place the question, where one is asked,
    comes first; -1: of none), and its characters there without the space before a word."""
    if isinstance(given, Place):
        passage = given.passage
        texts = (passage.question, passage.text) if passage.question else (passage.text,)
        home = _stretches(passage, contract)[1]
        encoded = _windows(passage, contract)[home[given.word] if given.word != NOWHERE else 0]
    else:
        texts = (given,) if isinstance(given, str) else given
        encoded = tokenizer(contract).encode(*(contract.prefix + text for text in texts))
    before, found = len(contract.prefix), []
    for part, (start, end) in zip(encoded.sequence_ids, encoded.offsets, strict=True):
        if part is None or end <= before:
            found.append((-1, (0, 0)))
            continue
        start, end = max(0, start - before), end - before
        piece = texts[part][start:end]
        found.append((part, (end - len(piece.lstrip()), start + len(piece.rstrip()))))
    return found


def _windows(passage: Passage, contract: TextInput) -> list[Any]:
    """The encodings of the stretches of a passage, as the library gives them."""
    text = contract.prefix + passage.text
    if passage.question:
        asked = _tokenizer(contract.tokenizer, contract.length // 2).encode(
            contract.prefix + passage.question, add_special_tokens=False
        )
        question = (contract.prefix + passage.question)[: asked.offsets[-1][1] if asked.offsets else 0]
        encoded = _tokenizer(contract.tokenizer, contract.length, "only_second").encode(question, text)
    else:
        encoded = _tokenizer(contract.tokenizer, contract.length, "only_first").encode(text)
    return [encoded, *encoded.overflowing]


@lru_cache(maxsize=256)
def _stretches(passage: Passage, contract: TextInput) -> tuple[tuple[Stretch, ...], tuple[int, ...]]:
    """The stretches of a passage, and the one of each word."""
    begins, ends = np.array(passage.words).T + len(contract.prefix)
    side, stretches = int(bool(passage.question)), []
    best = [(0, 0, 0)] * len(passage.words)  # tokens that are seen, those around them on the lesser side, the stretch
    for number, found in enumerate(_windows(passage, contract)):
        segment = np.maximum.accumulate([part or 0 for part in (0, *found.sequence_ids)])[1:]
        offsets = np.array(found.offsets, int).reshape(-1, 2)
        inside = (np.array([part == side for part in found.sequence_ids], bool)) & (offsets[:, 1] > offsets[:, 0])
        first = np.where(inside, np.searchsorted(ends, offsets[:, 0], side="right"), 0)
        last = np.where(inside, np.searchsorted(begins, offsets[:, 1], side="left") - 1, -1)
        where = np.flatnonzero(inside)
        seen: dict[int, list[int]] = defaultdict(list)
        for t in where:
            for word in range(first[t], last[t] + 1):
                seen[word].append(int(t))
        for word, own in seen.items():
            around = int(min(own[0] - where[0], where[-1] - own[-1]))
            if (len(own), around) > best[word][:2]:
                best[word] = (len(own), around, number)
        stretches.append(Stretch(np.array([found.ids, segment], np.int64), first, last))
    return tuple(stretches), tuple(number for _, _, number in best)


def collate(rows: Sequence[np.ndarray], pad_id: int, length: int = 8192) -> Tensor:
    """Rows (2, t) of any lengths -> batch (B, 2, T) int64; where it is padding, `pad_id` and the segment -1. Rows of
    (3, t) give (B, 3, T), padding being part of no word.

    T is the longest t rounded up to a multiple of 8, which is faster, and at most `length`.
    """
    import torch

    longest = max((row.shape[1] for row in rows), default=0)
    width = max(longest, min(-(-max(longest, 1) // MULTIPLE) * MULTIPLE, length))
    batch = np.zeros((len(rows), rows[0].shape[0] if rows else 2, width), np.int64)
    batch[:, 0], batch[:, 1] = pad_id, -1
    for place, row in zip(batch, rows, strict=True):
        place[:, : row.shape[1]] = row
    return torch.from_numpy(batch)


def special_ids(contract: TextInput) -> frozenset[int]:
    """Tokens that stand for no piece of a text: those that begin, end, part, pad or hide."""
    added = tokenizer(contract).get_added_tokens_decoder()
    return frozenset(int(i) for i, token in added.items() if token.special)


def mask_id(contract: TextInput) -> int | None:
    """The token that hides another; None where the tokenizer has none."""
    ids = (tokenizer(contract).token_to_id(token) for token in ("[MASK]", "<mask>"))
    return next((int(found) for found in ids if found is not None), None)


def train_tokenizer(texts: Iterable[str], size: int) -> bytes:
    """A tokenizer.json for texts like these: small letters, every Chinese character by itself, frequent pieces of words
    as tokens and all else spelled in bytes (Sennrich et al. 2016), `[BOS] a [EOS]`. The same texts give the same bytes.

    size: tokens at most; at least there are those for all bytes.
    """
    library = require("tokenizers", "transformers", "a tokenizer of its own")
    found = library.Tokenizer(library.models.BPE())
    before = library.pre_tokenizers
    found.normalizer = library.normalizers.BertNormalizer(strip_accents=False)
    found.pre_tokenizer = before.Sequence([before.BertPreTokenizer(), before.ByteLevel(use_regex=False)])
    found.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=list(_OWN_SPECIAL),
        initial_alphabet=before.ByteLevel.alphabet(),
        show_progress=False,
    )
    found.train_from_iterator(texts, trainer)
    ends = [(token, found.token_to_id(token)) for token in ("[BOS]", "[SEP]", "[EOS]")]
    found.post_processor = library.processors.TemplateProcessing(
        single="[BOS] $A [EOS]", pair="[BOS] $A [SEP] $B:1 [EOS]:1", special_tokens=ends
    )
    text: str = found.to_str()
    return text.encode()
