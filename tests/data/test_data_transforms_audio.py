"""Training views of recordings: each setting does what it says and no more, and the seed alone decides."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.card import AudioInput, Mel
from headstart.core.config import AugmentConfig
from headstart.data.modalities.audio import AUDIO
from headstart.data.transforms.audio import shifted, train_levels, train_wave

WAVE = (0.2 * np.sin(0.3 * np.arange(4000))).astype(np.float32)
LEVELS = np.random.default_rng(0).standard_normal((40, 100)).astype(np.float32)
ALL = AugmentConfig(time_shift=0.3, gain=6, noise=0.5, mask_bands=0.2, mask_frames=0.3)


def test_the_seed_decides_and_nothing_is_changed_in_place() -> None:
    wave, levels = WAVE.copy(), LEVELS.copy()
    for view, given in ((train_wave, WAVE), (train_levels, LEVELS)):
        first = view(given, ALL, 7)
        assert first.dtype == np.float32
        assert first.shape == given.shape
        np.testing.assert_array_equal(first, view(given, ALL, 7))
        assert not np.array_equal(first, view(given, ALL, 8))
    np.testing.assert_array_equal(WAVE, wave)
    np.testing.assert_array_equal(LEVELS, levels)


@pytest.mark.parametrize("augment", [AugmentConfig(), ALL.model_copy(update={"policy": "none"})])
def test_off_is_off(augment: AugmentConfig) -> None:
    assert train_wave(WAVE, augment, 1) is WAVE
    assert train_levels(LEVELS, augment, 1) is LEVELS


def test_a_shift_leaves_silence_behind() -> None:
    assert shifted(np.arange(1, 6), 2).tolist() == [0, 0, 1, 2, 3]
    assert shifted(np.arange(1, 6), -2).tolist() == [3, 4, 5, 0, 0]
    assert shifted(np.arange(1, 6), 5).tolist() == [0] * 5
    mark = np.zeros(1000, np.float32)
    mark[500] = 1
    places = [int(train_wave(mark, AugmentConfig(time_shift=0.2), seed).argmax()) for seed in range(300)]
    assert 300 <= min(places) < 330
    assert 670 < max(places) <= 700


def test_gain_and_noise_stay_within_their_bounds() -> None:
    def loudness(wave: np.ndarray) -> float:
        return float(np.sqrt(np.mean(wave**2)))

    gains = [20 * np.log10(loudness(train_wave(WAVE, AugmentConfig(gain=6), s)) / loudness(WAVE)) for s in range(200)]
    assert -6.001 <= min(gains) < -5
    assert 5 < max(gains) <= 6.001
    noises = [loudness(train_wave(WAVE, AugmentConfig(noise=0.5), s) - WAVE) / loudness(WAVE) for s in range(200)]
    assert min(noises) < 0.05
    assert 0.45 < max(noises) < 0.53
    assert not train_wave(0 * WAVE, AugmentConfig(noise=0.5), 1).any()


@pytest.mark.parametrize(("name", "axis"), [("mask_bands", 0), ("mask_frames", 1)])
def test_masks_are_whole_stretches_of_the_mean(name: str, axis: int) -> None:
    augment = AugmentConfig.model_validate({name: 0.25, "masks": 1})
    widths = []
    for seed in range(200):
        masked = np.moveaxis(train_levels(LEVELS, augment, seed), axis, 0)
        changed = (masked != np.moveaxis(LEVELS, axis, 0)).all(1)
        np.testing.assert_array_equal(masked[~changed], np.moveaxis(LEVELS, axis, 0)[~changed])
        np.testing.assert_allclose(masked[changed], LEVELS.mean())
        assert np.count_nonzero(np.diff(changed.astype(int))) <= 2
        widths.append(int(changed.sum()))
    assert min(widths) == 0
    assert max(widths) == round(0.25 * LEVELS.shape[axis])


def test_a_training_view_has_both() -> None:
    contract = AudioInput(rate=8000, seconds=0.5, mel=Mel(bands=20))
    view = AUDIO.training(WAVE, contract, AugmentConfig(mask_frames=1.0), 3)
    assert view.shape == (20, contract.frames)
    assert not np.array_equal(view, AUDIO.evaluation(WAVE, contract))
    np.testing.assert_array_equal(AUDIO.training(WAVE, contract, AugmentConfig(), 3), AUDIO.evaluation(WAVE, contract))
    plain = AudioInput(rate=8000, seconds=0.5)
    np.testing.assert_array_equal(AUDIO.training(WAVE, plain, AugmentConfig(mask_frames=1.0), 3), WAVE)
    assert not np.array_equal(AUDIO.training(WAVE, plain, AugmentConfig(gain=6), 3), WAVE)
