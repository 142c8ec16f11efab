"""Tables of files or texts with their labels: CSV, TSV, JSON Lines and Parquet, one item a row."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from headstart.core.errors import KNOWN, DataError, some, unknown_name
from headstart.core.extras import require
from headstart.data.dataset import SPLIT_NAMES, Dataset, Finding, Item, LabelKind, Role, printable
from headstart.data.encodings import encoding_finding, read_text
from headstart.data.readers import cells
from headstart.data.readers import columns as find
from headstart.data.readers.base import SLICES, Columns, Reader
from headstart.data.speakers import COLUMNS as SPEAKERS

SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
GROUPS: Final = ("group", *SPEAKERS)
_FEW: Final = 20
"""So many distinct whole numbers are still taken for names of classes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. name: as a message shows it ("line 7"). order: rank in the table. values: by column."""

    name: str
    order: int
    values: dict[str, Any]


class TableReader(Reader):
    """Paths are relative to the table's folder; `split` and `group` columns are honoured."""

    form = (
        "a table (.csv, .tsv, .jsonl or .parquet) with a column of texts, or of paths of images or recordings, or with "
        "columns of numbers and categories"
    )

    def accepts(self, data: str) -> bool:
        path = Path(data)
        return _suffix(path) in SUFFIXES and path.is_file()

    def read(self, data: str, columns: Columns) -> Dataset:
        path = Path(data)
        rows, doubts = read_rows(path)
        dataset = dataset_from_rows(path.name, rows, columns, base=path.parent)
        return replace(dataset, findings=(*doubts, *dataset.findings))


def read_rows(path: Path) -> tuple[list[Row], list[Finding]]:
    """The rows of a table, one or more, and what is doubtful about its encoding.

    Raises DataError naming the line that is broken.
    """
    suffix = _suffix(path)
    if suffix == ".parquet":
        return _parquet(path), []
    text, encoding = read_text(path)
    if suffix in (".jsonl", ".ndjson"):
        rows = _json_lines(path, text)
    else:
        rows = _separated(path, text, "\t" if suffix == ".tsv" else None)
    return rows, encoding_finding(path.name, encoding)


def read_unlabelled(path: Path) -> Dataset:
    """All columns of a table as the inputs of its rows, whichever of them a model will ask for."""
    rows, doubts = read_rows(path)
    known = list(dict.fromkeys(column for row in rows for column in row.values))
    names, values = cells.read(path.name, [(row.name, row.values) for row in rows], known, [], keep=True)
    items = [Item(f"{path} {row.name}", value, columns=names) for row, value in zip(rows, values, strict=True)]
    return Dataset(path.name, tuple(items), modality="table", kind="none", findings=tuple(doubts))


