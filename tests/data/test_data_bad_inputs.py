"""From what a user may give to one clear error: readers and survey together, on files made badly on purpose."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.core.card import ImageInput
from headstart.core.errors import DataError, UserError
from headstart.data.dataset import printable
from headstart.data.read import read_dataset, read_inputs
from headstart.data.splits import assign_splits
from headstart.data.survey import survey

CONTRACT = ImageInput(resize=32, crop=28)


def photo(seed: int, format_: str = "PNG") -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(out, format_)
    return out.getvalue()


def good_folder(root: Path, per_class: int = 12) -> Path:
    for k, label in enumerate(("cat", "dog")):
        (root / label).mkdir(parents=True)
        for n in range(per_class):
            (root / label / f"{n}.png").write_bytes(photo(100 * k + n))
    return root


def prepare(data: Path) -> None:
    """All that is done to data before anything is trained."""
    dataset = read_dataset(data)
    seen = survey(dataset, CONTRACT)
    seen.require_sound()
    assign_splits(dataset, seen.digests, seed=0, near_duplicate_groups=seen.near_duplicate_groups)


def bad_files(folder: Path) -> dict[str, Callable[[Path], object]]:
    return {
        "truncated.jpg": lambda p: p.write_bytes(photo(1, "JPEG")[:300]),
        "truncated.png": lambda p: p.write_bytes(photo(1)[:300]),
        "nothing.jpg": lambda p: p.write_bytes(b""),
        "text.jpg": lambda p: p.write_text("see attachment"),
        "html.png": lambda p: p.write_text("<!doctype html>\n<html><body>404</body></html>\n"),
        "zip.jpg": lambda p: p.write_bytes(b"PK\x03\x04" + bytes(100)),
        "noise.webp": lambda p: p.write_bytes(random.Random(0).randbytes(500)),
        "dangling.jpg": lambda p: p.symlink_to(folder / "nowhere.jpg"),
        "ü" * 80 + ".jpg": lambda p: p.write_bytes(b"x"),
        "new\nline.jpg": lambda p: p.write_bytes(b"x"),
        "postscript.jpg": lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
        "svg.png": lambda p: p.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"),
    }


@pytest.mark.parametrize("name", list(bad_files(Path())))
def test_one_bad_file_stops_the_work_and_is_named(tmp_path: Path, name: str) -> None:
    folder = good_folder(tmp_path / "photos")
    bad_files(folder)[name](folder / "cat" / name)
    with pytest.raises(DataError) as caught:
        prepare(folder)
    assert f"cat/{printable(name)}: " in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "photos")
    locked = folder / "cat" / "0.png"
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(DataError, match=r"cat/0\.png: cannot be read \(Permission denied\)"):
        prepare(folder)


def test_names_of_any_kind_are_read(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "photos")
    names = [
        "n" * 240 + ".png",
        "猫 🐈.png",
        " lead.png",
        "quote'\".png",
        "semi;colon,.png",
        "[bold]red.png",
        "..dots.png",
    ]
    for k, name in enumerate(names):
        (folder / "cat" / name).write_bytes(photo(500 + k))
    prepare(folder)


def test_a_folder_named_as_an_image_holds_images_or_nothing(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "photos")
    (folder / "cat" / "x.jpg").mkdir()
    prepare(folder)
    (folder / "cat" / "x.jpg" / "bad.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat/x\.jpg/bad\.png: "):
        prepare(folder)


def test_a_table_of_missing_files_names_them(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "photos")
    rows = [f"{label}/{n}.png,{label}" for label in ("cat", "dog") for n in range(12)]
    path = folder / "t.csv"
    path.write_text("\n".join(["image,label", *rows, "cat/gone.png,cat", "dog/lost.png,dog"]))
    with pytest.raises(DataError, match=r"cat/gone\.png: there is no file .*dog/lost\.png: there is no file"):
        prepare(path)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["cat/0.png,"], r"1 item\(s\) have no label: cat/0\.png"),
        (["cat/0.png,bird"], r"single training item and cannot be split: bird"),
        (["cat/0.png,Cat", "cat/1.png,Cat"], None),
    ],
)
def test_labels_of_a_table_are_checked(tmp_path: Path, rows: list[str], says: str | None) -> None:
    folder = good_folder(tmp_path / "photos")
    sound = [f"{label}/{n}.png,{label}" for label in ("cat", "dog") for n in range(2, 12)]
    path = folder / "t.csv"
    path.write_text("\n".join(["image,label", *sound, *rows]))
    if says is None:
        prepare(path)
        return
    with pytest.raises(DataError, match=says):
        prepare(path)


def test_numbers_that_are_not_finite_are_named(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "photos")
    rows = [f"cat/{n}.png,{n / 3}" for n in range(10)]
    path = folder / "t.csv"
    path.write_text("\n".join(["image,price", *rows, "dog/1.png,inf", "dog/2.png,nan"]))
    with pytest.raises(DataError, match=r"2 item\(s\) have NaN or infinity for a number: dog/1\.png, dog/2\.png"):
        prepare(path)


@pytest.mark.parametrize("kind", ["one-class", "empty", "single-items"])
def test_folders_with_too_little(tmp_path: Path, kind: str) -> None:
    says = {"one-class": "one class only", "empty": "is an empty folder", "single-items": "cannot be split: a, b"}[kind]
    for k, label in enumerate({"one-class": "a", "empty": "", "single-items": "ab"}[kind]):
        (tmp_path / label).mkdir()
        for n in range(12 if kind == "one-class" else 1):
            (tmp_path / label / f"{n}.png").write_bytes(photo(100 * k + n))
    with pytest.raises(DataError, match=says):
        prepare(tmp_path)


def test_a_class_that_train_lacks(tmp_path: Path) -> None:
    good_folder(tmp_path / "train")
    (tmp_path / "test" / "bird").mkdir(parents=True)
    (tmp_path / "test" / "bird" / "b.png").write_bytes(photo(900))
    with pytest.raises(DataError, match="the test split has classes that train lacks: bird"):
        prepare(tmp_path)


def test_inputs_for_prediction_are_looked_at_without_labels(tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "photos", per_class=1)
    inputs = read_inputs([folder])
    assert survey(inputs, CONTRACT, for_training=False).findings == ()
    (folder / "bad.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match=r"bad\.jpg: "):
        survey(read_inputs([folder / "bad.jpg"]), CONTRACT, for_training=False).require_sound()


_NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tree=st.dictionaries(
        st.tuples(_NAMES, _NAMES, st.sampled_from([".png", ".jpg", ".txt", ""])),
        st.one_of(st.integers(0, 30).map(photo), st.binary(max_size=60), st.just(photo(3)[:200])),
        max_size=12,
    )
)
def test_any_folder_is_sound_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[tuple[str, str, str], bytes]
) -> None:
    root = tmp_path_factory.mktemp("any")
    for (folder, name, suffix), content in tree.items():
        place = root / folder
        place.mkdir(exist_ok=True)
        if not (place / (name + suffix)).exists() and len((name + suffix).encode()) < 250:
            (place / (name + suffix)).write_bytes(content)
    try:
        prepare(root)
    except UserError as error:
        assert len(printable(str(error)).splitlines()) == 1  # noqa: PT017
