"""The log-mel spectrogram, in torch, for every setting of `headstart.core.card.Mel`."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from headstart.core.card import AudioInput, Mel
from headstart.core.errors import ShapeError

_BREAK, _STEP = 1000.0, math.log(6.4) / 27
"""Slaney's scale is linear up to 1000 Hz (15 mels), then each mel is a factor of e ** _STEP."""

_EMPHASIS = 0.97


def log_mel(waves: Tensor, contract: AudioInput) -> Tensor:
    """The spectrograms that a network hears. waves: (B, samples) float -> (B, bands, frames), on the same device.

    Raises ShapeError where the contract has no mel, or waves are too short for a frame.
    """
    mel = contract.mel
    if mel is None:
        raise ShapeError("the contract has no mel: this network takes the wave itself")
    edge = 0 if mel.edges == "none" else mel.window // 2
    if waves.ndim != 2 or waves.shape[1] < mel.window:
        raise ShapeError(f"expected waves (B, {mel.window} samples or more), got {tuple(waves.shape)}")
    if edge:
        mode = "reflect" if mel.edges == "reflect" else "constant"
        waves = torch.nn.functional.pad(waves[:, None], (edge, edge), mode=mode)[:, 0]
    frames = waves.unfold(1, mel.window, mel.hop)
    if mel.log == "whisper":
        frames = frames[:, :-1]
    if mel.kaldi:
        frames = frames - frames.mean(2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], 2)
        frames = frames - _EMPHASIS * before
    window = torch.hann_window(mel.window, periodic=not mel.kaldi, device=waves.device)
    spectrum = torch.fft.rfft(frames * window, n=mel.transform or mel.window)
    energies = torch.view_as_real(spectrum).square().sum(3) if mel.power == 2 else spectrum.abs().pow(mel.power)
    bands = mel_filters(mel, contract.rate).to(waves.device) @ energies.transpose(1, 2)
    return (_levels(bands, mel) - mel.mean) / mel.std


def _levels(bands: Tensor, mel: Mel) -> Tensor:
    match mel.log:
        case "clamp":
            return bands.clamp(min=mel.floor).log()
        case "shift":
            return (bands + mel.floor).log()
        case "whisper":
            levels = bands.clamp(min=mel.floor).log10()
            return (torch.maximum(levels, levels.amax((1, 2), keepdim=True) - 8) + 4) / 4
        case "none":
            return bands


@lru_cache(maxsize=16)
def mel_filters(mel: Mel, rate: int) -> Tensor:
    """The weights of the frequencies in each band: (bands, bins) float32, bins = transform // 2 + 1. Not to be changed.

    Triangles between neighbouring centres that are evenly spaced in mels, from `lowest` to `highest` (half the rate).
    """
    size = mel.transform or mel.window
    bins = np.arange(size // 2 + 1) * (rate / size)
    low, high = _to_mels(np.array([mel.lowest, mel.highest or rate / 2]), mel)
    corners = np.linspace(low, high, mel.bands + 2)
    hertz = _to_hertz(corners, mel)
    at, place = (corners, _to_mels(bins, mel)) if mel.kaldi else (hertz, bins)
    widths = np.diff(at)[:, None]
    rising = (place - at[:-2, None]) / widths[:-1]
    falling = (at[2:, None] - place) / widths[1:]
    filters = np.maximum(0, np.minimum(rising, falling))
    if mel.norm == "slaney":
        filters *= (2 / (hertz[2:] - hertz[:-2]))[:, None]
    elif mel.norm == "sum":
        total = filters.sum(1, keepdims=True)
        filters = np.divide(filters, total, out=filters, where=total > 0)
    return torch.from_numpy(filters.astype(np.float32))


def band_edges(mel: Mel, rate: int) -> np.ndarray:
    """(bands + 1,) hertz, ascending: where the bands of a spectrogram begin and end, halfway between their centres."""
    low, high = _to_mels(np.array([mel.lowest, mel.highest or rate / 2]), mel)
    corners = np.linspace(low, high, mel.bands + 2)
    return _to_hertz((corners[:-1] + corners[1:]) / 2, mel)


def _to_mels(hertz: np.ndarray, mel: Mel) -> np.ndarray:
    if mel.scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    return np.where(hertz < _BREAK, hertz * 0.015, 15 + np.log(np.maximum(hertz, _BREAK) / _BREAK) / _STEP)


def _to_hertz(mels: np.ndarray, mel: Mel) -> np.ndarray:
    if mel.scale == "htk":
        return 700 * (10 ** (mels / 2595) - 1)
    return np.where(mels < 15, mels / 0.015, _BREAK * np.exp(_STEP * (np.maximum(mels, 15) - 15)))