def _suffix(path: Path) -> str:
    """What the name ends in, without the .gz of a packed text."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


Measured = tuple[tuple[str, ...], Sequence[tuple[cells.Cell, ...]]]
"""Names of columns, and what each row has in them."""


def dataset_from_rows(
    name: str, rows: Sequence[Row], columns: Columns, base: Path | None, measured: Measured | None = None
) -> Dataset:
    """Rows -> Dataset. base: folder of relative paths; None where every input is text or bytes.

    measured: the inputs, where they are kept apart from the columns that tell label, group and split.

    Raises DataError naming the row, or the columns there are.
    """
    if not rows:
        raise DataError(f"{name} has no rows. Expected one row per item below the header.")
    known = list(dict.fromkeys(column for row in rows for column in row.values))
    split_column = find.column(name, "split", columns.split, known) or find.usual(("split",), known)
    group_column = find.column(name, "group", columns.group, known) or find.usual(GROUPS, known)
    domain_column = find.usual(("domain",), known)
    wanted = columns.slice if columns.slice in known or columns.slice not in SLICES else None
    slice_column = find.column(name, "slice", wanted, known)
    given = find.several(name, "label", columns.label, known) if columns.label is not None else []
    labelled = given or [found for found in [find.usual(find.LABEL_NAMES, known)] if found]
    taken = {split_column, group_column, domain_column}
    free = [column for column in known if column not in taken and column not in labelled]
    if measured is None:
        sample = rows[: find.SAMPLE]
        inputs = find.inputs(name, columns.input, known, free, lambda c: [row.values.get(c) for row in sample])
    else:
        inputs = find.Inputs((), "table")
    of_cells = inputs.modality == "table"
    unlabelled = not columns.labelled and not labelled
    if of_cells and not labelled and columns.input is None and measured is None and not unlabelled:
        find.labels(name, None, known, ())  # every column is an input then: says so
    taken.update(inputs.names)
    rest = [] if unlabelled else [column for column in known if column not in taken]
    label_columns = given or ([] if unlabelled else find.labels(name, None, known, rest))
    findings: list[Finding] = []
    if of_cells and (numbers := [column for column in inputs.names if column.lower() in find.TEXT_NAMES]):
        message = f"{name}: column(s) {some(numbers)} hold no texts but numbers or categories, and are read as such."
        findings.append(Finding("warning", "no-texts", message))
    if not of_cells:  # rows of a table are equal by chance, too
        rows = _without_repeats(name, rows, findings)
    kind, labels = _labels(name, rows, label_columns, "none" if unlabelled else columns.kind, findings)
    values: Sequence[Any]
    if measured is not None:
        names, values = measured
    elif of_cells:
        names, values = cells.read(
            name,
            [(row.name, row.values) for row in rows],
            inputs.names,
            findings,
            keep=columns.input not in (None, "*"),
        )
    else:
        read = _file if inputs.modality in ("image", "audio") else _text_input
        names, values = (), [read(name, row, inputs.names, base) for row in rows]
    ids = [
        printable(_path_text(row, inputs.names[0])) if isinstance(value, Path) else row.name
        for row, value in zip(rows, values, strict=True)
    ]
    count = Counter(ids)
    items = [
        Item(
            id=key if count[key] == 1 else f"{key} ({row.name})",
            input=value,
            label=label,
            split=_split(name, row, split_column),
            group=_text(row.values.get(group_column)) if group_column else None,
            domain=_text(row.values.get(domain_column)) if domain_column else None,
            slice=_text(row.values.get(slice_column)) if slice_column else None,
            columns=names,
        )
        for key, row, value, label in zip(ids, rows, values, labels, strict=True)
    ]
    targets = tuple(label_columns) if kind == "number" else ()
    return Dataset(name, tuple(items), modality=inputs.modality, kind=kind, targets=targets, findings=tuple(findings))


# -- rows of each format ------------------------------------------------------------------------------------------


def _separated(path: Path, text: str, delimiter: str | None) -> list[Row]:
    header_line = text.lstrip().partition("\n")[0]
    if not header_line.strip():
        raise DataError(f"{path} is empty. Expected a header line that names the columns, and one row per item.")
    if delimiter is None:
        delimiter = next((d for d in ",;\t" if d in header_line), ",")
    csv.field_size_limit(max(len(text) + 1, csv.field_size_limit()))  # for all who read CSV in this process: only up
    reader = csv.reader(io.StringIO(text.lstrip(), newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    ended = 0
    try:
        header = [column.strip() for column in next(reader)]
        ended = reader.line_num
        for column, times in Counter(header).items():
            if times > 1:
                raise DataError(f"{path} has {times} columns named {column!r}. Give each its own name.")
        for fields in reader:
            ended = reader.line_num
            if not fields:
                continue
            name = f"line {ended}"
            if len(fields) != len(header):
                raise DataError(
                    f"{path} {name} has {len(fields)} fields where the header has {len(header)} "
                    f"({some(header, KNOWN)}). Correct the line; a field that holds {delimiter!r} needs quotes."
                )
            rows.append(Row(name, len(rows), dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        raise DataError(
            f"{path} line {ended + 1} is broken: {error}. Correct the line; a quote that is opened must be closed."
        ) from None
    if not rows:
        raise DataError(f"{path} has a header ({some(header, KNOWN)}) and no rows. Expected one row per item.")
    return rows


def _json_lines(path: Path, text: str) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} line {number} is not JSON: {error}. Expected one object a line.") from None
        if not isinstance(values, dict):
            raise DataError(f"{path} line {number} is a JSON {type(values).__name__}. Expected one object a line.")
        rows.append(Row(f"line {number}", len(rows), values))
    if not rows:
        raise DataError(f"{path} is empty. Expected one JSON object a line, such as {{'image': ..., 'label': ...}}.")
    return rows


def _parquet(path: Path) -> list[Row]:
    parquet = require("pyarrow.parquet", "train", "reading Parquet tables")
    try:
        records = parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these types
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} is not a readable Parquet file: {reason}. Write it again.") from None
    return [Row(f"row {number}", number, record) for number, record in enumerate(records)]


# -- values -------------------------------------------------------------------------------------------------------


def _path_text(row: Row, column: str) -> str:
    value = row.values.get(column)
    value = value.get("path") if isinstance(value, dict) else value
    return value.strip().replace("\\", "/") if isinstance(value, str) else ""


def _text_input(name: str, row: Row, columns: Sequence[str], base: Path | None) -> str | tuple[str, ...]:
    """A text, or the two of a pair. An empty cell is an empty text: the checks name it."""
    texts = []
    for column in columns:
        value = row.values.get(column)
        if value is not None and not isinstance(value, str | int | float):
            raise DataError(f"{name} {row.name}: column {column!r} holds {value!r}. Expected text.")
        texts.append("" if value is None else str(value))
    return texts[0] if len(texts) == 1 else tuple(texts)


def _file(name: str, row: Row, columns: Sequence[str], base: Path | None) -> Path | bytes:
    (column,) = columns
    value = row.values.get(column)
    encoded = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(encoded, bytes):
        return encoded
    text = _path_text(row, column)
    if not text or "\0" in text or base is None:
        raise DataError(f"{name} {row.name}: column {column!r} holds {value!r}. Expected the path of a file.")
    path = Path(text)
    if not path.is_absolute() and ".." in Path(os.path.normpath(text)).parts[:1]:
        raise DataError(
            f"{name} {row.name}: the path {text} leads out of the table's folder. Expected paths below {base}; "
            "move the table above its files, or give absolute paths."
        )
    return base / path


def _split(name: str, row: Row, column: str | None) -> Role | None:
    text = _text(row.values.get(column)) if column else None
    if text is None:
        return None
    try:
        return SPLIT_NAMES[text.lower()]
    except KeyError:
        raise DataError(f"{name} {row.name}: " + unknown_name("split", text, SPLIT_NAMES)) from None


def _text(value: Any) -> str | None:
    """Value of a cell that names something; None where it is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return printable(str(value)).strip() or None


