"""From the bytes of a text file to its text: byte order marks, UTF-8, and the two older encodings that are common."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from headstart.core.errors import DataError
from headstart.data.dataset import Finding

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_COMMON_CHINESE: Final = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_WESTERN_SHARE: Final = 0.25
"""Windows-1252 text has fewer bytes above 127 than this, its accents and dashes: French has some 4 %."""


def decoded(data: bytes, name: str) -> tuple[str, str]:
    """Text and the name of its encoding, a line break always being as it stands in the file.

    A byte order mark decides; then UTF-8, which other text hardly ever is by chance. What is neither is taken for
    GB18030 (Chinese) where it is valid and most of its bytes above 127 stand in pairs of GB2312, which hold nearly all
    characters of running Chinese; else for cp1252 (Western), whose accents stand alone between letters, where it is
    valid and such bytes are few. Both are guesses, so tell the user (`encoding_finding`).

    name: of the file, for messages. Raises DataError naming line and byte where no encoding fits.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strict(data, encoding, name), encoding
    if data.count(0) > len(data) / 4:
        raise DataError(
            f"{name} is no UTF-8 text: {data.count(0) / len(data):.0%} of its bytes are zero, as in UTF-16 without the "
            "mark that says so, or in a file that is no text. Save it as UTF-8."
        )
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        bad = error.start
    high = len(_HIGH.findall(data))
    chinese = 2 * len(_COMMON_CHINESE.findall(data)) > high / 2
    if chinese or high < _WESTERN_SHARE * len(data):
        guess = "gb18030" if chinese else "cp1252"
        with suppress(UnicodeDecodeError):
            return data.decode(guess), guess
    raise DataError(
        f"{name} line {_line(data, bad)} is not UTF-8 text (byte {data[bad]:#04x} at offset {bad}), nor does the file "
        "look like GB18030 or Windows-1252. Save it as UTF-8."
    )


def read_text(path: Path) -> tuple[str, str]:
    """Text and encoding of a file, unpacked where it is named .gz. Raises DataError where it cannot be read."""
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    return decoded(data, str(path))


def encoding_finding(name: str, encoding: str) -> list[Finding]:
    """A warning where the encoding of the file `name` was a guess; [] where it is Unicode."""
    if encoding.startswith("utf"):
        return []
    message = f"{name} is not UTF-8 and was read as {encoding}. If letters look wrong, save it as UTF-8."
    return [Finding("warning", "encoding", message)]


def _strict(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        bad = error.start + len(data) - len(error.object)  # the decoder may have taken off the mark
        raise DataError(
            f"{name} line {_line(data, bad)} is not {encoding.removesuffix('-sig').upper()} text ({error.reason} at "
            f"offset {bad}), as the file's first bytes say it is. Save it as UTF-8."
        ) from None


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1
