"""From encoded bytes to a wave, and from a wave to what a network hears.

A wave is a float32 array (samples,), one channel, full scale -1..1.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np

from headstart.core.card import AudioInput
from headstart.core.errors import DataError
from headstart.core.extras import require

LONGEST: Final = 2 * 60 * 60
"""Seconds. A wave of two hours at 48 kHz takes 1.4 GB."""
LARGEST: Final = 512_000_000
"""Bytes of a file: several are read at a time."""
_SMALL: Final = 8_000_000
"""Bytes of a file that is read before anything is asked of it."""

SUFFIXES: Final = frozenset(
    (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64")
)
"""File name endings that are read as sound; what is inside is found from the content."""

_BLOCK: Final = 1 << 18
"""Samples of each channel that are decoded at a time: channels never lie in memory whole."""
_MARGIN: Final = 0.1
"""Seconds beyond what is needed, at either end, for the resampler."""
_LOUD: Final = 0.99
"""Of full scale; 8 bits end at 127 / 128."""
_CLIPPED: Final = 0.001
_SILENT: Final = 1e-4
_OVER: Final = 4.0
_ABSURD: Final = 1e6
"""Of full scale: far beyond whole numbers of 16 bits that were stored as fractions."""
_SHORT: Final = 0.05
"""Seconds."""
_SPEECH: Final = 10 ** (-30 / 20)


class SoundError(DataError):
    """An item that cannot be turned into a wave. code: as in a Finding."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Facts:
    """What the file was before it became a wave.

    format: container and encoding ("WAV PCM_16"). rate: hertz. seconds: of the whole file.
    traits: any of "multichannel", "8-bit", "clipped", "over", "short", "silent"; all are handled. "clipped": of a
    thousand samples, one or more repeat the one before them at full scale. "over": beyond four times full scale, which
    only files of fractions can be. "short": below 50 ms. "silent": nothing is above -80 dB of full scale.
    """

    format: str
    rate: int
    channels: int
    seconds: float
    traits: tuple[str, ...]


def is_sound_name(name: str) -> bool:
    """Whether a file name ends as a recording's does."""
    return PurePath(name).suffix.lower() in SUFFIXES


def read_sound(data: bytes, name: str, *, seconds: float | None = None) -> tuple[np.ndarray, Facts]:
    """Encoded bytes -> (wave (samples,) float32 at the file's own rate, facts). Channels are averaged.

    seconds: how much of the middle is needed; a little more is decoded. None is all of it.

    Raises SoundError (a DataError) naming the item: "unreadable-audio", "empty-audio" (no samples), or "too-long" (over
    two hours, told from the header: nothing is decoded). MissingExtra without the soundfile package.
    """
    soundfile = require("soundfile", "audio", "reading sound")
    if not data:
        raise SoundError("unreadable-audio", f"{name}: the file is empty (0 bytes). Replace or remove it.")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_length(file.frames / file.samplerate, name)
            wave, clipped = _mono(file, seconds)
            facts = Facts(
                f"{file.format} {file.subtype}",
                file.samplerate,
                file.channels,
                file.frames / file.samplerate,
                _traits(file, wave, clipped),
            )
    except soundfile.SoundFileError as error:
        raise SoundError("unreadable-audio", f"{name}: {_what_it_is(data, error)}") from None
    if not len(wave):
        raise SoundError("empty-audio", f"{name}: the recording ends before its first sample. Replace or remove it.")
    if not np.isfinite(wave).all():
        raise SoundError(
            "unreadable-audio", f"{name}: it holds samples that are not finite numbers. Replace or remove it."
        )
    if float(np.abs(wave).max()) > _ABSURD:
        raise SoundError(
            "unreadable-audio",
            f"{name}: it holds samples of up to {float(np.abs(wave).max()):.0e}, where full scale is 1. Scale it, or "
            "remove it.",
        )
    return wave, facts


def length_of(sound: bytes | Path) -> float | None:
    """Seconds that a recording lasts, by its header alone; None where it has none that can be read."""
    soundfile = require("soundfile", "audio", "reading sound")
    try:
        with soundfile.SoundFile(io.BytesIO(sound) if isinstance(sound, bytes) else sound) as file:
            return float(file.frames / file.samplerate)
    except soundfile.SoundFileError:
        return None


