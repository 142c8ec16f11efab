"""Texts as token ids, by the tokenizer that a contract names. Texts of any length become rows; rows become a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core import assets
from headstart.core.card import TextInput
from headstart.core.errors import SourceError
from headstart.core.extras import require

if TYPE_CHECKING:
    from torch import Tensor

_PADS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>")
_MULTIPLE = 8
_OWN_SPECIAL = ("[PAD]", "[BOS]", "[SEP]", "[EOS]")


def tokenizer(contract: TextInput) -> Any:
    """The contract's `tokenizers.Tokenizer`: it cuts what is longer than the contract's length (of a pair the longer
    text first), adds its special tokens and pads nothing. One object for all threads: change nothing of it.

    Raises MissingExtra without the tokenizers library, SourceError where the tokenizer is not on this machine or is
    none.
    """
    return _tokenizer(contract.tokenizer, contract.length)


@lru_cache(maxsize=16)
def _tokenizer(name: str, length: int) -> Any:
    library = require("tokenizers", "transformers", "a text network")
    try:
        found = library.Tokenizer.from_str(assets.read(name).decode())
    except SourceError:
        raise
    except Exception as error:  # the library raises no other type
        raise SourceError(f"the tokenizer {name[:12]} cannot be read: {error}.") from None
    found.no_padding()
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


def collate(rows: Sequence[np.ndarray], pad_id: int, length: int = 8192) -> Tensor:
    """Rows (2, t) of any lengths -> batch (B, 2, T) int64; where it is padding, `pad_id` and the segment -1.

    T is the longest t rounded up to a multiple of 8, which is faster, and at most `length`.
    """
    import torch

    longest = max((row.shape[1] for row in rows), default=0)
    width = max(longest, min(-(-max(longest, 1) // _MULTIPLE) * _MULTIPLE, length))
    batch = np.empty((len(rows), 2, width), np.int64)
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
