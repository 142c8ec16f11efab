"""Tables of images: CSV, TSV, JSON Lines and Parquet, one item a row."""

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

from headstart.core.errors import DataError, unknown_name
from headstart.core.extras import require
from headstart.data.dataset import SPLIT_NAMES, Dataset, Finding, Item, LabelKind, Role, printable
from headstart.data.encodings import encoding_finding, read_text
from headstart.data.images import is_image_name
from headstart.data.readers.base import Columns, Reader

_INPUT_NAMES: Final = ("image", "path", "image_path", "file", "filename", "file_name", "filepath", "img")
_LABEL_NAMES: Final = ("label", "labels", "class", "category", "target", "y")
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

    form = "a table (.csv, .tsv, .jsonl or .parquet) with a column of image paths"

    def accepts(self, data: str) -> bool:
        path = Path(data)
        return path.suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet") and path.is_file()

    def read(self, data: str, columns: Columns) -> Dataset:
        path = Path(data)
        suffix = path.suffix.lower()
        if suffix == ".parquet":
            return dataset_from_rows(path.name, _parquet(path), columns, base=path.parent)
        text, encoding = read_text(path)
        if suffix in (".jsonl", ".ndjson"):
            rows = _json_lines(path, text)
        else:
            rows = _separated(path, text, "\t" if suffix == ".tsv" else None)
        dataset = dataset_from_rows(path.name, rows, columns, base=path.parent)
        return replace(dataset, findings=(*encoding_finding(path.name, encoding), *dataset.findings))


def dataset_from_rows(name: str, rows: Sequence[Row], columns: Columns, base: Path | None) -> Dataset:
    """Rows -> Dataset. base: folder of relative paths; None where every input is bytes.

    Raises DataError naming the row, or the columns there are.
    """
    if not rows:
        raise DataError(f"{name} has no rows. Expected one row per image below the header.")
    known = list(dict.fromkeys(column for row in rows for column in row.values))
    input_column = _column(name, "input", columns.input, known) or _guess_input(name, rows, known)
    split_column = _column(name, "split", columns.split, known) or _usual(("split",), known)
    group_column = _column(name, "group", columns.group, known) or _usual(("group",), known)
    domain_column = _usual(("domain",), known)
    taken = {input_column, split_column, group_column, domain_column}
    label_columns = _label_columns(name, columns.label, known, taken)
    findings: list[Finding] = []
    rows = _without_repeats(name, rows, findings)
    kind, labels = _labels(name, rows, label_columns, columns.kind, findings)
    inputs = [_input(name, row, input_column, base) for row in rows]
    ids = [
        row.name if isinstance(i, bytes) else printable(_path_text(row, input_column))
        for row, i in zip(rows, inputs, strict=True)
    ]
    count = Counter(ids)
    items = [
        Item(
            id=key if count[key] == 1 else f"{key} ({row.name})",
            input=input_,
            label=label,
            split=_split(name, row, split_column),
            group=_text(row.values.get(group_column)) if group_column else None,
            domain=_text(row.values.get(domain_column)) if domain_column else None,
        )
        for key, row, input_, label in zip(ids, rows, inputs, labels, strict=True)
    ]
    targets = tuple(label_columns) if kind == "number" else ()
    return Dataset(name, tuple(items), kind=kind, targets=targets, findings=tuple(findings))


# -- rows of each format ------------------------------------------------------------------------------------------