def require_moderate(path: Path, name: str) -> None:
    """Refuse a file that is too long or too large before it is read, by its header and size. Raises SoundError."""
    try:
        size = path.stat().st_size
    except OSError:  # who reads it says what is wrong
        return
    if size > _SMALL:
        _check_length(length_of(path) or 0.0, name)
    if size > LARGEST:
        raise SoundError(
            "too-long",
            f"{name}: the file takes {size / 1e6:,.0f} MB, more than the {LARGEST / 1e6:,.0f} that are read at once. "
            "Cut it into clips, each with its own label.",
        )


def resample(wave: np.ndarray, rate: int, to: int) -> np.ndarray:
    """A wave (samples,) of `rate` hertz at `to` hertz, float32: band-limited, without delay (soxr, high quality)."""
    if rate == to:
        return wave
    resampled: np.ndarray = require("soxr", "audio", "changing the rate of sound").resample(wave, rate, to)
    return resampled


def fitted(wave: np.ndarray, contract: AudioInput) -> np.ndarray:
    """A wave at the contract's rate -> (contract.samples,) float32: the middle of a longer one, silence after a
    shorter, its level as the contract says."""
    size = contract.samples
    start = max(0, (len(wave) - size) // 2)
    heard = _levelled(wave[start : start + size], contract)
    return np.pad(heard, (0, size - len(heard)))


def _levelled(heard: np.ndarray, contract: AudioInput) -> np.ndarray:
    """Silence stays silence."""
    match contract.level:
        case "none":
            return heard
        case "peak":
            return heard / max(float(np.abs(heard).max()), _SILENT)
        case "unit":
            return (heard - np.float32(heard.mean())) / np.float32(np.sqrt(heard.var() + 1e-7))
        case "speech":
            loudness = float(np.sqrt(np.mean(np.square(heard, dtype=np.float64))))
            return heard * np.float32(max(1.0, _SPEECH / max(loudness, _SILENT)))


def _check_length(seconds: float, name: str) -> None:
    if seconds > LONGEST:
        raise SoundError(
            "too-long",
            f"{name}: it lasts {seconds / 3600:.1f} hours, more than the "
            f"{LONGEST // 3600} that are read at once. Cut it into clips, each with its own label.",
        )


def _mono(file: Any, seconds: float | None) -> tuple[np.ndarray, int]:
    """(samples,) of the middle of an open file, and how many samples of its channels are clipped."""
    count: int = file.frames
    if seconds is not None:
        count = min(count, round((seconds + 2 * _MARGIN) * file.samplerate))
        file.seek((file.frames - count) // 2)
    wave, clipped, done = np.empty(count, np.float32), 0, 0
    while done < count:
        block = file.read(min(_BLOCK, count - done), dtype="float32", always_2d=True)
        if not len(block):  # shorter than its header says
            break
        wave[done : done + len(block)] = block.mean(1)
        clipped += int(((np.abs(block[1:]) >= _LOUD) & (block[1:] == block[:-1])).any(1).sum())
        done += len(block)
    return wave[:done], clipped


def _traits(file: Any, wave: np.ndarray, clipped: int) -> tuple[str, ...]:
    found = {
        "multichannel": file.channels > 1,
        "8-bit": file.subtype in ("PCM_S8", "PCM_U8"),
        "clipped": clipped > _CLIPPED * len(wave),
        "over": len(wave) > 0 and bool(np.abs(wave).max() > _OVER),
        "short": 0 < file.frames < _SHORT * file.samplerate,
        "silent": len(wave) > 0 and bool(np.abs(wave).max() < _SILENT),
    }
    return tuple(name for name, present in found.items() if present)


def _what_it_is(data: bytes, error: Exception) -> str:
    if len(data) > 3 and data[:512].isascii() and data[:512].decode().isprintable():
        return f"this is text, not sound (it begins {data[:20].decode()!r}). Replace or remove it."
    if data[4:8] == b"ftyp":
        return "this is MPEG-4 audio, which is not read. Convert it to FLAC or WAV: ffmpeg -i IN.m4a OUT.flac"
    reason = str(error).rpartition(": ")[2].strip().rstrip(".")
    return f"not sound in a known format, or damaged ({reason}). Replace or remove it."