def _without_repeats(name: str, rows: Sequence[Row], findings: list[Finding]) -> list[Row]:
    unique: dict[str, Row] = {}
    repeated: list[str] = []
    for row in rows:
        key = repr(sorted(row.values.items()))
        if key in unique:
            repeated.append(row.name)
        unique.setdefault(key, row)
    if repeated:
        message = f"{len(repeated)} row(s) of {name} repeat an earlier row in every column and are left out."
        findings.append(Finding("warning", "repeated-rows", message, tuple(repeated)))
    return list(unique.values())


# -- labels -------------------------------------------------------------------------------------------------------


def _labels(
    name: str, rows: Sequence[Row], columns: Sequence[str], kind: LabelKind | None, findings: list[Finding]
) -> tuple[LabelKind, list[Any]]:
    """Kind and label of each row; what was inferred and could be wrong goes to `findings`."""
    if len(columns) == 1:
        values = [_unpacked(row.values.get(columns[0])) for row in rows]
        read_as, doubt = (kind, "") if kind else infer_kind(values)
    else:
        read_as, doubt = (kind, "") if kind else _infer_kind_of_columns(rows, columns)
        if read_as == "class":
            raise DataError(f"{name}: a class is one column, and --label names {len(columns)}: {', '.join(columns)}.")
    if doubt:
        shown = ", ".join(columns)
        message = f"{name}: label {shown}: {doubt} Say otherwise with --kind class, multilabel or number."
        findings.append(Finding("warning", "label-kind", message))
    if read_as == "none":
        return read_as, [None] * len(rows)
    if read_as == "number":
        numbers = [tuple(_number(name, row, column) for column in columns) for row in rows]
        return read_as, [None if None in n else n[0] if len(n) == 1 else n for n in numbers]
    if len(columns) > 1:
        return read_as, [tuple(c for c in columns if _flag(name, row, c)) for row in rows]
    if read_as == "multilabel":
        return read_as, [_label_set(value) for value in values]
    return read_as, [_class_name(value) for value in values]


