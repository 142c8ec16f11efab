"""Folders of images, recordings or texts: one folder a class, optionally below one folder a split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

from headstart.core.errors import ConfigError, DataError
from headstart.data import images, sound
from headstart.data.dataset import SPLIT_NAMES, Dataset, Finding, Item, Role, printable
from headstart.data.readers.base import SLICES, Columns, Reader
from headstart.data.readers.files import walk

_COMPANIONS: Final = ("readme", "license", "licence", "notice", "changelog", "citation", "thumbs", "desktop")


@dataclass(frozen=True)
class Files:
    """What the files of a folder are. noun: of one; with "s" of several."""

    modality: Literal["image", "audio", "text"]
    noun: str
    suffixes: tuple[str, ...]
    example: str

    def has(self, name: str) -> bool:
        """Whether a file's name ends as theirs do."""
        return PurePath(name).suffix.lower() in self.suffixes


KINDS: Final = (
    Files("image", "image", tuple(images.SUFFIXES), "*.jpg"),
    Files("audio", "recording", tuple(sorted(sound.SUFFIXES)), "*.wav"),
    Files("text", "text", (".txt",), "*.txt"),
)

MIXED: Final = 0.1
"""Of the images for each recording, or the other way round, from which on a few strays have become a mixture."""


def files_of(folder: Path) -> Files:
    """What most of the files below a folder are; images where there are none. Raises DataError where images and
    recordings are mixed; a text may lie beside either."""
    names = [path.name for path in walk(folder)]
    count = {kind: sum(kind.has(name) and not _companion(name) for name in names) for kind in KINDS}
    photos, recordings = count[KINDS[0]], count[KINDS[1]]
    if min(photos, recordings) > MIXED * max(photos, recordings):
        raise DataError(
            f"{folder} holds {photos} images and {recordings} recordings, and a model learns from one kind. Give a "
            "folder that holds one of them, or a table that names the files (--input)."
        )
    return max(count, key=lambda kind: count[kind])


class FolderReader(Reader):
    """`class/*.jpg`, or `train/class/*.jpg` with the names of SPLIT_NAMES; deeper folders belong to their class."""

    form = "a folder with one folder of files per class, or with train, validation and test folders above those"
    general = True

    def accepts(self, data: str) -> bool:
        return Path(data).is_dir()

    def read(self, data: str, columns: Columns) -> Dataset:
        _refuse_columns(columns)
        root = Path(data)
        name = printable(root.resolve().name or str(root))
        findings: list[Finding] = []
        kind = files_of(root)
        tops = _folders(root)
        below = {top: list(walk_files(top, kind)) for top in tops}
        direct = _directly_in(root, kind)
        splits = [top for top in tops if _is_split(top, below[top])]
        others = [top for top in tops if top not in splits and below[top]]
        if splits and others:
            raise DataError(
                f"{root} holds split folders ({_names(splits)}) beside other folders of {kind.noun}s "
                f"({_names(others)}). Put every class folder below a split folder, or have no split folders."
            )
        unclassed = [top for top in tops if below[top]]
        if unclassed and not splits and all(top.name.lower() in SPLIT_NAMES for top in unclassed):
            raise DataError(
                f"{root} holds split folders ({_names(unclassed)}) with {kind.noun}s directly in them, which have no "
                "labels. Expected one folder per class inside each."
            )
        items: list[Item] = []
        if splits:
            for top in splits:
                role = SPLIT_NAMES[top.name.lower()]
                findings += _stray(top, _directly_in(top, kind), kind)
                for folder in _folders(top):
                    found = list(walk_files(folder, kind))
                    items += _items(found, root, folder.name, role)
                    findings += [] if found else [_empty(folder, kind, "error" if role == "train" else "warning")]
        else:
            if not any(below.values()):
                raise DataError(_nothing_in(root, direct, tops, kind))
            for top in tops:
                items += _items(below[top], root, top.name, None)
                findings += [] if below[top] else [_empty(top, kind, "error")]
        findings += _stray(root, direct, kind) + _ignored(root, kind)
        return Dataset(name, tuple(items), modality=kind.modality, kind="class", findings=tuple(findings))


def walk_files(folder: Path, kind: Files) -> Iterator[Path]:
    """Files of a kind below a folder, sorted; hidden names are left out and no folder is entered twice (symlinks)."""
    yield from (path for path in walk(folder) if kind.has(path.name))


def _directly_in(folder: Path, kind: Files) -> list[Path]:
    files = [path for path in _entries(folder) if not path.is_dir()]
    return [path for path in files if kind.has(path.name) and not _companion(path.name)]


def _companion(name: str) -> bool:
    """Whether a file usually lies beside a data set and is no part of it."""
    return PurePath(name).stem.lower() in _COMPANIONS


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror}). Give a folder that can be read.") from None


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _is_split(folder: Path, files: list[Path]) -> bool:
    """Named as a split, and with the files in folders of their own; otherwise it is a class of that name."""
    return folder.name.lower() in SPLIT_NAMES and bool(files) and any(path.parent != folder for path in files)


def _items(paths: list[Path], root: Path, label: str, split: Role | None) -> list[Item]:
    return [Item(printable(path.relative_to(root).as_posix()), path, printable(label), split) for path in paths]


def _empty(folder: Path, kind: Files, level: str) -> Finding:
    return Finding(
        "error" if level == "error" else "warning",
        "empty-folder",
        printable(f"the class folder {folder} holds no {kind.noun}s. Add some or remove the folder."),
        (printable(folder.name),),
    )


def _stray(folder: Path, paths: list[Path], kind: Files) -> list[Finding]:
    if not paths:
        return []
    message = f"{len(paths)} {kind.noun}(s) lie in {folder} itself, in no class folder, and are left out."
    return [Finding("warning", "stray-files", printable(message), tuple(printable(path.name) for path in paths))]


def _ignored(root: Path, kind: Files) -> list[Finding]:
    """Files of other kinds, but for those that usually lie beside a data set."""
    others = [
        printable(path.relative_to(root).as_posix())
        for path in walk(root)
        if not kind.has(path.name) and not _companion(path.name)
    ]
    if not others:
        return []
    message = f"{len(others)} file(s) in {root} are not {kind.noun}s by their name and are left out."
    return [Finding("warning", "ignored-files", printable(message), tuple(others))]


def _names(folders: list[Path]) -> str:
    shown = [printable(folder.name) for folder in folders[:5]]
    return ", ".join(shown) + (", ..." if len(folders) > 5 else "")


def _nothing_in(root: Path, direct: list[Path], tops: list[Path], kind: Files) -> str:
    if direct:
        return (
            f"the {len(direct)} {kind.noun}(s) in {root} lie in no class folder, so they have no labels. Expected one "
            f"folder per class, such as {root}/cat/{direct[0].name}, or a table that names the label of each file."
        )
    without = f"{len(tops)} folder(s) without images, recordings or texts ({_names(tops)})"
    held = without if tops else "no folders and no files to learn from"
    expected = f"Expected class/{kind.example} (endings: {' '.join(kind.suffixes)})."
    return f"{root} is an empty folder: it holds {held}. {expected}"


def _refuse_columns(columns: Columns) -> None:
    given = [f"--{name}" for name in ("input", "label", "group", "split") if getattr(columns, name) is not None]
    given += ["--slice"] if columns.slice not in (None, *SLICES) else []
    if given:
        raise ConfigError(f"{', '.join(given)} name columns of a table; the data given is a folder, which has none.")
    if columns.kind not in (None, "class"):
        raise ConfigError(f"labels of a folder are classes, not {columns.kind!r}. Give a table for other kinds.")
