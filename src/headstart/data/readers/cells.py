"""What stands in the cells of a table's inputs: numbers, names of categories, or nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from headstart.core.errors import DataError, some
from headstart.data.dataset import Finding, printable

Cell = float | str | None

MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "?"})
_NAMES_ROWS: Final = re.compile(r"(?i)^(unnamed: 0|.*(^|_|\b)(id|index|row|no|nr))?$")
"""What a column is called whose numbers count rows."""
FEWEST: Final = 10
"""With fewer rows, that all differ says nothing."""


def read(
    name: str,
    rows: Sequence[tuple[str, dict[str, Any]]],
    columns: Sequence[str],
    findings: list[Finding],
    *,
    keep: bool,
) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
    """The columns that are inputs, and the cells of each row in their order.

    rows: what a message calls each, and its values by column. A column is of numbers where all that stands in it is
    one. What only names its row is left out, and told in `findings`, unless `keep` says that the user wants it.
    Raises DataError naming row and column of a value that is neither a number nor a name.
    """
    found: dict[str, list[Cell]] = {}
    names_rows: list[str] = []
    for column in columns:
        cells = _column(name, rows, column)
        if _tells_rows_apart(column, cells):
            names_rows.append(column)
            if not keep:
                continue
        found[column] = cells
    if names_rows:
        verdict = (
            "They are kept, as they were asked for" if keep else "They are left out; name them with --input to keep"
        )
        shown = some(map(printable, names_rows))
        message = f"{name}: column(s) {shown} differ in every row and say nothing of new ones. {verdict}."
        findings.append(Finding("warning", "identifiers", message))
    if not found:
        raise DataError(
            f"{name}: the columns {some(map(printable, columns))} only name their rows, so there is nothing to "
            "learn from. Add columns of numbers or categories, or name the inputs with --input."
        )
    return tuple(map(printable, found)), list(zip(*found.values(), strict=True))


def _column(name: str, rows: Sequence[tuple[str, dict[str, Any]]], column: str) -> list[Cell]:
    given = [values.get(column) for _, values in rows]
    for (row, _), value in zip(rows, given, strict=True):
        if isinstance(value, list | dict | bytes):
            raise DataError(f"{name} {row}: column {column!r} holds {value!r:.80}. Expected a number or a category.")
    present = [None if _is_missing(value) else value for value in given]
    numbers = [None if value is None else as_number(value) for value in present]
    if all(number is not None for number, value in zip(numbers, present, strict=True) if value is not None):
        return list(numbers)
    return [None if value is None else category(value) for value in present]


def category(value: Any) -> str:
    """The name of a category that a cell holds: `True` is "true", 3.0 is "3"."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return printable(str(value)).strip()


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_number(value: Any) -> float | None:
    """A number, also one that is written as text; None for what is none."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _tells_rows_apart(column: str, cells: Sequence[Cell]) -> bool:
    """Whether a column holds another name in each row, or another whole number and is called like one that counts."""
    present = [cell for cell in cells if cell is not None]
    if len(cells) < FEWEST or len(present) < len(cells) or len(set(present)) < len(present):
        return False
    whole = all(isinstance(cell, float) and cell.is_integer() for cell in present)
    return all(isinstance(cell, str) for cell in present) or (whole and _NAMES_ROWS.match(column) is not None)
