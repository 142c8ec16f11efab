"""Reading GGUF, the file of llama.cpp: a model's facts, its tokenizer's words and its weights, some of them in blocks.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; version 3, little-endian. Of the kinds of blocks there are
those that our packs have: F32, F16, Q4_1 and Q8_0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import SourceError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class Gguf:
    """facts: the key-value pairs. tensors: float32 arrays by name, rows first."""

    facts: dict[str, Any]
    tensors: dict[str, np.ndarray]


def read_gguf(data: bytes, source: str) -> Gguf:
    """Everything in a file. Raises SourceError where it is no GGUF, or has a kind of block that is not known here."""
    reader = _Reader(data)
    if data[:4] != b"GGUF" or reader.scalar("4xI") != 3:
        raise SourceError(f"source {source!r}: this is no GGUF file of version 3.")
    count, facts_count = reader.scalar("Q"), reader.scalar("Q")
    facts = {}
    for _ in range(facts_count):
        key = reader.string()
        facts[key] = reader.value(reader.scalar("I"))
    places = []
    for _ in range(count):
        name = reader.string()
        shape = [reader.scalar("Q") for _ in range(reader.scalar("I"))][::-1]
        places.append((name, shape, reader.scalar("I"), reader.scalar("Q")))
    alignment = int(facts.get("general.alignment", 32))
    start = -(-reader.place // alignment) * alignment
    tensors = {}
    for name, shape, kind, offset in places:
        if kind not in _BLOCKS:
            raise SourceError(f"source {source!r}: {name} is stored in a way (type {kind}) that is not known here.")
        together, size, decode = _BLOCKS[kind]
        blocks = int(np.prod(shape)) // together
        found = np.frombuffer(data, np.uint8, blocks * size, start + offset)
        tensors[name] = decode(found.reshape(blocks, size)).reshape(shape)
    return Gguf(facts, tensors)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def scalar(self, form: str) -> Any:
        found = struct.unpack_from(f"<{form}", self.data, self.place)[0]
        self.place += struct.calcsize(f"<{form}")
        return found

    def string(self) -> str:
        length = self.scalar("Q")
        self.place += length
        return self.data[self.place - length : self.place].decode()

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner, count = self.scalar("I"), self.scalar("Q")
            return [self.value(inner) for _ in range(count)]
        return self.scalar(_SCALARS[kind])


def _plain(form: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda blocks: blocks.view(form).astype(np.float32)


def _q8_0(blocks: np.ndarray) -> np.ndarray:
    """(N, 34): a half-precision scale, 32 signed bytes."""
    return blocks[:, :2].view("<f2").astype(np.float32) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _q4_1(blocks: np.ndarray) -> np.ndarray:
    """(N, 20): a scale and a minimum, 16 bytes whose low halves are the first 16 weights."""
    scale, least = (blocks[:, i : i + 2].view("<f2").astype(np.float32) for i in (0, 2))
    return halves(blocks[:, 4:]) * scale + least


def halves(packed: np.ndarray) -> np.ndarray:
    """(N, 16) bytes -> (N, 32) float32, 0..15: the low halves of all, then the high ones."""
    return np.concatenate([packed & 15, packed >> 4], 1).astype(np.float32)


_BLOCKS: dict[int, tuple[int, int, Callable[[np.ndarray], np.ndarray]]] = {
    0: (1, 4, _plain("<f4")),
    1: (1, 2, _plain("<f2")),
    3: (32, 20, _q4_1),
    8: (32, 34, _q8_0),
}
"""Type -> weights in a block, its bytes, and how they become numbers."""
