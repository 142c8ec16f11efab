"""Which columns of a table say what."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from headstart.core.errors import KNOWN, DataError, some, unknown_name
from headstart.data.images import is_image_name
from headstart.data.sound import is_sound_name

Modality = Literal["image", "text", "audio", "table"]

FILE_NAMES: Final = ("image", "path", "audio", "image_path", "file", "filename", "file_name", "filepath", "img")
TEXT_NAMES: Final = ("text", "sentence", "review", "content", "document", "comment", "title", "question", "message")
LABEL_NAMES: Final = ("label", "labels", "class", "category", "target", "y")
SAMPLE: Final = 1000
"""Rows that are looked at to find out what a column holds."""
_WORDS: Final = re.compile(r"\w+")
_WIDE: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Writing without spaces between words."""


@dataclass(frozen=True)
class Inputs:
    """names: one column, the two of a pair of texts, or the numbers and categories of a table."""

    names: tuple[str, ...]
    modality: Modality


def column(name: str, role: str, given: str | None, known: Sequence[str]) -> str | None:
    """The column that the user named. Raises DataError where the table has none such."""
    if given is not None and given not in known:
        raise DataError(f"{name}: " + unknown_name("column", given, known, f"Name one of these with --{role}."))
    return given


def several(name: str, role: str, given: str, known: Sequence[str], free: Sequence[str] = ()) -> list[str]:
    """The columns that the user named, separated by commas; a pattern ("gene_*") stands for those of `free`."""
    wanted = [given] if given in known else [part.strip() for part in given.split(",")]
    found: list[str] = []
    for part in wanted:
        matching = [] if part in known or "*" not in part else fnmatch.filter(free, part)
        found += matching or [c for c in [column(name, role, part, known)] if c is not None]
    return list(dict.fromkeys(found))


def usual(names: Sequence[str], known: Sequence[str]) -> str | None:
    """The first of `names` that is a column, whatever its case."""
    by_lower = {known_name.lower(): known_name for known_name in reversed(known)}
    return next((by_lower[n] for n in names if n in by_lower), None)


def inputs(
    name: str, given: str | None, known: Sequence[str], free: Sequence[str], values: Callable[[str], list[Any]]
) -> Inputs:
    """What is given to the network. given: as the user named it. free: columns that serve no other purpose for sure.

    values: a column -> what some rows hold in it. Raises DataError where it is not plain which column it is.
    """
    if given is not None:
        names = several(name, "input", given, known, free)
        kinds = {_kind(values(found), found, len(names) > 2) for found in names}
        if len(names) == 1 and kinds != {"number"}:
            (kind,) = kinds
            return Inputs(tuple(names), "image" if kind == "image" else "audio" if kind == "audio" else "text")
        if len(names) == 2 and kinds <= {"text", "word", ""}:
            return Inputs(tuple(names), "text")
        if kinds <= {"number", "word", ""}:
            return Inputs(tuple(names), "table")
        raise DataError(
            f"{name}: --input names {len(names)} columns: {some(names)}. "
            "Expected one, the two of a pair of texts, or any number that hold numbers or categories."
        )
    kinds_of = {found: _kind(values(found), found, len(free) > 1) for found in free}
    for kind, usually in (("image", FILE_NAMES), ("audio", FILE_NAMES), ("text", TEXT_NAMES)):
        likely = [found for found in free if kinds_of[found] == kind]
        best = likely[0] if len(likely) == 1 else usual(usually, likely)
        if best is not None:
            return Inputs((best,), kind)  # type: ignore[arg-type]
        if likely:
            what = {"image": "paths of images", "audio": "paths of recordings", "text": "text"}[kind]
            raise DataError(
                f"{name}: columns {', '.join(likely)} all hold {what}, and one of them must be the input. Name it with "
                "--input" + (" (two, separated by a comma, for pairs of texts)." if kind == "text" else ".")
            )
    named = usual(TEXT_NAMES, [found for found in free if kinds_of[found] == "word"])
    if named is not None:
        return Inputs((named,), "text")
    cells = [found for found in free if kinds_of[found] in ("number", "word")]
    if cells:
        return Inputs(tuple(cells), "table")
    raise DataError(
        f"{name}: one column must hold paths of images or recordings, or text, or some numbers or categories, and none "
        f"of the columns {some(known, KNOWN)} does. Name it with --input."
    )


def _kind(values: Sequence[Any], name: str, among_others: bool) -> str:
    """What a column holds; beside other columns, texts that are few and repeated are names of categories."""
    kind = holds(values)
    few = 10 * len({repr(value) for value in values}) <= len(values)
    return "word" if kind == "text" and few and among_others and name.lower() not in TEXT_NAMES else kind


def holds(values: Sequence[Any]) -> Literal["image", "audio", "text", "word", "number", ""]:
    """What most of the values are: paths (or the bytes) of images or recordings, text of several words, single words,
    or numbers; "" where there are none."""
    present = [value for value in values if value is not None and value != ""]
    if not present:
        return ""
    if all(map(_is_number, present)):
        return "number"
    for kind, is_name in (("image", is_image_name), ("audio", is_sound_name)):
        if sum(_names_a_file(value, is_name) for value in present) >= 0.5 * len(present):
            return kind  # type: ignore[return-value]
    texts = [value for value in present if isinstance(value, str)]
    if len(texts) < 0.5 * len(present):
        return "number"
    long = sum(len(_WORDS.findall(text)) >= 3 or len(_WIDE.findall(text)) >= 4 for text in texts)
    return "text" if long >= 0.5 * len(texts) else "word"


def _names_a_file(value: Any, is_name: Callable[[str], bool]) -> bool:
    if isinstance(value, dict):
        return isinstance(value.get("bytes"), bytes) or _names_a_file(value.get("path"), is_name)
    return isinstance(value, bytes) or (isinstance(value, str) and is_name(value.strip()))


def _is_number(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, int | float)
    try:
        float(value)
    except ValueError:
        return False
    return True


def labels(name: str, given: str | None, known: Sequence[str], free: Sequence[str]) -> list[str]:
    """The columns of the label. Raises DataError where it is not plain which column it is."""
    if given is not None:
        return several(name, "label", given, known)
    found = usual(LABEL_NAMES, free)
    if found is not None:
        return [found]
    if len(free) == 1:
        return list(free)
    raise DataError(
        f"{name}: no column is plainly the label. The columns are {some(known, KNOWN)}; name it with --label "
        "(several, separated by commas, for several numbers)."
    )
