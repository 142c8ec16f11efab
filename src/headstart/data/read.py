"""One entrance to data: whatever the user names becomes a Dataset."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Final

from headstart.core.errors import DataError
from headstart.data import speakers
from headstart.data.dataset import Dataset, Item, LabelKind, printable
from headstart.data.encodings import read_text
from headstart.data.images import is_image_name
from headstart.data.readers import READERS, h5ad
from headstart.data.readers.base import Columns
from headstart.data.readers.folder import KINDS, walk_files
from headstart.data.readers.table import TableReader, read_unlabelled

_FILES: Final = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".json", ".gz", ".md", ".pdf", ".docx")


def read_dataset(
    data: str | Path | Dataset,
    *,
    input: str | None = None,
    label: str | None = None,
    kind: LabelKind | None = None,
    group: str | None = None,
    split: str | None = None,
    slice: str | None = None,
    labelled: bool = True,
) -> Dataset:
    """The labelled items of a folder, a table or a hub data set; nothing is decoded. A Dataset passes unchanged.

    input, label, group, split: columns of a table (label: several, separated by commas, for several numbers).
    group="none": items do not belong together, though recordings' names may say who is heard.
    slice: a column that results are asked for by; or "group", "domain" or "class", which folders have too.
    kind: how labels are read ("class", "multilabel", "number"); None infers it and says so where it could be wrong.
    labelled: False takes data without labels, too: a table with no column that is plainly one, a file with a text a
        line; the kind of such a data set is "none".

    Raises DataError where there is nothing readable, ConfigError for options that do not fit the form of data.
    """
    if isinstance(data, Dataset):
        return data
    name = str(data)
    for reader in sorted((READERS[key]() for key in READERS), key=lambda reader: reader.general):
        if reader.accepts(name):
            apart = group == speakers.NONE
            found = reader.read(name, Columns(input, label, kind, None if apart else group, split, slice, labelled))
            return found if apart else speakers.by_speaker(found)
    raise DataError(_unreadable(Path(name)))


def read_inputs(given: Iterable[str | Path], modality: str = "image") -> Dataset:
    """Items without labels: files as they are given, and all files of the modality below the folders that are given.

    Of texts, what is no file is itself a text, and a .txt file holds a text a line. Of tables every row is an item.
    Raises DataError naming a path that does not exist, and where there is nothing at all.
    """
    wanted = list(given)
    if modality == "table":
        return _rows(wanted)
    kind = next((kind for kind in KINDS if kind.modality == modality), None)
    if kind is None:
        raise DataError(f"a model of the modality {modality} takes no files of its own. Give a table of items.")
    items: dict[str, Item] = {}
    for one in wanted:
        path = Path(one)
        if _exists(path) and path.is_dir():
            for found in walk_files(path, kind):
                items[printable(found.as_posix())] = Item(printable(found.as_posix()), found)
        elif modality == "text" and _exists(path) and path.suffix.lower() == ".txt":
            for number, line in enumerate(read_text(path)[0].splitlines(), start=1):
                if line.strip():
                    items[f"{printable(path.as_posix())} line {number}"] = Item(f"{path} line {number}", line)
        elif modality == "text" and not _exists(path) and not _meant_as_file(one):
            text = str(one)
            items[text] = Item(printable(text), text)
        elif _exists(path):
            items[printable(path.as_posix())] = Item(printable(path.as_posix()), path)
        else:
            raise DataError(_missing(path))
    if not items:
        raise DataError(
            f"there is no {kind.noun} in {', '.join(map(str, wanted)) or 'an empty list of inputs'}. "
            f"Give {kind.noun} files or folders that hold some (endings: {' '.join(kind.suffixes)})."
        )
    name = str(wanted[0]) if len(wanted) == 1 else f"{len(items)} inputs"
    return Dataset(name, tuple(items.values()), modality=kind.modality, kind="none")


def _rows(wanted: Sequence[str | Path]) -> Dataset:
    """The rows of tables, with all their columns."""
    parts = []
    for path in map(Path, wanted):
        if not _exists(path):
            raise DataError(_missing(path))
        if h5ad.is_h5ad(path):
            parts.append(h5ad.read_unlabelled(path))
        elif TableReader().accepts(str(path)):
            parts.append(read_unlabelled(path))
        else:
            raise DataError(
                f"{path} is no table. Expected rows with the model's columns, in a .csv, .jsonl, .parquet or .h5ad."
            )
    items = tuple(item for part in parts for item in part.items)
    findings = tuple(finding for part in parts for finding in part.findings)
    return Dataset(", ".join(map(str, wanted)), items, modality="table", kind="none", findings=findings)


def _meant_as_file(given: str | Path) -> bool:
    """Whether what is no file was surely meant as one: a Path, or a single word that ends as files of data do."""
    if isinstance(given, Path):
        return True
    word = given.strip().rstrip("/")
    return not any(map(str.isspace, word)) and PurePath(word).suffix.lower() in _FILES


def _exists(path: Path) -> bool:
    """Whether a text that may be a path is one."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a path, or with a zero byte
        return False


def _missing(path: Path) -> str:
    message = f"{path} does not exist."
    if path.parent.is_dir():
        close = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=3, cutoff=0.6)
        message += f" Did you mean {' or '.join(str(path.parent / name) for name in close)}?" if close else ""
    return message


def _unreadable(path: Path) -> str:
    if not path.exists():
        start = _missing(path)
    elif is_image_name(path.name):
        start = f"{path} is a single image."
    else:
        start = f"{path} has no form that is known ({path.suffix or 'no file name ending'})."
    return f"{start} Expected {'; or '.join(READERS[key].form for key in READERS)}."
