"""Files of other programs, read by our own code: GGUF and protocol buffers."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from headstart.core.errors import SourceError
from headstart.sources.gguf import read_gguf
from headstart.sources.protobuf import fields, messages, text


def string(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(kind: int, shape: tuple[int, ...], blocks: bytes) -> bytes:
    """A file with three facts and one tensor; its shape is written innermost first."""
    facts = string("name") + struct.pack("<I", 8) + string("tiny")
    facts += string("heads") + struct.pack("<II", 4, 9)
    facts += string("words") + struct.pack("<IIQ", 9, 8, 2) + string("a") + string("书")
    tensor = string("w") + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape[::-1])
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + facts + tensor + struct.pack("<IQ", kind, 0)
    return head + bytes(-len(head) % 32) + blocks


def test_facts_and_plain_numbers() -> None:
    found = read_gguf(gguf(0, (2, 3), np.arange(6, dtype="<f4").tobytes()), "x")
    assert found.facts == {"name": "tiny", "heads": 9, "words": ["a", "书"]}
    assert found.tensors["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_blocks_of_eight_bits() -> None:
    codes = np.arange(-32, 32, dtype=np.int8)
    scales = np.array([0.5, 2.0], "<f2")
    data = b"".join(scales[i].tobytes() + codes[32 * i : 32 * i + 32].tobytes() for i in range(2))
    expected = [float(codes[i]) * float(scales[i // 32]) for i in range(64)]
    assert read_gguf(gguf(8, (1, 64), data), "x").tensors["w"][0].tolist() == expected


def test_blocks_of_four_bits() -> None:
    """Byte j holds weight j in its low half and weight j + 16 in its high one; a weight is code * scale + least."""
    codes = np.random.default_rng(0).integers(0, 16, 32)
    packed = bytes(int(codes[j] | codes[j + 16] << 4) for j in range(16))
    data = np.array([0.25, -1.0], "<f2").tobytes() + packed
    assert read_gguf(gguf(3, (32,), data), "x").tensors["w"].tolist() == [float(c) * 0.25 - 1 for c in codes]


@pytest.mark.parametrize(
    ("data", "words"), [(b"GGML" + bytes(40), "no GGUF file"), (gguf(12, (32,), bytes(64)), "type 12")]
)
def test_other_files_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read_gguf(data, "x")


def test_a_message_field_by_field() -> None:
    inner = bytes([1 << 3 | 2, 3]) + "书".encode()
    message = bytes([1 << 3, 0xAC, 2, 2 << 3 | 2, len(inner)]) + inner + bytes([3 << 3 | 5]) + struct.pack("<f", 1.5)
    found = [(field, value if isinstance(value, int) else bytes(value)) for field, value in fields(message)]
    assert found == [(1, 300), (2, inner), (3, struct.pack("<f", 1.5))]
    assert [text(value, 1) for value in messages(message, 2)] == ["书"]
    assert text(message, 9) == ""
    with pytest.raises(ValueError, match="ends within a field"):
        list(fields(message[:-1]))
