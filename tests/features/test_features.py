"""Extraction: the right rows in the right order, once, in a format that tells the truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.core.types import Features
from headstart.features.bank import FeatureBank
from headstart.features.extract import extract, trusted_precision
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


def test_rows_are_the_encoders_in_order() -> None:
    encoder = tiny_source().load()
    found = extract(encoder.train(), batches(), prepare, device=CPU, precision="float32")
    assert not encoder.training
    with torch.inference_mode():
        expected = encoder(prepare(torch.cat(list(batches())))).pooled.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.dtype == np.float32


def test_no_batches_give_no_rows() -> None:
    assert extract(tiny_source().load(), iter([]), prepare, device=CPU, precision="float32").shape == (0, 256)


def test_a_bank_extracts_each_part_once_and_knows_its_encoder() -> None:
    calls: list[str] = []

    def part(name: str) -> Iterator[Tensor]:
        calls.append(name)
        return batches()

    encoder = tiny_source().load()
    bank = FeatureBank(encoder, {"train": lambda: part("train")}, prepare, device=CPU, precision="float32")
    assert bank("train") is bank("train")
    assert calls == ["train"]
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
