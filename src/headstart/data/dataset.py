"""A data set: a lazy table of items. Nothing is decoded until it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from unicodedata import category

from headstart.core.errors import DataError
from headstart.core.passages import Place

Role = Literal["train", "validation", "test"]
Modality = Literal["image", "text", "audio", "table"]
LabelKind = Literal["class", "multilabel", "number", "tags", "answers", "none"]

SPLIT_NAMES: dict[str, Role] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def printable(text: str) -> str:
    """Text that can be printed on one line and stored: line breaks, control codes and what is not Unicode, all of
    which file systems and tables may hold, are shown as escapes."""
    if text.isprintable():
        return text
    escaped = ("Cc", "Cs", "Zl", "Zp")
    return "".join(c.encode("unicode_escape").decode() if category(c) in escaped else c for c in text)


@dataclass(frozen=True)
class Finding:
    """Something noticed about the data. An error stops the work; a warning goes into the report.

    code: stable, for programs ("unreadable-image"). message: for people, complete by itself.
    items: ids of the items it is about.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    items: tuple[str, ...] = ()


class Cells(Mapping[str, Any]):
    """A table's row by column, without a copy of it: what is looked up is where the rows of a table have a column."""

    __slots__ = ("_places", "_values")

    def __init__(self, columns: tuple[str, ...], values: tuple[Any, ...]) -> None:
        self._places = _places(columns)
        self._values = values

    def __getitem__(self, column: str) -> Any:
        return self._values[self._places[column]]

    def get(self, column: str, default: Any = None) -> Any:
        place = self._places.get(column)
        return default if place is None else self._values[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@lru_cache(maxsize=16)
def _places(columns: tuple[str, ...]) -> dict[str, int]:
    return {name: place for place, name in enumerate(columns)}


@dataclass(frozen=True, slots=True)
class Item:
    """One row. id: stable and unique, as the user would name it (a path below the data, a row number).

    input: what is decoded later (a path, or encoded bytes); a text itself; a tuple for several parts: of two texts for
    a pair (question and context, premise and hypothesis), of words where each has a tag, of a table's cells: a number,
    a category or None each; a place in a text, where each word is an item (`headstart.data.passages`). columns: of the
    cells.
    label: raw value; a tuple of strings for many labels, or of one tag a word; a tuple of numbers for several
    quantities; a tuple of (start, text) of answers in the context, counted in characters, () where it holds none;
    None if there is no label. slice: the value of the column that results are asked for by.
    versions: other forms of a text, or of a pair, that training may show in its place.
    """

    id: str
    input: Path | bytes | str | tuple[Any, ...] | Place
    label: Any = None
    split: Role | None = None
    group: str | None = None
    domain: str | None = None
    columns: tuple[str, ...] = ()
    slice: str | None = None
    versions: tuple[Any, ...] = ()

    @property
    def cells(self) -> Cells:
        """Of a table's row: a number, a category's name or None by column."""
        assert isinstance(self.input, tuple)
        assert len(self.input) == len(self.columns)
        return Cells(self.columns, self.input)

    def content(self) -> bytes:
        """The encoded bytes of the input: UTF-8 of a text, JSON of a tuple, or of an object where it has columns.

        Raises DataError naming the item where its file cannot be read.
        """
        if isinstance(self.input, bytes):
            return self.input
        if isinstance(self.input, str):
            return self.input.encode(errors="surrogatepass")
        if isinstance(self.input, tuple):
            if self.columns:
                return json.dumps(dict(zip(self.columns, self.input, strict=True)), separators=(",", ":")).encode()
            return json.dumps(self.input, separators=(",", ":")).encode()
        if isinstance(self.input, Place):
            return json.dumps([self.input.passage.question, self.input.passage.text, self.input.word]).encode()
        try:
            return self.input.read_bytes()
        except FileNotFoundError:
            where = printable(str(self.input))
            raise DataError(f"{self.id}: there is no file {where}. Correct the path or remove the item.") from None
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{self.id}: cannot be read ({reason}). Correct it or remove the item.") from None


@dataclass(frozen=True)
class Dataset:
    """Items and what is known of them.

    name: as shown to the user. modality: of the one input. kind: what the labels are.
    targets: names of the quantities for numbers, () otherwise. findings: what its reader noticed.
    """

    name: str
    items: tuple[Item, ...]
    modality: Modality = "image"
    kind: LabelKind = "class"
    targets: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]

    @property
    def labels(self) -> list[Any]:
        return [item.label for item in self.items]

    @property
    def classes(self) -> tuple[str, ...]:
        """Sorted names of the classes, labels or tags; the targets' names for numbers; () for answers."""
        if self.kind == "number":
            return self.targets
        if self.kind == "answers":
            return ()
        if self.kind in ("multilabel", "tags"):
            return tuple(sorted({name for item in self.items for name in (item.label or ())}))
        return tuple(sorted({str(item.label) for item in self.items if item.label is not None}))

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a table: names of the inputs; () otherwise."""
        return self.items[0].columns if self.items else ()

    @property
    def splits(self) -> frozenset[Role]:
        return frozenset(item.split for item in self.items if item.split is not None)

    def where(self, keep: Callable[[Item], bool]) -> Dataset:
        return replace(self, items=tuple(item for item in self.items if keep(item)))

    def split(self, role: Role) -> Dataset:
        return self.where(lambda item: item.split == role)

    def take(self, indices: Iterable[int]) -> Dataset:
        return replace(self, items=tuple(self.items[i] for i in indices))

    def with_items(self, items: Sequence[Item]) -> Dataset:
        return replace(self, items=tuple(items))

    def without_labels(self) -> Dataset:
        """The same items with every label masked: what unsupervised code may see."""
        return replace(self, kind="none", items=tuple(replace(item, label=None) for item in self.items))

    def fingerprint(self, digests: Sequence[str] | None = None) -> str:
        """sha256 over content, label, split and group of every item; neither order nor file names matter.

        digests: sha256 of each item's content, where a survey has them already.
        """
        digests = digests or [hashlib.sha256(item.content()).hexdigest() for item in self.items]
        rows = sorted(
            hashlib.sha256(repr((digest, item.label, item.split, item.group)).encode()).hexdigest()
            for digest, item in zip(digests, self.items, strict=True)
        )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def require_items(self) -> None:
        if not self.items:
            why = [finding.message for finding in self.findings if finding.level == "error"]
            raise DataError(f"{self.name} holds no item that can be used. {' '.join(why) or 'Give one or more.'}")
