"""The spectrogram is what librosa, Whisper's, AST's own processors and a discrete Fourier transform by hand say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from pydantic import ValidationError

from headstart.core.card import AudioInput, Mel
from headstart.core.errors import ShapeError
from headstart.nn.spectrogram import log_mel, mel_filters

LIBROSA = json.loads((Path(__file__).parent / "data" / "librosa_mel.json").read_text())
"""What librosa 0.11 gave for `signal()` with the settings of SETTINGS."""

SETTINGS = (
    Mel(bands=40, log="none"),
    Mel(
        bands=64, transform=1024, window=512, hop=256, lowest=50, highest=7000, scale="htk", norm="none", power=1,
        edges="zeros", log="none",
    ),
    Mel(bands=32, window=512, hop=200, edges="none", log="none"),
    Mel(bands=96, window=2048, hop=1024, scale="htk", norm="sum", edges="zeros", log="none"),
)  # fmt: skip


def signal() -> torch.Tensor:
    """(1, 8000): half a second at 16 kHz: a tone, a rising tone, something like noise."""
    n = np.arange(8000)
    t = n / 16000
    tones = 0.5 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * (1000 + 2000 * t) * t)
    return torch.from_numpy((tones + 0.01 * np.cos(0.7 * n**1.5)).astype(np.float32))[None]


def contract(mel: Mel, seconds: float = 0.5) -> AudioInput:
    return AudioInput(rate=16_000, seconds=seconds, mel=mel)


@pytest.mark.parametrize(("mel", "expected"), zip(SETTINGS, LIBROSA, strict=True))
def test_energies_are_those_of_librosa(mel: Mel, expected: dict[str, list[int]]) -> None:
    found = log_mel(signal(), contract(mel))[0]
    assert list(found.shape) == expected["shape"] == [mel.bands, contract(mel).frames]
    few = found[expected["rows"]][:, expected["columns"]]
    torch.testing.assert_close(few, torch.tensor(expected["energies"]), rtol=1e-4, atol=1e-6)
    assert found.sum().item() == pytest.approx(expected["sum"], rel=1e-5)


def by_hand(wave: np.ndarray, mel: Mel) -> np.ndarray:
    """(bands, frames): each frame's Fourier transform as a sum over its samples."""
    size = mel.transform or mel.window
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(mel.window) / mel.window)
    wave = np.pad(wave, mel.window // 2, mode="reflect")
    waves = np.exp(-2j * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(mel.window)) / size)
    columns = []
    for start in range(0, len(wave) - mel.window + 1, mel.hop):
        energies = np.abs(waves @ (window * wave[start : start + mel.window])) ** mel.power
        columns.append(mel_filters(mel, 16_000).numpy().astype(np.float64) @ energies)
    return np.stack(columns, 1)


def test_levels_are_logarithms_of_energies_by_hand() -> None:
    mel = Mel(bands=24, window=256, transform=300, hop=128, power=1.5, log="none")
    energies = by_hand(signal()[0].double().numpy(), mel)
    for change, expected in (
        ({"log": "none"}, energies),
        ({"log": "clamp", "floor": 0.01, "mean": -1.0, "std": 2.0}, (np.log(np.maximum(energies, 0.01)) + 1) / 2),
        ({"log": "shift", "floor": 0.01, "std": math.log(10)}, np.log10(energies + 0.01)),
    ):
        found = log_mel(signal(), contract(mel.model_copy(update=change)))[0]
        torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-5)


def test_it_is_whispers_own() -> None:
    processor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=2)
    waves = torch.cat([signal(), signal().flip(1) * 0.01])
    expected = processor(list(waves.numpy()), sampling_rate=16_000, return_tensors="pt")["input_features"]
    padded = torch.nn.functional.pad(waves, (0, 24_000))
    mel = Mel(log="whisper")
    found = log_mel(padded, contract(mel, 2.0))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert found.shape[2] == contract(mel, 2.0).frames == 200
    filters = torch.from_numpy(processor.mel_filters.T).float()
    torch.testing.assert_close(mel_filters(mel, 16_000), filters, rtol=0, atol=1e-7)


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")  # as its authors have it
def test_it_is_the_audio_spectrogram_transformers_own() -> None:
    processor = transformers.ASTFeatureExtractor(max_length=48)
    expected = processor(signal()[0].numpy(), sampling_rate=16_000, return_tensors="pt")["input_values"][0].T
    mel = Mel(
        bands=128, transform=512, lowest=20, scale="htk", norm="none", edges="none", kaldi=True,
        floor=2.0**-23, mean=processor.mean, std=2 * processor.std,
    )  # fmt: skip
    found = log_mel(signal(), contract(mel))[0]
    assert found.shape == (128, contract(mel).frames) == (128, 48)
    torch.testing.assert_close(found, expected.float(), rtol=0, atol=5e-4)  # theirs is in double precision


def test_a_clip_does_not_depend_on_its_batch() -> None:
    waves = torch.cat([signal(), 0.001 * signal(), torch.zeros_like(signal())])
    mel = contract(Mel(log="whisper"))
    together = log_mel(waves, mel)
    assert torch.isfinite(together).all()
    for i in range(3):
        torch.testing.assert_close(together[i], log_mel(waves[i : i + 1], mel)[0], rtol=0, atol=1e-6)


def test_gradients_reach_the_wave() -> None:
    waves = signal().requires_grad_()
    (gradient,) = torch.autograd.grad(log_mel(waves, contract(Mel(power=1.0))).sum(), waves)
    assert torch.isfinite(gradient).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected waves \(B, 400 samples or more\), got \(1, 399\)"):
        log_mel(torch.zeros(1, 399), contract(Mel()))
    with pytest.raises(ShapeError, match="takes the wave itself"):
        log_mel(torch.zeros(1, 8000), AudioInput())
    with pytest.raises(ValueError, match="has no frames"):
        AudioInput().frames  # noqa: B018
    with pytest.raises(ValidationError, match="fewer than a window of 400"):
        contract(Mel(), 0.02)
    with pytest.raises(ValidationError, match="shorter than its window"):
        Mel(transform=256)
