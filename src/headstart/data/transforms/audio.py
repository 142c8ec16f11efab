"""What training hears of a recording: a random view of it, the same for the same seed."""

from __future__ import annotations

import numpy as np

from headstart.core.config import AugmentConfig


def train_wave(wave: np.ndarray, augment: AugmentConfig, seed: int) -> np.ndarray:
    """A wave (samples,) shifted in time, made louder or softer, under noise, in this order: float32 (samples,).

    Determined by `seed` (0 or larger) alone. Policy "none", and settings of 0, leave it as it is.
    """
    if augment.policy == "none":
        return wave
    rng = np.random.Generator(np.random.Philox(seed))
    if augment.time_shift:
        most = round(augment.time_shift * len(wave))
        wave = shifted(wave, int(rng.integers(-most, most, endpoint=True)))
    if augment.gain:
        wave = wave * np.float32(10 ** (rng.uniform(-augment.gain, augment.gain) / 20))
    if augment.noise:
        loudness = np.sqrt(np.mean(np.square(wave, dtype=np.float64)))
        share = rng.uniform(0, augment.noise)
        wave = wave + np.float32(share * loudness) * rng.standard_normal(len(wave), np.float32)
    return wave


def train_levels(levels: np.ndarray, augment: AugmentConfig, seed: int) -> np.ndarray:
    """A spectrogram (bands, frames) with stretches of time and of frequency set to its mean: SpecAugment without the
    warping of time (Park et al. 2019), widths drawn anew for each clip. float32 (bands, frames).

    Determined by `seed` (0 or larger) alone. Policy "none", and settings of 0, leave it as it is.
    """
    if augment.policy == "none" or not (augment.mask_bands or augment.mask_frames):
        return levels
    rng = np.random.Generator(np.random.Philox(seed).jumped())  # not the draws that `train_wave` made
    masked = levels.copy()
    mean = levels.mean()
    for axis, share in enumerate((augment.mask_bands, augment.mask_frames)):
        size = levels.shape[axis]
        for _ in range(augment.masks if share else 0):
            width = int(rng.integers(round(share * size), endpoint=True))
            start = int(rng.integers(size - width, endpoint=True))
            np.moveaxis(masked, axis, 0)[start : start + width] = mean
    return masked


def shifted(wave: np.ndarray, samples: int) -> np.ndarray:
    """The wave later by `samples` (earlier where negative), silence in the gap; what leaves the clip is lost."""
    moved = np.zeros_like(wave)
    kept = len(wave) - abs(samples)
    if samples >= 0:
        moved[samples:] = wave[:kept]
    else:
        moved[:kept] = wave[-samples:]
    return moved
