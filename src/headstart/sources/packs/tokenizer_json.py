"""Tokenizers of text packs, as the JSON that the `tokenizers` library reads, byte for byte the same every time."""

from __future__ import annotations

import json
from typing import Any


def canonical(tokenizer: dict[str, Any]) -> bytes:
    """The JSON that stands for itself: sorted keys, no padding, no truncation."""
    kept = {**tokenizer, "version": "1.0", "padding": None, "truncation": None}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def wordpiece(original: bytes) -> bytes:
    """A tokenizer.json without the padding and the truncation that somebody saved with it."""
    return canonical(json.loads(original))
