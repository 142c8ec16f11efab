"""Predicting and judging from Python: whatever form an image comes in, it gets the same answer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.core.errors import ArtifactError, DataError
from headstart.data.dataset import Dataset, Item
from headstart.recipes.evaluate import evaluate
from headstart.recipes.predict import Prediction, predict, stream
from headstart.tasks.multilabel import MultiLabel
from headstart.tasks.regression import Regression
from headstart.testing.models import save_tiny_model

CLASSES = ("checks", "disc", "stripes")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> headstart.LoadedModel:
    loaded = headstart.load(save_tiny_model(tmp_path_factory.mktemp("run") / "model", classes=CLASSES))
    assert isinstance(loaded, headstart.LoadedModel)
    return loaded


def scores(predictions: list[Prediction]) -> np.ndarray:
    return np.array([list(p.scores.values()) for p in predictions])


def test_a_file_an_open_image_and_its_pixels_get_the_same_answer(
    model: headstart.LoadedModel, toy_photos: Path
) -> None:
    path = toy_photos / "test" / "disc" / "01.jpg"
    image = Image.open(path)
    answers = predict(model, [path, str(path), image, np.asarray(image)])
    assert [answer.input for answer in answers] == [str(path), str(path), "input 2", "input 3"]
    np.testing.assert_allclose(scores(answers), scores(answers[:1]).repeat(4, axis=0), atol=1e-6)
    assert predict(model, path)[0].label == answers[0].label
    assert predict(model, image)[0].scores == pytest.approx(answers[0].scores, abs=1e-6)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1", "I;16"])
def test_an_open_image_of_any_mode_gets_the_answer_of_its_file(
    model: headstart.LoadedModel, toy_photos: Path, tmp_path: Path, mode: str
) -> None:
    photo = Image.open(toy_photos / "test" / "disc" / "01.jpg")
    image = (
        Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
        if mode == "I;16"
        else photo.convert(mode)
    )
    if mode == "P":
        image.info["transparency"] = 3
    file = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(file)
    np.testing.assert_allclose(scores(predict(model, image)), scores(predict(model, file)), atol=1e-6)


def test_a_photo_that_lies_on_its_side_is_set_upright(
    model: headstart.LoadedModel, toy_photos: Path, tmp_path: Path
) -> None:
    upright = Image.open(toy_photos / "test" / "stripes" / "02.jpg")
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "lying.png", exif=exif)
    expected = scores(predict(model, upright))
    np.testing.assert_allclose(scores(predict(model, tmp_path / "lying.png")), expected, atol=1e-6)
    np.testing.assert_allclose(scores(predict(model, Image.open(tmp_path / "lying.png"))), expected, atol=1e-6)


def test_the_batch_size_changes_nothing_and_order_is_kept(model: headstart.LoadedModel, toy_photos: Path) -> None:
    folder = toy_photos / "test"
    whole, single = predict(model, folder, batch_size=100), predict(model, folder, batch_size=1)
    assert [p.input for p in whole] == [p.input for p in single] == sorted(map(str, folder.rglob("*.jpg")))
    np.testing.assert_allclose(scores(whole), scores(single), atol=1e-5)
    np.testing.assert_allclose(scores(whole).sum(axis=1), 1)


def test_answers_come_while_later_images_are_still_unread(
    model: headstart.LoadedModel, toy_photos: Path, tmp_path: Path
) -> None:
    paths = sorted((toy_photos / "test").rglob("*.jpg"))[:12]
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    answers = stream(model, [*paths, tmp_path / "broken.jpg"], batch_size=2)
    got = [next(answers) for _ in paths]
    assert [answer.input for answer in got] == list(map(str, paths))
    with pytest.raises(DataError, match=r"broken\.jpg"):
        next(answers)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "nothing to predict"),
        ("nowhere.jpg", r"nowhere\.jpg does not exist"),
        (np.zeros((4, 4, 3)), r"array of float64 \(4, 4, 3\)"),
        (np.zeros((4, 4, 2), np.uint8), "uint8"),
        ([3], "input 0 is a int"),
        ([np.zeros((4, 4), np.uint8), None], "input 1 is a NoneType"),
    ],
)
def test_what_is_no_image_is_named(model: headstart.LoadedModel, given: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        predict(model, given)


def test_several_labels_and_numbers_are_answered_in_their_own_form(toy_photos: Path, tmp_path: Path) -> None:
    photo = toy_photos / "test" / "disc" / "00.jpg"
    several = predict(save_tiny_model(tmp_path / "a", task=MultiLabel(("red", "round"))), photo)[0]
    assert several.label == [name for name, score in several.scores.items() if score > 0.5]
    task = Regression(("width", "height"), (10.0, 20.0), (2.0, 3.0))
    numbers = predict(save_tiny_model(tmp_path / "b", task=task), photo)[0]
    assert numbers.label == numbers.scores
    assert list(numbers.scores) == ["width", "height"]


def test_evaluate_takes_a_data_set_made_in_python_and_its_groups(
    model: headstart.LoadedModel, toy_photos: Path
) -> None:
    items = tuple(
        Item(path.name + path.parent.name, path, path.parent.name, group=str(number // 3))
        for number, path in enumerate(sorted((toy_photos / "test").rglob("*.jpg")))
    )
    found = evaluate(model, Dataset("mine", items))
    assert found["n"]["test"] == 18
    assert found["data"] == "mine"
    assert sum(map(sum, found["confusion"])) == 18
    assert [row["name"] for row in found["per_class"]] == list(CLASSES)
    assert evaluate(model, Dataset("mine", items)) == found
    assert evaluate(model, Dataset("mine", items), seed=1) != found


def test_evaluate_refuses_data_without_labels_or_of_other_quantities(
    toy_photos: Path, model: headstart.LoadedModel, tmp_path: Path
) -> None:
    photo = toy_photos / "test" / "disc" / "00.jpg"
    with pytest.raises(DataError, match="without a label"):
        evaluate(model, Dataset("bare", (Item("a", photo),), kind="none"))
    task = Regression(("width", "height"), (10.0, 20.0), (2.0, 3.0))
    numbers = save_tiny_model(tmp_path / "b", task=task)
    data = Dataset("turned", (Item("a", photo, (1.0, 2.0)),), kind="number", targets=("height", "width"))
    with pytest.raises(DataError, match="--label width,height"):
        evaluate(numbers, data)


def test_a_damaged_model_never_answers(tmp_path: Path, toy_photos: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    shutil.copy(folder / "labels.json", folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        predict(folder, toy_photos)
