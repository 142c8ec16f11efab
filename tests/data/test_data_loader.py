from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.core.card import ImageInput
from headstart.core.config import AugmentConfig
from headstart.core.errors import DataError
from headstart.data.dataset import Dataset, Item
from headstart.data.images import centre, decode, picture
from headstart.data.kept import Kept
from headstart.data.loader import Batches, prefetch
from headstart.data.read import read_dataset
from headstart.data.survey import survey
from headstart.data.transforms.image import to_tensor, train_view

CONTRACT = ImageInput(resize=32, crop=28)


@pytest.fixture
def photos(toy_photos: Path) -> Dataset:
    return read_dataset(toy_photos)


def workers(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_evaluation_batches_are_the_evaluation_views(photos: Dataset) -> None:
    batch = Batches(photos, survey(photos, CONTRACT).kept, CONTRACT).evaluation([5, 0, 5])
    assert (batch.dtype, batch.shape) == (torch.uint8, (3, 3, 28, 28))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    for row, index in zip(batch, (5, 0, 5), strict=True):
        assert torch.equal(row, to_tensor(centre(picture(decode(photos[index]), CONTRACT), CONTRACT)))


def test_training_batches_follow_seeds_not_threads(photos: Dataset) -> None:
    indices, seeds = list(range(40)), [7 * k for k in range(40)]
    augment = AugmentConfig(policy="trivialaugment")
    one = Batches(photos, None, CONTRACT, workers=1).training(indices, seeds, augment)
    many = Batches(photos, None, CONTRACT, workers=6).training(indices, seeds, augment)
    assert torch.equal(one, many)
    for row, index, seed in zip(one, indices, seeds, strict=True):
        made = picture(decode(photos[index]), CONTRACT)
        assert torch.equal(row, train_view(made, CONTRACT, augment, seed))


def test_without_room_or_with_pictures_of_another_contract_the_batch_is_the_same(photos: Dataset) -> None:
    plain = Batches(photos, None, CONTRACT).evaluation(range(8))
    assert torch.equal(Batches(photos, Kept(CONTRACT, memory_limit=0), CONTRACT).evaluation(range(8)), plain)
    other = survey(photos, ImageInput(resize=20, crop=16)).kept
    assert torch.equal(Batches(photos, other, CONTRACT).evaluation(range(8)), plain)


def test_pictures_serve_any_part_of_the_data_set(photos: Dataset) -> None:
    pictures = survey(photos, CONTRACT).kept
    test = photos.split("test")
    rows = [index for index, item in enumerate(photos.items) if item.split == "test"]
    part = Batches(test, pictures, CONTRACT).evaluation(range(len(test)))
    assert torch.equal(part, Batches(photos, pictures, CONTRACT).evaluation(rows))


def test_numpy_indices_and_empty_batches(photos: Dataset) -> None:
    batches = Batches(photos, None, CONTRACT)
    order = np.random.default_rng(0).permutation(6)
    assert batches.evaluation(order).shape == (6, 3, 28, 28)  # type: ignore[arg-type]
    assert batches.evaluation([]).shape == (0, 3, 28, 28)


def test_seeds_must_match_indices(photos: Dataset) -> None:
    with pytest.raises(ValueError, match="zip"):
        Batches(photos, None, CONTRACT).training([1, 2], [1], AugmentConfig())


def test_an_item_that_cannot_be_decoded_is_named() -> None:
    data = Dataset("d", (Item("bad", b"text, no image"),))
    with pytest.raises(DataError, match=r"^bad: "):
        Batches(data, None, CONTRACT).evaluation([0])


def test_threads_end_with_the_batches(photos: Dataset) -> None:
    batches = Batches(photos, None, CONTRACT, workers=3)
    batches.evaluation(range(9))
    assert workers("headstart-data")
    del batches
    gc.collect()
    deadline = time.monotonic() + 5
    while workers("headstart-data") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not workers("headstart-data")


def test_a_photograph_of_any_mode_makes_a_batch(tmp_path: Path) -> None:
    for n, mode in enumerate(("L", "RGB", "RGBA", "P", "1", "LA", "CMYK")):
        Image.new(mode, (3 + n, 9)).save(tmp_path / f"{n}.{'jpg' if mode == 'CMYK' else 'png'}")
    data = Dataset("d", tuple(Item(path.name, path) for path in sorted(tmp_path.iterdir())))
    assert Batches(data, None, CONTRACT).evaluation(range(7)).shape == (7, 3, 28, 28)


# -- prefetch -------------------------------------------------------------------------------------------------------


def test_prefetch_keeps_order_and_works_ahead() -> None:
    started: list[int] = []

    def work() -> Iterator[Callable[[], int]]:
        for n in range(10):

            def call(n: int = n) -> int:
                started.append(n)
                return n

            yield call

    results = prefetch(work(), depth=3)
    assert next(results) == 0
    deadline = time.monotonic() + 5
    while len(started) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert started == [0, 1, 2, 3, 4]  # one taken, three waiting, one in hand
    assert list(results) == list(range(1, 10))


def test_prefetch_passes_on_an_error_in_its_place() -> None:
    def fail() -> int:
        raise DataError("row 3: broken")

    results = prefetch([lambda: 1, lambda: 2, fail, lambda: 4])
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(DataError, match="row 3: broken"):
        next(results)
    assert not workers("headstart-prefetch")


def test_prefetch_passes_on_an_error_of_the_iterable() -> None:
    def work() -> Iterator[Callable[[], int]]:
        yield lambda: 1
        raise OSError("gone")

    results = prefetch(work())
    assert next(results) == 1
    with pytest.raises(OSError, match="gone"):
        next(results)


def test_prefetch_may_return_none_and_may_be_empty() -> None:
    assert list(prefetch([lambda: None, lambda: None])) == [None, None]
    assert list(prefetch([])) == []


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_prefetch_stops_when_its_consumer_does(taken: int) -> None:
    calls: list[int] = []

    def work() -> Iterator[Callable[[], int]]:
        n = 0
        while True:
            n += 1
            calls.append(n)
            yield lambda n=n: n  # type: ignore[misc]

    results = prefetch(work(), depth=2)
    for _ in range(taken):
        next(results)
    results.close()
    assert not workers("headstart-prefetch")
    assert len(calls) <= taken + 4
