"""Results by a column of a table, or by what folders have, in `evaluate`, `fit` and the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from headstart.cli.app import run
from headstart.core.errors import ConfigError, DataError
from headstart.data.read import read_dataset
from headstart.recipes.evaluate import evaluate
from headstart.recipes.fit import fit
from headstart.testing.models import save_tiny_model
from headstart.testing.sources import tiny_source

CLASSES = ("checks", "disc", "stripes")


@pytest.fixture(scope="module")
def table(toy_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy photos, each with the camera that took it: two take many, one takes few."""
    path = tmp_path_factory.mktemp("sliced") / "photos.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "camera", "split"])
        for number, photo in enumerate(sorted(toy_photos.rglob("*.jpg"))):
            camera = "rare" if number % 20 == 0 else "ab"[number % 2]
            writer.writerow([photo, photo.parent.name, camera, "train" if number % 3 else "test"])
    return path


def test_a_column_reaches_the_items_and_changes_nothing_else(table: Path) -> None:
    plain, sliced = read_dataset(table), read_dataset(table, slice="camera")
    assert {item.slice for item in sliced.items} == {"a", "b", "rare"}
    assert {item.slice for item in plain.items} == {None}
    assert sliced.fingerprint() == plain.fingerprint()


def test_evaluate_by_camera(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save_tiny_model(tmp_path / "model", classes=CLASSES)
    everything = table.with_name("all.csv")
    with table.open() as file:
        rows = [row[:3] for row in csv.reader(file)]
    with everything.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert run(["evaluate", str(model), str(everything), "--slice", "camera", "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert sorted(one["name"] for one in found["slices"]["slices"]) == ["a", "b"]
    assert list(found["slices"]["too_small"]) == ["rare"]
    assert "less that of all others" in printed.err
    assert "Too small to say" in printed.err


def test_folders_have_classes_and_no_columns(toy_photos: Path, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model", classes=CLASSES)
    found = evaluate(model, toy_photos, slice="class")
    assert found["slices"]["column"] == "class"
    assert found["slices"]["too_small"] == dict.fromkeys(CLASSES, 6)
    with pytest.raises(ConfigError, match="--slice name columns of a table; the data given is a folder"):
        evaluate(model, toy_photos, slice="camera")
    with pytest.raises(ConfigError, match=r"no item of .* has a group, so results cannot be given by it"):
        evaluate(model, toy_photos, slice="group")


def test_a_column_that_there_is_not_is_named(table: Path) -> None:
    with pytest.raises(DataError, match="camrea.*Did you mean 'camera'"):
        read_dataset(table, slice="camrea")


def test_fit_reports_by_camera(table: Path, tmp_path: Path) -> None:
    made = fit(table, source=tiny_source(), method="probe", verdict="none", slice="camera", out=tmp_path / "run")
    assert "slice: camera" in (made.path / "recipe.yaml").read_text()
    assert {"a", "b", "rare"} == {
        *(one["name"] for one in made.metrics["slices"]["slices"]),
        *made.metrics["slices"]["too_small"],
    }
    page = (made.path / "report.html").read_text()
    assert "By camera" in page
    assert "Too small to say" in page
