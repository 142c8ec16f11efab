"""Recordings as users have them: every encoding comes out as one wave, and what is wrong with a file is said."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from headstart.core import extras
from headstart.core.card import AudioInput
from headstart.core.errors import MissingExtra
from headstart.data.sound import SoundError, fitted, is_sound_name, read_sound, resample

RATE = 16_000


def tone(seconds: float = 0.5, height: float = 440.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * height * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def encoded(wave: np.ndarray, format: str = "WAV", subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    """wave: (samples,) or (samples, channels)."""
    out = io.BytesIO()
    soundfile.write(out, wave, rate, format=format, subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize(
    ("format", "subtype", "error"),
    [
        ("WAV", "PCM_U8", 1 / 128),
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0.0),
        ("WAV", "DOUBLE", 0.0),
        ("FLAC", "PCM_16", 1e-4),
        ("AIFF", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 0.03),
        ("MP3", "MPEG_LAYER_III", 0.03),
    ],
)
def test_every_encoding_gives_the_wave(format: str, subtype: str, error: float) -> None:
    wave, facts = read_sound(encoded(tone(), format, subtype), "a")
    assert wave.dtype == np.float32
    assert (facts.format, facts.rate, facts.channels) == (f"{format} {subtype}", RATE, 1)
    assert facts.seconds == pytest.approx(0.5, abs=0.08)  # MP3 counts in whole frames
    assert facts.traits == (("8-bit",) if subtype == "PCM_U8" else ())
    middle = slice(1000, 7000)
    assert np.abs(wave[middle] - tone()[middle]).max() <= error


def test_channels_are_averaged() -> None:
    surround = np.stack([tone() * share for share in (1, 0.5, 0, 0, 0.25, 0.25)], 1)
    out = io.BytesIO()
    soundfile.write(out, surround, RATE, format="WAVEX", subtype="PCM_24")
    wave, facts = read_sound(out.getvalue(), "5.1.wav")
    np.testing.assert_allclose(wave, tone() / 3, atol=1e-6)
    assert facts.channels == 6
    assert facts.traits == ("multichannel",)


def test_only_the_middle_is_decoded_where_it_is_enough() -> None:
    parts = np.concatenate([tone(2, 300), tone(1, 440), tone(2, 600)])
    wave, facts = read_sound(encoded(parts), "a.wav", seconds=1)
    assert facts.seconds == 5
    assert len(wave) == 1.2 * RATE
    np.testing.assert_allclose(fitted(wave, AudioInput(rate=RATE, seconds=1)), tone(1, 440), atol=1e-4)
    np.testing.assert_array_equal(read_sound(encoded(parts), "a.wav", seconds=60)[0], read_sound(encoded(parts), "")[0])


def test_a_long_recording_is_decoded_in_pieces() -> None:
    wave = np.tile(tone(1), 40)
    np.testing.assert_array_equal(read_sound(encoded(wave, subtype="FLOAT"), "a")[0], wave)


@pytest.mark.parametrize(
    ("wave", "traits"),
    [
        (np.zeros(800, np.float32), ("silent",)),
        (np.clip(4 * tone(), -1, 1), ("clipped",)),
        (2 * tone(), ()),  # reaches full scale, and stays whole
        (np.full(800, 5e-5, np.float32), ("silent",)),
    ],
)
def test_traits(wave: np.ndarray, traits: tuple[str, ...]) -> None:
    assert read_sound(encoded(wave), "a")[1].traits == traits


HEADER = encoded(tone())[:44]
THREE_HOURS = HEADER[:4] + struct.pack("<I", 36 + 3 * 3600 * 2 * RATE) + HEADER[8:40]
NOT_FINITE = np.array([0, np.nan, 0.5, np.inf] * 100, np.float32)


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", "unreadable-audio", "the file is empty (0 bytes)"),
        (
            b"hello, this is my recording",
            "unreadable-audio",
            "this is text, not sound (it begins 'hello, this is my re",
        ),
        (b"\x00\x00\x00\x18ftypM4A " + bytes(100), "unreadable-audio", "ffmpeg -i IN.m4a OUT.flac"),
        (bytes(range(200, 256)) * 4, "unreadable-audio", "not sound in a known format, or damaged"),
        (encoded(tone(), "FLAC")[:30], "unreadable-audio", "not sound in a known format, or damaged"),
        (encoded(np.zeros(0, np.float32)), "empty-audio", "ends before its first sample"),
        (HEADER, "empty-audio", "ends before its first sample"),
        (encoded(NOT_FINITE, subtype="FLOAT"), "unreadable-audio", "not finite numbers"),
    ],
)
def test_what_cannot_be_heard_is_refused_by_name(data: bytes, code: str, says: str) -> None:
    with pytest.raises(SoundError) as caught:
        read_sound(data, "dog/1.wav")
    assert caught.value.code == code
    assert str(caught.value).startswith("dog/1.wav: ")
    assert says in str(caught.value)


def test_a_recording_of_three_hours_is_refused_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(np.zeros(3 * 3600 * 100, np.float32), "FLAC", rate=100)

    def decoded(*_: object, **__: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(soundfile.SoundFile, "read", decoded)
    with pytest.raises(SoundError, match=r"it lasts 3\.0 hours, more than the 2 .* Cut it into clips") as caught:
        read_sound(data, "a.flac", seconds=5)
    assert caught.value.code == "too-long"


def test_a_truncated_recording_gives_what_is_there() -> None:
    data = encoded(tone())
    np.testing.assert_array_equal(read_sound(data[:8044], "a.wav")[0], read_sound(data, "a.wav")[0][:4000])


def test_resampling_keeps_tones_below_half_the_rate_and_removes_the_others() -> None:
    wave = tone(1, 440, 44_100) + tone(1, 6000, 44_100)
    lower = resample(wave, 44_100, 8000)
    assert lower.dtype == np.float32
    assert len(lower) == 8000
    np.testing.assert_allclose(lower[400:-400], tone(1, 440, 8000)[400:-400], atol=2e-3)
    assert resample(wave, 8000, 8000) is wave


def test_a_clip_is_made_as_long_as_the_contract_says() -> None:
    contract = AudioInput(rate=1000, seconds=0.01)
    assert fitted(np.arange(4, dtype=np.float32), contract).tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 0, 0]
    assert fitted(np.arange(13, dtype=np.float32), contract).tolist() == list(range(1, 11))


def test_levels() -> None:
    wave = (0.001 * (1 + tone())).astype(np.float32)

    def level(name: str, wave: np.ndarray) -> np.ndarray:
        contract = AudioInput.model_validate({"rate": RATE, "seconds": 1.0, "level": name})
        made = fitted(wave, contract)
        assert made.dtype == np.float32
        assert not made[len(wave) :].any()
        return made[: len(wave)]

    np.testing.assert_array_equal(level("none", wave), wave)
    assert np.abs(level("peak", wave)).max() == pytest.approx(1)
    unit = level("unit", wave)
    assert unit.mean() == pytest.approx(0, abs=1e-5)
    assert unit.std() == pytest.approx(1, abs=0.5)
    assert np.sqrt(np.mean(level("speech", wave) ** 2)) == pytest.approx(10**-1.5, rel=1e-4)
    np.testing.assert_array_equal(level("speech", tone()), tone())
    for name in ("none", "peak", "unit", "speech"):
        assert not level(name, np.zeros(100, np.float32)).any()


def test_names() -> None:
    assert is_sound_name("a/B.WAV")
    assert is_sound_name("x.mp3")
    assert not is_sound_name("x.wav.txt")


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras, "import_module", absent)
    with pytest.raises(MissingExtra, match=r"reading sound needs .*pip install 'headstart\[audio\]'"):
        read_sound(b"RIFF", "a.wav")
    with pytest.raises(MissingExtra, match=r"pip install 'headstart\[audio\]'"):
        resample(tone(), 8000, 16_000)


def test_real_recordings(shared_data: Path) -> None:
    for folder, rate in (("esc10/audio", 22_050), ("fsdd_1200/recordings", 8000)):
        file = next(path for path in sorted((shared_data / folder).rglob("*")) if is_sound_name(path.name))
        wave, facts = read_sound(file.read_bytes(), file.name)
        assert facts.rate == rate
        assert len(wave) == pytest.approx(facts.seconds * rate, abs=1)
