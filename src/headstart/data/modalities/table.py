"""Rows of a table: cells by column, of which a network sees standardised numbers and places of categories."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import torch
from torch import Tensor

from headstart.core.card import Column, TableInput
from headstart.core.config import AugmentConfig
from headstart.core.errors import DataError, ShapeError, some
from headstart.data.dataset import Dataset, Finding, Item
from headstart.data.modalities.base import Check, Look, Modality, Plain, Seen
from headstart.data.readers.cells import Cell, category

MOST_LEVELS: Final = 256
"""Of a category; of more, the most frequent ones are told apart."""
EXCERPT: Final = 200
BLOCK: Final = 256
"""Columns that are looked at together."""


@dataclass(frozen=True, slots=True)
class Row:
    """cells: all there are, by column. view: float32 (columns,), those of a contract in its order."""

    cells: Mapping[str, Cell]
    view: np.ndarray


def columns_of(rows: Iterable[Mapping[str, Cell]]) -> tuple[Column, ...]:
    """The columns of some rows as a contract has them: of a number mean and deviation, of a category its levels.

    A number that is missing or infinite counts in neither; one that never varies has the deviation 1.
    """
    every = list(rows)
    names = dict.fromkeys(name for row in every for name in row)
    return tuple(_column(name, [row.get(name) for row in every]) for name in names)


def _column(name: str, cells: Sequence[Cell]) -> Column:
    if any(isinstance(cell, str) for cell in cells):
        words = Counter(category(cell) for cell in cells if cell is not None)
        frequent = [level for level, _ in sorted(words.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_LEVELS]]
        return Column(name=name, levels=tuple(sorted(frequent)))
    numbers = np.array([cell for cell in cells if cell is not None and math.isfinite(float(cell))], dtype=np.float64)
    if not len(numbers):
        return Column(name=name)
    scale = np.abs(numbers).max() or 1.0  # squares of very large numbers are infinite
    mean, std = float((numbers / scale).mean()), float((numbers / scale).std())
    varies = std > 1e-7 * max(abs(mean), std)
    return Column(name=name, mean=mean * scale, std=std * scale if varies and std * scale > 0 else 1.0)


def restandardised(contract: TableInput, rows: Iterable[Mapping[str, Cell]]) -> TableInput:
    """The contract with the means and deviations of other rows, where they have numbers in its columns."""
    own = {column.name: column for column in columns_of(rows)}

    def of(column: Column) -> Column:
        other = own.get(column.name)
        if column.levels or other is None or other.levels:
            return column
        return column.model_copy(update={"mean": other.mean, "std": other.std})

    return contract.model_copy(update={"columns": tuple(of(column) for column in contract.columns)})


def infinite(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Rows with numbers that are infinite, as a division by zero leaves them."""
    del looks
    rows: dict[str, list[str]] = {}
    for item in dataset.items:
        if isinstance(item.input, tuple) and (math.inf in item.input or -math.inf in item.input):
            rows[item.id] = [name for name, cell in item.cells.items() if cell in (math.inf, -math.inf)]
    if rows:
        shown = some([f"{row} ({some(columns)})" for row, columns in rows.items()])
        message = f"{len(rows)} row(s) hold infinite numbers, which are taken for missing ones: {shown}."
        yield Finding("warning", "infinite", message, tuple(rows))


