"""Reading protocol buffers without their schema: what SentencePiece models and ONNX graphs are written in."""

from __future__ import annotations

from collections.abc import Iterator

_FIXED = {1: 8, 5: 4}


def fields(data: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message in its order: a number, or the bytes of a text, a message or a float.

    Raises ValueError where it ends too early or is no message.
    """
    data = memoryview(data)
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            if place >= len(data):
                raise ValueError("the message ends within a number")
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        field, wire = divmod(number(), 8)
        if wire == 0:
            yield field, number()
            continue
        if wire != 2 and wire not in _FIXED:
            raise ValueError(f"there is no wire type {wire}")
        size = number() if wire == 2 else _FIXED[wire]
        if place + size > len(data):
            raise ValueError("the message ends within a field")
        yield field, data[place : place + size]
        place += size


def messages(data: bytes | memoryview, field: int) -> Iterator[memoryview]:
    """The bytes of every `field` of a message."""
    return (value for found, value in fields(data) if found == field and not isinstance(value, int))


def text(data: bytes | memoryview, field: int) -> str:
    """The first text in `field`, or ""."""
    return next((str(value, "utf-8") for value in messages(data, field)), "")
