"""Tokenizers of text packs, as the JSON that the `tokenizers` library reads, byte for byte the same every time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def canonical(tokenizer: dict[str, Any]) -> bytes:
    """The JSON that stands for itself: sorted keys, no padding, no truncation."""
    kept = {"decoder": None, **tokenizer, "version": "1.0", "padding": None, "truncation": None}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def as_saved(original: bytes) -> bytes:
    """A tokenizer.json without the padding and the truncation that somebody saved with it."""
    return canonical(json.loads(original))


def without_specials(original: bytes) -> bytes:
    """A tokenizer.json that adds no token to a text."""
    return canonical({**json.loads(original), "post_processor": None})


def unigram(
    pieces: Sequence[tuple[str, float]],
    *,
    unknown: int,
    normalizers: Sequence[dict[str, Any]],
    first: str,
    last: str,
    special: Sequence[str],
) -> bytes:
    """A SentencePiece unigram model: `first` text `last`, or `first` text `last` `last` text `last` of a pair.

    pieces: with their log-probabilities, in the order of their ids. unknown: the id of what no piece covers.
    normalizers: what is done to a text before it is cut at its blanks. special: pieces that no cutting produces.
    """
    ids = {piece: i for i, (piece, _) in enumerate(pieces)}
    begin, end = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (first, last))
    text, other = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return canonical(
        {
            "added_tokens": [_special(ids[token], token) for token in special],
            "normalizer": {"type": "Sequence", "normalizers": list(normalizers)},
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [begin, text, end],
                "pair": [begin, text, end, end, other, end],
                "special_tokens": {
                    token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in (first, last)
                },
            },
            "model": {"type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": False},
        }
    )


def byte_pairs(tokens: Sequence[str], merges: Sequence[str], special: Sequence[int]) -> bytes:
    """GPT-2's byte-level pair encoding with every digit a token of its own. It adds no token to a text.

    merges: "left right", the most frequent first. special: ids that no merging produces.
    """
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return canonical(
        {
            "added_tokens": [_special(i, tokens[i]) for i in special],
            "normalizer": None,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
            },
            "post_processor": None,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": {token: i for i, token in enumerate(tokens)},
                "merges": [merge.split(" ") for merge in merges],
            },
        }
    )


def replace(pattern: str, content: str) -> dict[str, Any]:
    """A normaliser: what matches the regular expression becomes `content`."""
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _special(token_id: int, token: str) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": token, "special": True, **plain}
