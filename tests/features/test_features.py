"""Extraction: the right rows in the right order, once, in a format that tells the truth."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.core.types import Features
from headstart.features.bank import FeatureBank, Views
from headstart.features.extract import extract, trusted_precision
from headstart.features.store import FeatureStore, StoredRows
from headstart.nn.device import resolve_precision
from headstart.nn.encoder import Encoder
from headstart.testing.sources import tiny_source

CPU = torch.device("cpu")


class Rounded(nn.Module):
    """Stands for an encoder that adds a constant to its features, and rounds them where it runs in bfloat16."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8, bias=False)
        self.offset = offset

    def forward(self, batch: Tensor) -> Features:
        found = self.layer(batch) + self.offset
        return Features(found.to(torch.bfloat16) if torch.is_autocast_enabled("cpu") else found)


def batches(count: int = 10, size: int = 4) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    yield from (pixels[start : start + size] for start in range(0, count, size))


def prepare(batch: Tensor) -> Tensor:
    return batch.float() / 255 - 0.5


def rows_of(encoder: Encoder, given: Iterator[Tensor]) -> np.ndarray:
    return np.concatenate(list(extract(encoder, given, prepare, device=CPU, precision="float32")))


def test_rows_are_the_encoders_in_order() -> None:
    encoder = tiny_source().load()
    found = rows_of(encoder.train(), batches())
    assert not encoder.training
    with torch.inference_mode():
        expected = encoder(prepare(torch.cat(list(batches())))).pooled.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32


def test_no_batches_give_no_rows() -> None:
    assert list(extract(tiny_source().load(), iter([]), prepare, device=CPU, precision="float32")) == []


def test_a_row_does_not_depend_on_the_items_beside_it() -> None:
    encoder = tiny_source().load()
    whole = rows_of(encoder, batches(70, 32))
    assert (rows_of(encoder, (b.flip(0) for b in batches(70, 7)))[6::-1] == whole[:7]).all()


class Part:
    """Ten pictures, and a count of how often each was asked for."""

    def __init__(self) -> None:
        self.pixels = torch.cat(list(batches()))
        self.asked: Counter[int] = Counter()

    def views(self) -> Views:
        return Views([hashlib.sha256(p.numpy().tobytes()).hexdigest() for p in self.pixels], self.batches)

    def batches(self, indices: Sequence[int]) -> Iterator[Tensor]:
        self.asked.update(int(i) for i in indices)
        yield self.pixels[list(indices)]


def bank_of(part: Part, store: FeatureStore | None, load: Callable[[], Encoder], **about: str) -> FeatureBank:
    return FeatureBank(load, {"train": part.views()}, prepare, width=256, about=about, device=CPU, store=store)


def no_encoder() -> Encoder:
    raise AssertionError("the encoder was asked for")


@pytest.mark.parametrize("stored", [True, False])
def test_a_bank_encodes_each_item_once(tmp_path: Path, stored: bool) -> None:
    part = Part()
    bank = bank_of(part, FeatureStore(tmp_path, 10**9) if stored else None, tiny_source().load)
    assert bank.precision == resolve_precision("auto", CPU)
    part.asked.clear()  # a few were asked for to choose the precision
    if stored:
        some = bank.some("train", [3, 1])
        whole = bank("train")
        assert (whole[[3, 1]] == some).all()
    assert bank("train") is bank("train")
    assert (bank.some("train", [4]) == bank("train")[[4]]).all()
    assert part.asked == Counter(range(10))
    assert bank.encoded == 10


def test_a_second_bank_asks_neither_the_encoder_nor_the_items(tmp_path: Path) -> None:
    store, part = FeatureStore(tmp_path, 10**9), Part()
    first = bank_of(part, store, tiny_source().load)("train")
    part.asked.clear()
    second = bank_of(part, store, no_encoder)
    np.testing.assert_array_equal(second("train")[:], first[:])
    assert second.encoded == 0
    assert not part.asked


def test_another_encoder_is_asked_again(tmp_path: Path) -> None:
    store, part = FeatureStore(tmp_path, 10**9), Part()
    first = bank_of(part, store, tiny_source().load, weights="a")("train")
    other = bank_of(part, store, tiny_source(1).load, weights="b")
    assert not np.allclose(other("train")[:], first[:])
    assert other.encoded == 10


def test_only_what_is_new_or_damaged_is_encoded(tmp_path: Path) -> None:
    store, part = FeatureStore(tmp_path, 10**9), Part()
    whole = bank_of(part, store, tiny_source().load)("train")
    rows = next(tmp_path.glob("*/rows.bin"))
    content = bytearray(rows.read_bytes())
    content[4 * 256 * 6 + 1] ^= 1
    rows.write_bytes(content)
    again = bank_of(part, store, tiny_source().load)
    np.testing.assert_array_equal(again("train")[:], whole[:])
    assert again.encoded == 1


def test_a_bank_knows_its_encoder() -> None:
    bank = bank_of(Part(), None, tiny_source().load)
    other = tiny_source().load()
    assert bank.holds(other)
    next(other.parameters()).data.add_(1e-3)
    assert not bank.holds(other)


@pytest.mark.parametrize(("offset", "expected"), [(0.0, "bfloat16"), (300.0, "float32")])
def test_reduced_precision_is_kept_only_where_items_stay_apart(offset: float, expected: str) -> None:
    torch.manual_seed(0)
    encoder: Encoder = Rounded(offset)  # type: ignore[assignment]
    assert trusted_precision(encoder, torch.randn(8, 8), CPU, "bfloat16") == expected
    assert trusted_precision(encoder, torch.randn(8, 8), CPU, "float32") == "float32"


def test_features_too_many_to_hold_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, part = FeatureStore(tmp_path, 10**9), Part()
    held = bank_of(part, None, tiny_source().load)("train")
    monkeypatch.setattr("headstart.features.bank.HELD", 0)
    monkeypatch.setattr("headstart.features.bank.TOGETHER", 4)
    bank = bank_of(part, store, tiny_source().load)
    rows = bank("train")
    assert isinstance(rows, StoredRows)
    assert bank.encoded == 10
    assert (len(rows), rows.shape) == (10, (10, 256))
    np.testing.assert_array_equal(rows[:], held[:])
    np.testing.assert_array_equal(rows[2:7], held[2:7])
    np.testing.assert_array_equal(rows[np.array([7, 0, 1, 1])], held[np.array([7, 0, 1, 1])])
    np.testing.assert_array_equal(bank.some("train", [9, 2]), held[np.array([9, 2])])
    store.clear()
    np.testing.assert_array_equal(rows[:], held[:])  # what was opened stays readable