def _separated(path: Path, text: str, delimiter: str | None) -> list[Row]:
    header_line = text.lstrip().partition("\n")[0]
    if not header_line.strip():
        raise DataError(f"{path} is empty. Expected a header line that names the columns, and one row per image.")
    if delimiter is None:
        delimiter = next((d for d in ",;\t" if d in header_line), ",")
    reader = csv.reader(io.StringIO(text.lstrip(), newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    try:
        header = [column.strip() for column in next(reader)]
        for column, times in Counter(header).items():
            if times > 1:
                raise DataError(f"{path} has {times} columns named {column!r}. Give each its own name.")
        for fields in reader:
            if not fields:
                continue
            name = f"line {reader.line_num}"
            if len(fields) != len(header):
                raise DataError(
                    f"{path} {name} has {len(fields)} fields where the header has {len(header)} "
                    f"({', '.join(header)}). Correct the line; a field that holds {delimiter!r} needs quotes."
                )
            rows.append(Row(name, len(rows), dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num} is broken: {error}. Correct the line.") from None
    if not rows:
        raise DataError(f"{path} has a header ({', '.join(header)}) and no rows. Expected one row per image.")
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


# -- which columns ------------------------------------------------------------------------------------------------


def _column(name: str, role: str, given: str | None, known: Sequence[str]) -> str | None:
    if given is not None and given not in known:
        raise DataError(f"{name}: " + unknown_name("column", given, known, f"Name one of these with --{role}."))
    return given


def _usual(names: Sequence[str], known: Sequence[str]) -> str | None:
    by_lower = {column.lower(): column for column in reversed(known)}
    return next((by_lower[n] for n in names if n in by_lower), None)


def _guess_input(name: str, rows: Sequence[Row], known: Sequence[str]) -> str:
    sample = rows[:1000]
    shares = {
        column: sum(_looks_like_image(row.values.get(column)) for row in sample) / len(sample) for column in known
    }
    likely = [column for column, share in shares.items() if share >= 0.5]
    if len(likely) == 1:
        return likely[0]
    usual = _usual(_INPUT_NAMES, likely)
    if usual is not None:
        return usual
    found = f"columns {', '.join(likely)} all do" if likely else f"none of the columns {', '.join(known)} does"
    raise DataError(f"{name}: one column must hold paths of images, and {found}. Name it with --input.")


def _looks_like_image(value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(value.get("bytes"), bytes) or _looks_like_image(value.get("path"))
    return isinstance(value, bytes) or (isinstance(value, str) and is_image_name(value.strip()))


def _label_columns(name: str, given: str | None, known: Sequence[str], taken: set[str | None]) -> list[str]:
    if given is not None:
        wanted = [given] if given in known else [part.strip() for part in given.split(",")]
        return [column for part in wanted if (column := _column(name, "label", part, known)) is not None]
    free = [column for column in known if column not in taken]
    usual = _usual(_LABEL_NAMES, free)
    if usual is not None:
        return [usual]
    if len(free) == 1:
        return free
    raise DataError(
        f"{name}: no column is plainly the label. The columns are {', '.join(known)}; name it with --label "
        "(several, separated by commas, for several numbers)."
    )


# -- values -------------------------------------------------------------------------------------------------------


def _path_text(row: Row, column: str) -> str:
    value = row.values.get(column)
    value = value.get("path") if isinstance(value, dict) else value
    return value.strip().replace("\\", "/") if isinstance(value, str) else ""


def _input(name: str, row: Row, column: str, base: Path | None) -> Path | bytes:
    value = row.values.get(column)
    encoded = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(encoded, bytes):
        return encoded
    text = _path_text(row, column)
    if not text or "\0" in text or base is None:
        raise DataError(f"{name} {row.name}: column {column!r} holds {value!r}. Expected the path of an image.")
    path = Path(text)
    if not path.is_absolute() and ".." in Path(os.path.normpath(text)).parts[:1]:
        raise DataError(
            f"{name} {row.name}: the path {text} leads out of the table's folder. Expected paths below {base}; "
            "move the table above its images, or give absolute paths."
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
    numbers = [_as_number(value) for value in present]
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


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _as_flag(value: Any) -> bool | None:
    return {"0": False, "1": True, "false": False, "true": True}.get((_text(value) or "").lower())


def _number(name: str, row: Row, column: str) -> float | None:
    value = row.values.get(column)
    number = _as_number(value)
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
