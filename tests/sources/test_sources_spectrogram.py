"""An image source that hears: the picture is what docs/audio.md says, the network behind it is the one that it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from headstart.core.card import Architecture, AudioInput, ImageInput
from headstart.core.errors import SourceError
from headstart.nn.spectrogram import log_mel
from headstart.sources import LIBRARIES, build, resolve
from headstart.sources.spectrogram import SpectrogramEncoder, heard
from headstart.testing.sources import tiny_source


def encoder() -> SpectrogramEncoder:
    made = heard(tiny_source(), 1.0).load()
    assert isinstance(made, SpectrogramEncoder)
    return made


def test_its_card_is_of_a_source_that_hears() -> None:
    seen, card = tiny_source().card, heard(tiny_source(), 2.5).card
    assert (card.name, card.width, card.sha256) == (seen.name, seen.width, seen.sha256)
    assert card.modality == card.input.modality == "audio"
    assert isinstance(card.input, AudioInput)
    assert card.input.seconds == 2.5
    assert card.architecture.library == "spectrogram"


def test_the_picture_shows_time_to_the_right_frequency_upwards_loudness_as_grey() -> None:
    made = encoder()
    assert isinstance(made.input, AudioInput)
    rate = made.input.rate
    wave = np.zeros(rate, np.float32)
    late = np.arange(rate // 2, rate)
    wave[late] = np.sin(2 * np.pi * 200 * late / rate)
    levels = log_mel(torch.from_numpy(wave)[None], made.input)
    grey = made.pictures(levels)[0] * 0.5 + 0.5
    assert grey.shape == (3, 32, 32)
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])
    assert grey.min() == 0
    assert grey.max().item() == pytest.approx(1, abs=0.1)
    assert grey[0, :, :14].max() < 0.1
    assert grey[0, 26:, 20:].max() == grey.max()
    assert grey[0, :8, 20:].max() < 0.3


def test_loudness_does_not_matter_and_silence_is_black() -> None:
    made = encoder()
    assert isinstance(made.input, AudioInput)
    noise = torch.randn(1, made.input.samples, generator=torch.Generator().manual_seed(0))
    levels = log_mel(noise, made.input)
    torch.testing.assert_close(made.pictures(levels), made.pictures(levels - math.log(100)), rtol=0, atol=1e-5)
    assert torch.isfinite(made(log_mel(0 * noise, made.input)).pooled).all()


def test_it_is_the_same_network() -> None:
    made, seen = encoder(), tiny_source().load()
    levels = torch.randn(2, 128, 101, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(made(levels).pooled, seen(made.pictures(levels)).pooled)
    assert made.stages() == seen.stages()
    assert [len(block.parameters) for block in made.blocks] == [len(block.parameters) for block in seen.blocks]
    assert not [name for name in made.state_dict() if not name.startswith("seen.")]


def test_it_is_built_again_from_what_is_saved() -> None:
    made = encoder()
    kept = Architecture.model_validate_json(made.architecture.model_dump_json())
    again = build(kept, made.input)
    again.load_state_dict(made.state_dict())
    levels = torch.randn(2, 128, 101)
    with torch.no_grad():
        assert torch.equal(again(levels).pooled, made(levels).pooled)


def test_it_has_a_name_of_its_own() -> None:
    source = resolve("spectrogram:efficientnet-lite0")
    assert source.card.modality == "audio"
    assert isinstance(source.card.input, AudioInput)
    assert source.card.input.seconds == 5
    architecture, input = LIBRARIES["spectrogram"].describe("timm:test_efficientnet")
    assert (architecture.name, input.modality) == ("test_efficientnet", "audio")
    assert isinstance(tiny_source().card.input, ImageInput)


def test_what_hears_already_cannot_look() -> None:
    with pytest.raises(SourceError, match="is of audio; only a source of images"):
        heard(heard(tiny_source(), 1.0), 1.0).card  # noqa: B018