def gaps(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Columns in which much is missing, and rows that hold nothing."""
    holes = {name: cells.count(None) / len(cells) for name, cells in _by_column(dataset)}
    many = [f"{name} ({share:.0%})" for name, share in holes.items() if share > 0.5]
    if many:
        yield Finding("warning", "missing-cells", f"{len(many)} column(s) are mostly empty: {some(many)}.")
    empty = [item.id for item, look in zip(dataset.items, looks, strict=True) if look.flat]
    if empty:
        yield Finding("warning", "empty-rows", f"{len(empty)} row(s) hold nothing: {some(empty)}.", tuple(empty))


def constant(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Columns that say the same of every row."""
    del looks
    same = [name for name, cells in _by_column(dataset) if len(set(cells)) == 1]
    if same and len(dataset) > 1:
        yield Finding("warning", "constant-columns", f"{len(same)} column(s) never vary: {some(same)}.")


class TableModality(Modality[TableInput, Row]):
    """A number that is missing in a row is its column's mean to a network; see `headstart.nn.tables`."""

    noun: ClassVar[str] = "row"
    plural: ClassVar[str] = "rows of a table"
    example: ClassVar[tuple[str, str]] = ("rows.csv", "other_rows.csv")
    checks: ClassVar[tuple[Check, ...]] = (infinite, gaps, constant)
    trees: ClassVar[bool] = True

    def look(self, content: bytes, item: Item, contract: TableInput | None) -> Seen[Row]:
        kept = None if contract is None else self.read(item, contract)
        cells = self._cells(item)
        present = len(cells) - sum(cell is None for cell in item.input)  # type: ignore[union-attr]
        return Seen(present, kept, flat=not present)

    def read(self, item: Item, contract: TableInput) -> Row:
        cells = self._cells(item)
        view = [_seen(item.id, column, cells.get(column.name)) for column in contract.columns]
        return Row(cells, np.array(view, np.float32))

    def _cells(self, item: Item) -> Mapping[str, Cell]:
        if not isinstance(item.input, tuple) or not item.columns or len(item.input) != len(item.columns):
            raise DataError(f"{item.id} is no row of a table. Expected a tuple of cells, and columns that name them.")
        return item.cells

    def weigh(self, kept: Row) -> int:
        return kept.view.nbytes + 8 * len(kept.cells)  # the numbers themselves are the data set's

    def evaluation(self, kept: Row, contract: TableInput) -> np.ndarray:
        """float32 (columns,)."""
        return kept.view

    def training(self, kept: Row, contract: TableInput, augment: AugmentConfig, seed: int) -> np.ndarray:
        return kept.view

    def collate(self, views: Sequence[np.ndarray], contract: TableInput) -> Tensor:
        """float32 (B, columns)."""
        rows = np.stack(views) if views else np.empty((0, len(contract.columns)), np.float32)
        return torch.from_numpy(rows)

    def require(self, batch: Tensor, contract: TableInput) -> None:
        columns = len(contract.columns)
        if batch.dtype != torch.float32 or batch.ndim != 2 or batch.shape[1] != columns:
            raise ShapeError(f"expected float32 rows of shape (B, {columns}), got {batch.dtype} {tuple(batch.shape)}.")

    def noise(self, contract: TableInput, count: int) -> Tensor:
        rng = np.random.default_rng(0)
        made = rng.standard_normal((count, len(contract.columns)), dtype=np.float32)
        for i, column in enumerate(contract.columns):
            if column.levels:
                made[:, i] = rng.integers(0, len(column.levels), count)
        return torch.from_numpy(made)

    def about_plain(self, contract: TableInput) -> Plain:
        return Plain("columns", "standardised numbers and one-hot categories")

    def plain(self, train: Sequence[Row], others: Sequence[Sequence[Row]], contract: TableInput) -> list[np.ndarray]:
        """(N, D) of all columns there are, also those that the contract passes over: numbers standardised by the
        training rows, the mean where they are missing, and a column of zeros and ones for each level."""
        columns = columns_of(row.cells for row in train)
        return [self._plain(part, columns) for part in (train, *others)]

    def _plain(self, part: Sequence[Row], columns: Sequence[Column]) -> np.ndarray:
        made: list[np.ndarray] = [np.empty((len(part), 0), np.float32)]
        for column in columns:
            seen = np.array([_seen("a row", column, row.cells.get(column.name)) for row in part], np.float32)
            if column.levels:
                made.append((seen[:, None] == np.arange(len(column.levels))).astype(np.float32))
            else:
                made.append(np.nan_to_num(seen)[:, None])
        return np.concatenate(made, axis=1)

    def fits(self, dataset: Dataset, contract: TableInput) -> Iterator[Finding]:
        wanted, given = [column.name for column in contract.columns], set(dataset.columns)
        absent = [name for name in wanted if name not in given]
        if len(absent) == len(wanted):
            raise DataError(
                f"{dataset.name} has none of the {len(wanted)} columns that the network takes ({some(wanted)}); it "
                f"has {some(sorted(given))}. Give the columns the names that they had where the network was trained."
            )
        further = sorted(given - set(wanted))
        if absent or further:
            missing = f" Taken as the mean, for want of them: {some(absent)}." if absent else ""
            ignored = f" Passed over: {some(further)}." if further else ""
            message = f"{len(wanted) - len(absent)} of {len(wanted)} columns are shared.{missing}{ignored}"
            yield Finding("warning", "columns-differ", message)
        new = [
            f"{column.name} ({some(levels)})"
            for column in contract.columns
            if column.levels and (levels := _new_levels(dataset, column))
        ]
        if new:
            message = f"{len(new)} column(s) hold categories that the network never met, which it cannot tell apart: "
            yield Finding("warning", "new-categories", message + some(new) + ".")

    def describe(self, contract: TableInput) -> str:
        categories = sum(bool(column.levels) for column in contract.columns)
        numbers = len(contract.columns) - categories
        return f"{numbers} standardised numbers and {categories} categories, by the names of their columns"

    def excerpt(self, item: Item) -> str | None:
        words = ", ".join(
            f"{name} {cell:g}" if isinstance(cell, float) else f"{name} {cell}"
            for name, cell in item.cells.items()
            if cell is not None
        )
        return words if len(words) <= EXCERPT else words[: EXCERPT - 1] + "…"


def _seen(item: str, column: Column, cell: Cell) -> float:
    """What a network sees of a cell: the place among levels, or the standardised number."""
    if column.levels:
        place = -1.0
        if cell is not None and (name := category(cell)) in column.levels:
            place = float(column.levels.index(name))
        return place
    if cell is None:
        return math.nan
    try:
        number = float(cell)
    except ValueError:
        raise DataError(
            f"{item}: column {column.name!r} holds {cell!r}. Expected a number, as where the network was trained."
        ) from None
    return (number - column.mean) / column.std if math.isfinite(number) else math.nan


def _new_levels(dataset: Dataset, column: Column) -> list[str]:
    place = {name: i for i, name in enumerate(dataset.columns)}.get(column.name)
    if place is None:
        return []
    found = {category(item.input[place]) for item in dataset.items if item.input[place] is not None}  # type: ignore[index]
    return sorted(found - set(column.levels))


def _by_column(dataset: Dataset) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    """Each column and what the rows have in it; a block of columns at a time is turned."""
    rows = [item.input for item in dataset.items if isinstance(item.input, tuple)]
    for start in range(0, len(dataset.columns) if rows else 0, BLOCK):
        names, parts = dataset.columns[start : start + BLOCK], (row[start : start + BLOCK] for row in rows)
        yield from zip(names, zip(*parts, strict=True), strict=True)


TABLE = TableModality()