def infer_kind(values: Sequence[Any]) -> tuple[LabelKind, str]:
    """What the values of one label column are, and a sentence where that could be wrong ("" where it is plain)."""
    present = [value for value in values if value is not None and value != ""]
    if any(isinstance(value, list) for value in present):
        return "multilabel", ""
    if any(isinstance(value, str) and "|" in value for value in present):
        return "multilabel", "values hold '|' and were read as several labels each."
    numbers = [cells.as_number(value) for value in present]
    if not present or any(number is None for number in numbers):
        return "class", ""
    distinct = {number for number in numbers if number is not None}
    if not all(number.is_integer() for number in distinct):
        return "number", ""
    if len(distinct) <= _FEW:
        return "class", ""
    first, last = min(distinct), max(distinct)
    if first in (0, 1) and last - first + 1 == len(distinct) and len(present) >= 2 * len(distinct):
        return "class", f"{len(distinct)} whole numbers from {first:.0f} to {last:.0f} were read as classes."
    return "number", f"{len(distinct)} different whole numbers were read as a quantity."


def _infer_kind_of_columns(rows: Sequence[Row], columns: Sequence[str]) -> tuple[LabelKind, str]:
    if all(_as_flag(row.values.get(column)) is not None for row in rows for column in columns):
        return "multilabel", "columns that hold only 0 and 1 were read as labels that are there or not."
    return "number", ""


def _unpacked(value: Any) -> Any:
    """A JSON list in a text cell becomes the list."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _as_flag(value: Any) -> bool | None:
    return {"0": False, "1": True, "false": False, "true": True}.get((_text(value) or "").lower())


def _number(name: str, row: Row, column: str) -> float | None:
    value = row.values.get(column)
    number = cells.as_number(value)
    if number is None and value not in (None, ""):
        raise DataError(f"{name} {row.name}: column {column!r} holds {value!r} where a number was expected.")
    return number


def _flag(name: str, row: Row, column: str) -> bool:
    flag = _as_flag(row.values.get(column))
    if flag is None:
        value = row.values.get(column)
        raise DataError(f"{name} {row.name}: column {column!r} holds {value!r} where 0 or 1 was expected.")
    return flag


def _label_set(value: Any) -> tuple[str, ...] | None:
    """Labels of one row; an empty cell is no label at all, None is unknown."""
    if value is None:
        return None
    parts = value if isinstance(value, list) else str(value).split("|")
    return tuple(dict.fromkeys(text for part in parts if (text := _text(part)) is not None))


def _class_name(value: Any) -> str | None:
    """Text as it stands, so that the checks can see stray spaces; None where there is nothing."""
    if isinstance(value, str):
        return printable(value) if value.strip() else None
    return _text(value)
