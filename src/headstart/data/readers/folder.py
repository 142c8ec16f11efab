"""Folders of images: one folder a class, optionally below one folder a split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headstart.core.errors import ConfigError, DataError
from headstart.data.dataset import SPLIT_NAMES, Dataset, Finding, Item, Role, printable
from headstart.data.images import SUFFIXES, is_image_name
from headstart.data.readers.base import Columns, Reader
from headstart.data.readers.files import walk

_COMPANIONS: Final = ("readme", "license", "licence", "notice", "changelog", "citation", "thumbs", "desktop")


class FolderReader(Reader):
    """`class/*.jpg`, or `train/class/*.jpg` with the names of SPLIT_NAMES; deeper folders belong to their class."""

    form = "a folder with one folder of images per class, or with train, validation and test folders above those"
    general = True

    def accepts(self, data: str) -> bool:
        return Path(data).is_dir()

    def read(self, data: str, columns: Columns) -> Dataset:
        _refuse_columns(columns)
        root = Path(data)
        name = printable(root.resolve().name or str(root))
        findings: list[Finding] = []
        tops = _folders(root)
        images = {top: list(walk_images(top)) for top in tops}
        direct = [path for path in _entries(root) if is_image_name(path.name) and not path.is_dir()]
        splits = [top for top in tops if _is_split(top, images[top])]
        others = [top for top in tops if top not in splits and images[top]]
        if splits and others:
            raise DataError(
                f"{root} holds split folders ({_names(splits)}) beside other folders of images ({_names(others)}). "
                "Put every class folder below a split folder, or have no split folders."
            )
        unclassed = [top for top in tops if images[top]]
        if unclassed and not splits and all(top.name.lower() in SPLIT_NAMES for top in unclassed):
            raise DataError(
                f"{root} holds split folders ({_names(unclassed)}) with images directly in them, which have no labels. "
                "Expected one folder per class inside each."
            )
        items: list[Item] = []
        if splits:
            for top in splits:
                role = SPLIT_NAMES[top.name.lower()]
                stray = [path for path in _entries(top) if is_image_name(path.name) and not path.is_dir()]
                findings += _stray(top, stray)
                for folder in _folders(top):
                    found = list(walk_images(folder))
                    items += _items(found, root, folder.name, role)
                    findings += [] if found else [_empty(folder, "error" if role == "train" else "warning")]
        else:
            if not any(images.values()):
                raise DataError(_nothing_in(root, direct, tops))
            for top in tops:
                items += _items(images[top], root, top.name, None)
                findings += [] if images[top] else [_empty(top, "error")]
        findings += _stray(root, direct) + _ignored(root)
        return Dataset(name, tuple(items), kind="class", findings=tuple(findings))


def walk_images(folder: Path) -> Iterator[Path]:
    """Image files below a folder, sorted; hidden names are left out and no folder is entered twice (symlinks)."""
    yield from (path for path in walk(folder) if is_image_name(path.name))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be listed ({error.strerror}). Give a folder that can be read.") from None


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _is_split(folder: Path, images: list[Path]) -> bool:
    """Named as a split, and with the images in folders of their own; otherwise it is a class of that name."""
    return folder.name.lower() in SPLIT_NAMES and bool(images) and any(path.parent != folder for path in images)


def _items(paths: list[Path], root: Path, label: str, split: Role | None) -> list[Item]:
    return [Item(printable(path.relative_to(root).as_posix()), path, printable(label), split) for path in paths]


def _empty(folder: Path, level: str) -> Finding:
    return Finding(
        "error" if level == "error" else "warning",
        "empty-folder",
        printable(f"the class folder {folder} holds no images. Add some or remove the folder."),
        (printable(folder.name),),
    )


def _stray(folder: Path, paths: list[Path]) -> list[Finding]:
    if not paths:
        return []
    message = f"{len(paths)} image(s) lie in {folder} itself, in no class folder, and are left out."
    return [Finding("warning", "stray-images", printable(message), tuple(printable(path.name) for path in paths))]


def _ignored(root: Path) -> list[Finding]:
    """Files that are no images, but for those that usually lie beside a data set."""
    others = [
        printable(path.relative_to(root).as_posix())
        for path in walk(root)
        if not is_image_name(path.name) and path.stem.lower() not in _COMPANIONS
    ]
    if not others:
        return []
    message = f"{len(others)} file(s) in {root} are not images by their name and are left out."
    return [Finding("warning", "ignored-files", printable(message), tuple(others))]


def _names(folders: list[Path]) -> str:
    shown = [printable(folder.name) for folder in folders[:5]]
    return ", ".join(shown) + (", ..." if len(folders) > 5 else "")


def _nothing_in(root: Path, direct: list[Path], tops: list[Path]) -> str:
    if direct:
        return (
            f"the {len(direct)} image(s) in {root} lie in no class folder, so they have no labels. Expected one folder "
            f"per class, such as {root}/cat/{direct[0].name}, or a table that names the label of each file."
        )
    held = f"{len(tops)} folder(s) without images ({_names(tops)})" if tops else "no folders and no images"
    return f"{root} is an empty folder: it holds {held}. Expected class/*.jpg (endings: {' '.join(SUFFIXES)})."


def _refuse_columns(columns: Columns) -> None:
    given = [f"--{name}" for name in ("input", "label", "group", "split") if getattr(columns, name) is not None]
    if given:
        raise ConfigError(f"{', '.join(given)} name columns of a table; the data given is a folder, which has none.")
    if columns.kind not in (None, "class"):
        raise ConfigError(f"labels of a folder are classes, not {columns.kind!r}. Give a table for other kinds.")
