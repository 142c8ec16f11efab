"""Where inputs can be moved by little, on a tiny source of each modality."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from headstart.core.source import Source
from headstart.nn.entrance import entered, pooled_through, reach, values_of
from headstart.nn.model import Model
from headstart.testing.sources import (
    random_batch,
    tiny_audio_source,
    tiny_source,
    tiny_table_source,
    tiny_text_source,
)

SOURCES = {
    "image": tiny_source(),
    "text": tiny_text_source(),
    "audio": tiny_audio_source(),
    "table": tiny_table_source(),
}


def test_pictures_and_sounds_are_moved_themselves_and_words_as_vectors() -> None:
    shapes = {}
    for name, source in SOURCES.items():
        batch = random_batch(source.card.input)
        values = values_of(source.load(), batch)
        shapes[name] = values.shape == batch.shape
        assert values.dtype == torch.float32
        assert not values.requires_grad
    assert shapes == {"image": True, "text": False, "audio": True, "table": False}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_gradients_go_to_the_values_and_to_what_made_them(source: Source) -> None:
    """The same gradients of the weights as without, and of the values those by differences."""
    encoder = source.load().double()
    batch = random_batch(source.card.input)
    batch = batch.double() if batch.is_floating_point() else batch
    values = values_of(encoder, batch)

    def run(given: Tensor) -> Tensor:
        pooled: Tensor = encoder(given).pooled
        return pooled.square().sum()

    run(batch).backward()  # type: ignore[no-untyped-call]
    expected = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}
    encoder.zero_grad()
    moved = values.clone().requires_grad_()
    entered(encoder, run, batch, moved).backward()  # type: ignore[no-untyped-call]
    for name, parameter in encoder.named_parameters():
        if name in expected:
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, expected[name], msg=name)
    assert moved.grad is not None
    direction = torch.randn(values.shape, dtype=values.dtype, generator=torch.Generator().manual_seed(0))
    step = 1e-6 * direction / direction.norm()
    with torch.no_grad():
        slope = entered(encoder, run, batch, values + step) - entered(encoder, run, batch, values - step)
    torch.testing.assert_close(slope / 2, (moved.grad * step).sum(), rtol=1e-4, atol=1e-12)


def test_an_encoder_is_left_as_it_was() -> None:
    encoder = tiny_text_source().load()
    batch = random_batch(encoder.input)
    with torch.no_grad():
        before = encoder(batch).pooled
        entered(encoder, encoder, batch, 0 * values_of(encoder, batch))
        with pytest.raises(ZeroDivisionError):
            entered(encoder, lambda given: 1 / 0, batch, values_of(encoder, batch))
        assert torch.equal(encoder(batch).pooled, before)


def test_what_is_pooled_can_be_changed_on_its_way_to_the_head() -> None:
    model = Model(tiny_text_source().load(), 2).eval()
    model.head.weight.data.normal_()
    batch = random_batch(model.encoder.input)
    with torch.no_grad():
        pooled = model.encoder(batch).pooled
        with pooled_through(model.encoder, lambda values: values.flip(0)):
            changed = model(batch)
        torch.testing.assert_close(changed, model.answer(pooled.flip(0)))
        torch.testing.assert_close(model(batch), model.answer(pooled))


def test_a_module_that_does_not_run_is_not_reached() -> None:
    encoder = tiny_source().load()
    with pytest.raises(RuntimeError, match="not reached"):
        reach(encoder, torch.nn.Identity(), random_batch(encoder.input))
