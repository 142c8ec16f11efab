"""Every registered task keeps the contract; the built-in ones say clearly what they cannot take."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from headstart import tasks
from headstart.core.errors import ConfigError, DataError
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import MultiLabel
from headstart.tasks.regression import Regression
from headstart.testing.tasks import EXAMPLES, check_task, example_units

ANIMALS = Classification(("bird", "cat", "dog"))
SCENES = MultiLabel(("indoor", "people", "water"))
SIZES = Regression(("age", "height"), (40.0, 1.7), (9.0, 0.2))


@pytest.mark.parametrize("key", list(tasks.TASKS))
def test_contract(key: str) -> None:
    assert key in EXAMPLES, f"give headstart.testing.tasks.EXAMPLES an example of {key!r}"
    data, labels = EXAMPLES[key]
    task = tasks.from_json(data)
    check_task(task, labels, example_units(task))


def test_contract_of_two_classes_and_of_one_number() -> None:
    check_task(Classification(("no", "yes")), ["no", "yes", "yes", "no"])
    check_task(MultiLabel(("smiles",), modality="audio"), [["smiles"], [], ["smiles"], []])
    check_task(Regression(("age",), (40.0,), (10.0,)), [30, 40, 52.5, 20])


def test_contract_notices_a_broken_task() -> None:
    class Biased(Classification):
        def scores(self, logits: np.ndarray) -> np.ndarray:
            return np.exp(np.asarray(logits, dtype=np.float64))

    with pytest.raises(AssertionError):
        check_task(Biased(("bird", "cat", "dog")), EXAMPLES["classification"][1])


def test_names_carry_the_modality() -> None:
    assert [ANIMALS.name, SCENES.name, SIZES.name] == ["image-classification", "image-multilabel", "image-regression"]
    assert tasks.from_json(Classification(("a", "b"), modality="text").to_json()).name == "text-classification"


def test_from_labels_sorts_and_standardises() -> None:
    assert Classification.from_labels(["b", "a", "b", 3]).classes == ("3", "a", "b")
    assert MultiLabel.from_labels([("b",), (), ("a", "b")]).labels == ("a", "b")
    task = Regression.from_labels([1, 2, "3"], ["age"])
    assert task.mean == (2.0,)
    assert task.std == pytest.approx((np.std([1, 2, 3]),))


def test_encode_and_decode_are_inverse() -> None:
    assert ANIMALS.decode(np.eye(3)[ANIMALS.encode(["dog", "bird"])]) == ["dog", "bird"]
    assert SCENES.decode(SCENES.encode([["water", "indoor"], []])) == [["indoor", "water"], []]
    assert SIZES.decode(SIZES.encode([(30, 1.5)])) == [{"age": 30.0, "height": 1.5}]
    assert Regression(("age",), (0.0,), (1.0,)).decode(np.array([[2.5]])) == [2.5]


@pytest.mark.parametrize(
    ("task", "labels", "words"),
    [
        (ANIMALS, ["dog", "catt"], ["'catt'", "Did you mean 'cat'", "bird, cat, dog"]),
        (ANIMALS, [None], ["None", "bird, cat, dog"]),
        (SCENES, [["water"], ["sky"]], ["'sky'", "indoor, people, water"]),
        (SCENES, ["water"], ["item 0", "list of names", "['water']"]),
        (SCENES, [None], ["item 0", "None"]),
        (SIZES, [(1, 2), (3,)], ["item 1", "2 finite numbers", "age, height"]),
        (SIZES, [("tall", 2)], ["item 0", "'tall'"]),
        (SIZES, [(float("nan"), 2)], ["item 0", "nan"]),
    ],
)
def test_unknown_labels_are_named(task: Any, labels: list[Any], words: list[str]) -> None:
    with pytest.raises(DataError) as error:
        task.encode(labels)
    for word in words:
        assert word in str(error.value)


def test_a_quantity_that_never_varies_is_refused() -> None:
    with pytest.raises(DataError, match="'age' has the same value in all 2 training items"):
        Regression.from_labels([3, 3], ["age"])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "'image-classification', but it is None"),
        ({"name": "image-classificaton"}, "Did you mean 'classification'"),
        ({"name": "image-classification"}, "damaged or incomplete"),
        ({"name": "image-classification", "classes": ["a"], "modality": "image"}, "at least two different classes"),
        ({"name": "image-classification", "classes": ["a", "a"], "modality": "image"}, "different names"),
        ({"name": "image-regression", "targets": ["a"], "mean": [0], "std": [0], "modality": "image"}, "above 0"),
        ({"name": "image-regression", "targets": ["a"], "mean": [], "std": [1], "modality": "image"}, "as many means"),
    ],
)
def test_a_damaged_description_is_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tasks.from_json(data)


def test_loss_of_numbers_is_in_standard_units() -> None:
    targets = torch.from_numpy(SIZES.encode([(49, 1.7)]))
    assert SIZES.loss(torch.tensor([[1.0, 0.0]]), targets).item() == pytest.approx(0, abs=1e-12)
    assert SIZES.loss(torch.zeros(1, 2), targets).item() == pytest.approx(0.5)
    weighted = SIZES.loss(torch.zeros(1, 2), targets, weight=torch.tensor([3.0, 1.0]))
    assert weighted.item() == pytest.approx(0.75)


def test_class_weights_agree_with_torch() -> None:
    logits, targets = torch.randn(8, 3), torch.tensor([0, 1, 2, 1, 0, 0, 2, 1])
    weight = torch.tensor([1.0, 2.0, 5.0])
    expected = torch.nn.CrossEntropyLoss(weight)(logits, targets)
    soft = torch.nn.functional.one_hot(targets, 3).double()
    assert torch.allclose(ANIMALS.loss(logits, soft, weight=weight), expected)


def test_the_room_opens_without_torch() -> None:
    code = (
        "import sys; from headstart import tasks; "
        "[tasks.TASKS[key] for key in tasks.TASKS]; print({'torch', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
