"""Recordings: kept as waves at the rate that is wanted; views are log-mel spectrograms, or the wave itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from headstart.core.card import AudioInput, Mel
from headstart.core.config import AugmentConfig
from headstart.core.errors import ShapeError, some
from headstart.data.checks import with_traits
from headstart.data.dataset import Dataset, Finding, Item
from headstart.data.modalities.base import Check, Look, Modality, Plain, Seen
from headstart.data.sound import fitted, length_of, read_sound, require_moderate, resample
from headstart.data.transforms.audio import train_levels, train_wave
from headstart.nn.spectrogram import log_mel

BANDS, SEGMENTS = 40, 16
"""Of the plain features: mel bands, and parts of the time."""
SHOWN: Final = 5
PROBED: Final = 200
"""Recordings whose lengths are looked at."""
SHORTEST, LONGEST = 0.5, 10.0
OVER: Final = 0.1
"""Half seconds that may be lost: clips cut to five seconds last 5.001 s once they are encoded."""

_TRAITS: Final = {
    "clipped": "are clipped: many samples in a row at full scale",
    "multichannel": "have several channels, which were averaged",
    "over": "go far beyond full scale, as whole numbers that were stored as fractions do: divide them by the largest",
    "short": "last less than 50 ms",
    "8-bit": "have 8 bits a sample: they carry audible noise",
}


def traits(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """What was odd about recordings; worth knowing if only some classes have it."""
    yield from with_traits(dataset, looks, _TRAITS, "sound", "recording")


def silent(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Recordings of nothing."""
    ids = [item.id for item, look in zip(dataset.items, looks, strict=True) if look.flat]
    if ids:
        yield Finding("warning", "silent", f"{len(ids)} recording(s) hold no sound: {some(ids)}.", tuple(ids))


