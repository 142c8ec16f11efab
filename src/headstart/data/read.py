"""One entrance to data: whatever the user names becomes a Dataset."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.dataset import Dataset, Item, LabelKind, printable
from headstart.data.images import SUFFIXES, is_image_name
from headstart.data.readers import READERS
from headstart.data.readers.base import Columns
from headstart.data.readers.folder import walk_images


def read_dataset(
    data: str | Path | Dataset,
    *,
    input: str | None = None,
    label: str | None = None,
    kind: LabelKind | None = None,
    group: str | None = None,
    split: str | None = None,
) -> Dataset:
    """The labelled items of a folder, a table or a hub data set; nothing is decoded. A Dataset passes unchanged.

    input, label, group, split: columns of a table (label: several, separated by commas, for several numbers).
    kind: how labels are read ("class", "multilabel", "number"); None infers it and says so where it could be wrong.

    Raises DataError where there is nothing readable, ConfigError for options that do not fit the form of data.
    """
    if isinstance(data, Dataset):
        return data
    name = str(data)
    for reader in sorted((READERS[key]() for key in READERS), key=lambda reader: reader.general):
        if reader.accepts(name):
            return reader.read(name, Columns(input, label, kind, group, split))
    raise DataError(_unreadable(Path(name)))


def read_inputs(paths: Iterable[str | Path]) -> Dataset:
    """Images without labels: files as they are given, and all images below the folders that are given.

    Raises DataError naming a path that does not exist, and where there is no image at all.
    """
    given = [Path(path) for path in paths]
    files: dict[str, Path] = {}
    for path in given:
        if path.is_dir():
            files.update((printable(found.as_posix()), found) for found in walk_images(path))
        elif path.exists():
            files[printable(path.as_posix())] = path
        else:
            raise DataError(_missing(path))
    if not files:
        raise DataError(
            f"there is no image in {', '.join(map(str, given)) or 'an empty list of inputs'}. "
            f"Give image files or folders that hold some (endings: {' '.join(SUFFIXES)})."
        )
    name = str(given[0]) if len(given) == 1 else f"{len(files)} inputs"
    return Dataset(name, tuple(Item(key, path) for key, path in files.items()), kind="none")


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