def rates(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Recordings of several rates: what is above half the lowest rate tells them apart, whatever is in them."""
    found = sorted({look.facts.rate for look in looks if look.facts is not None})
    if len(found) > 1:
        shown = ", ".join(f"{rate} Hz" for rate in found[:SHOWN])
        message = (
            f"recordings have {len(found)} sampling rates ({shown}). If classes differ in theirs, a model may learn "
            "the rate instead of the sound."
        )
        yield Finding("warning", "several-rates", message)


class AudioModality(Modality[AudioInput, np.ndarray]):
    """What is kept is a wave: float32 (samples,) at the contract's rate, its middle where it is longer."""

    noun: ClassVar[str] = "recording"
    plural: ClassVar[str] = "recordings"
    example: ClassVar[tuple[str, str]] = ("clip.wav", "other_recordings/")
    checks: ClassVar[tuple[Check, ...]] = (traits, silent, rates)

    def admit(self, item: Item) -> None:
        if isinstance(item.input, Path):
            require_moderate(item.input, item.id)

    def look(self, content: bytes, item: Item, contract: AudioInput | None) -> Seen[np.ndarray]:
        wave, facts = read_sound(content, item.id, seconds=None if contract is None else contract.seconds)
        kept = None if contract is None else self._at_rate(wave, facts.rate, contract)
        return Seen(facts, kept, flat="silent" in facts.traits)

    def read(self, item: Item, contract: AudioInput) -> np.ndarray:
        self.admit(item)
        wave, facts = read_sound(item.content(), item.id, seconds=contract.seconds)
        return self._at_rate(wave, facts.rate, contract)

    def _at_rate(self, wave: np.ndarray, rate: int, contract: AudioInput) -> np.ndarray:
        return np.ascontiguousarray(resample(wave, rate, contract.rate), np.float32)

    def weigh(self, kept: np.ndarray) -> int:
        return kept.nbytes

    def evaluation(self, kept: np.ndarray, contract: AudioInput) -> np.ndarray:
        """float32 (bands, frames), or (samples,) where the contract has no spectrogram."""
        return self._view(fitted(kept, contract), contract)

    def training(self, kept: np.ndarray, contract: AudioInput, augment: AugmentConfig, seed: int) -> np.ndarray:
        view = self._view(train_wave(fitted(kept, contract), augment, seed), contract)
        return view if contract.mel is None else train_levels(view, augment, seed)

    def varies(self, augment: AugmentConfig) -> bool:
        return any((augment.time_shift, augment.gain, augment.noise, augment.mask_bands, augment.mask_frames))

    def _view(self, wave: np.ndarray, contract: AudioInput) -> np.ndarray:
        if contract.mel is None:
            return wave
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):  # the same whoever asks for it
            view: np.ndarray = log_mel(torch.from_numpy(np.ascontiguousarray(wave))[None], contract)[0].numpy()
        return view

    def collate(self, views: Sequence[np.ndarray], contract: AudioInput) -> Tensor:
        """float32 (B, bands, frames) or (B, samples)."""
        return torch.from_numpy(np.stack(views)) if views else torch.empty(0, *self._shape(contract))

    def _shape(self, contract: AudioInput) -> tuple[int, ...]:
        return (contract.samples,) if contract.mel is None else (contract.mel.bands, contract.frames)

    def require(self, batch: Tensor, contract: AudioInput) -> None:
        shape = self._shape(contract)
        if batch.dtype != torch.float32 or tuple(batch.shape[1:]) != shape:
            raise ShapeError(
                f"expected float32 sounds of shape (B, {', '.join(map(str, shape))}), "
                f"got {batch.dtype} {tuple(batch.shape)}."
            )

    def noise(self, contract: AudioInput, count: int) -> Tensor:
        waves = 0.1 * np.random.default_rng(0).standard_normal((count, contract.samples), dtype=np.float32)
        return self.collate([self.evaluation(wave, contract) for wave in waves], contract)

    def about_plain(self, contract: AudioInput) -> Plain:
        return Plain("spectrogram", f"{BANDS} x {SEGMENTS} log-mel levels")

    def plain(
        self, train: Sequence[np.ndarray], others: Sequence[Sequence[np.ndarray]], contract: AudioInput
    ) -> list[np.ndarray]:
        """(N, 40 * 16 + 2 * 40): the spectrogram on a coarse grid, and each band's mean and deviation."""
        simple = AudioInput(
            rate=contract.rate,
            seconds=max(contract.seconds, 0.1),
            mel=Mel(bands=BANDS, window=contract.rate // 20, hop=contract.rate // 80, floor=1e-8),
        )
        return [self._rows(part, simple) for part in (train, *others)]

    def _rows(self, part: Sequence[np.ndarray], simple: AudioInput) -> np.ndarray:
        nothing = np.zeros((0, BANDS * SEGMENTS + 2 * BANDS), np.float32)
        return np.stack([self._coarse(kept, simple) for kept in part]) if part else nothing

    def _coarse(self, kept: np.ndarray, simple: AudioInput) -> np.ndarray:
        levels = torch.from_numpy(self.evaluation(kept, simple))
        grid = adaptive_avg_pool2d(levels[None], (BANDS, SEGMENTS)).flatten()
        row: np.ndarray = torch.cat([grid, levels.mean(1), levels.std(1)]).numpy()
        return row

    def describe(self, contract: AudioInput) -> str:
        seen = "the wave" if contract.mel is None else f"log-mel spectrogram of {contract.mel.bands} bands"
        return f"{contract.seconds:g} seconds at {contract.rate} Hz, {seen}"


def usual_seconds(dataset: Dataset) -> float:
    """How much of a recording a network should hear where it may choose: what nearly all of them last, to the half
    second above (a few hundredths over a half second are left out), between half a second and ten seconds."""
    spread = np.unique(np.linspace(0, len(dataset) - 1, min(PROBED, len(dataset))).round().astype(int))
    given = [dataset[index].input for index in spread.tolist()]
    found = [length_of(sound) for sound in given if isinstance(sound, bytes | Path)]
    lengths = [seconds for seconds in found if seconds is not None]  # of others the survey tells
    usual = float(np.quantile(lengths, 0.95)) if lengths else LONGEST
    return float(np.clip(np.ceil(2 * usual - OVER) / 2, SHORTEST, LONGEST))


AUDIO = AudioModality()
