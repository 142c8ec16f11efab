"""Recordings from a folder or table to a model that answers, by sources that hear and by image sources that look."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import DataError
from headstart.core.progress import Silent
from headstart.data.modalities.audio import usual_seconds
from headstart.data.read import read_dataset
from headstart.recipes.choose import suited
from headstart.recipes.evaluate import evaluate
from headstart.recipes.fit import fit
from headstart.recipes.predict import predict
from headstart.recipes.prepare import prepare
from headstart.recipes.run import Run
from headstart.testing.sources import tiny_audio_source, tiny_source

soundfile = pytest.importorskip("soundfile")

RATE = 8000
FAST = {"epochs": 3, "batch_size": 12}


def tone(path: Path, hertz: float, seconds: float = 0.8, seed: int = 0, rate: int = RATE) -> Path:
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6)) + 0.02 * rng.standard_normal(len(time))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)
    return path


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """low/*.wav, middle/*.flac, high/*.ogg: 28 of each, of different lengths."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for name, hertz, ending in (("low", 200, "wav"), ("middle", 800, "flac"), ("high", 2500, "ogg")):
        for i in range(28):
            tone(folder / name / f"{i}.{ending}", hertz * rng.uniform(0.85, 1.15), rng.uniform(0.4, 1.1), seed=i)
    return folder


@pytest.fixture(scope="module")
def finished(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(
        tones, source=tiny_audio_source(), method="lp-ft", out=tmp_path_factory.mktemp("run") / "r", options=FAST
    )


def test_a_run_on_recordings_has_all_that_a_run_on_photos_has(finished: Run) -> None:
    assert finished.metrics["task"] == "audio-classification"
    assert finished.metrics["test"]["accuracy"]["value"] > 0.8
    assert {"spectrogram", "random_network", "probe", "no_transfer"} <= set(finished.metrics["baselines"])
    assert "Label new recordings" in (finished.path / "report.html").read_text()
    card = (finished.model / "card.md").read_text()
    assert "pipeline_tag: audio-classification" in card
    assert "log-mel spectrogram" in card


def test_predict_and_evaluate(finished: Run, tmp_path: Path) -> None:
    for i in range(6):
        tone(tmp_path / "other" / "low" / f"{i}.wav", 210, seed=100 + i)
        tone(tmp_path / "other" / "high" / f"{i}.wav", 2400, seed=200 + i, rate=16_000)
    answers = predict(finished.path, [tmp_path / "other" / "low", tmp_path / "other" / "high" / "0.wav"])
    assert [answer.label for answer in answers] == ["low"] * 6 + ["high"]
    assert evaluate(finished.path, tmp_path / "other")["test"]["accuracy"]["value"] == 1


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hum/, hiss/ and clicks/, 24 wav files each: pictures that differ in what they are made of."""
    folder = tmp_path_factory.mktemp("textures")
    rng = np.random.default_rng(0)
    for i in range(24):
        tone(folder / "hum" / f"{i}.wav", rng.uniform(150, 3000), seed=i)
        clicks = np.where(np.arange(6400) % int(rng.uniform(500, 900)) < 8, 0.8, 0.0)
        for name, wave in (("hiss", 0.2 * rng.standard_normal(6400)), ("clicks", clicks)):
            (folder / name).mkdir(exist_ok=True)
            soundfile.write(folder / name / f"{i}.wav", wave + 0.01 * rng.standard_normal(6400), RATE)
    return folder


@pytest.mark.parametrize("method", ["probe", "full", "lora", "gradual"])
def test_an_image_source_hears_through_spectrograms(textures: Path, tmp_path: Path, method: str) -> None:
    run = fit(
        textures, source=tiny_source(), method=method, out=tmp_path / "r", options={**FAST, "epochs": 6}, verdict="none"
    )
    assert run.metrics["test"]["accuracy"]["value"] > 0.6
    answers = [answer.label for answer in predict(run.path, textures / "hiss")]
    assert answers.count("hiss") > 14


def test_as_much_is_heard_as_recordings_last(tones: Path) -> None:
    data = read_dataset(tones)
    assert usual_seconds(data) == 1.5 or usual_seconds(data) == 1.0
    heard = suited(tiny_source(), data).card.input
    assert heard.modality == "audio"
    assert heard.seconds == usual_seconds(data)
    whisper = suited("whisper-tiny.en", data).card.input
    assert whisper.modality == "audio"
    assert whisper.seconds == whisper.shortest > heard.seconds  # what it learned from went on, if only in silence


@pytest.mark.parametrize(("lasts", "heard"), [(1.001, 1.0), (1.0, 1.0), (1.06, 1.5)])
def test_a_hair_more_than_a_half_second_is_not_another_one(tmp_path: Path, lasts: float, heard: float) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        soundfile.write(tmp_path / label / "one.wav", np.zeros(round(lasts * 16_000)), 16_000)
    assert usual_seconds(read_dataset(tmp_path)) == heard


def test_the_second_fit_encodes_nothing(tones: Path, tmp_path: Path) -> None:
    source = tiny_source(seed=5)
    runs = [fit(tones, source=source, method="probe", out=tmp_path / n, verdict="none") for n in ("one", "two")]
    assert runs[0].metrics["cost"]["items_encoded"] > 0
    assert runs[1].metrics["cost"]["items_encoded"] == 0
    assert runs[0].metrics["test"] == runs[1].metrics["test"]


def test_speakers_are_kept_apart_unless_that_is_refused(tmp_path: Path) -> None:
    fresh = count()
    for word, hertz in (("yes", 300), ("no", 900)):
        for speaker in ("anna", "boris", "carol", "david", "elena", "felix"):
            for i in range(3):
                tone(tmp_path / "words" / word / f"{word}_{speaker}_{i}.wav", hertz, 0.5, seed=next(fresh))
    grouped = prepare(read_dataset(tmp_path / "words"), tiny_audio_source().card.input, seed=0, progress=Silent())
    heard = {role: {item.group for item in part.dataset.items} for role, part in grouped.parts.items()}
    assert not heard["train"] & heard["test"]
    assert not heard["train"] & heard["validation"]
    assert any(finding.code == "grouped-by-speaker" for finding in grouped.findings)
    assert all(item.group is None for item in read_dataset(tmp_path / "words", group="none").items)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"RIFF....WAVE", "one.wav"), (b"not a sound at all", "one.wav")],
    ids=["zero bytes", "cut header", "text"],
)
def test_a_broken_recording_is_named(tones: Path, tmp_path: Path, content: bytes, words: str) -> None:
    for name in ("low", "high"):
        for i in range(6):
            tone(tmp_path / "data" / name / f"{i}.wav", 300 if name == "low" else 2000, seed=i)
    (tmp_path / "data" / "low" / "one.wav").write_bytes(content)
    with pytest.raises(DataError, match=words):
        fit(tmp_path / "data", source=tiny_audio_source(), out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_odd_recordings_are_told(tmp_path: Path) -> None:
    time = np.arange(4000) / RATE
    for name in ("low", "high"):
        for i in range(8):
            tone(tmp_path / name / f"{i}.wav", 300 if name == "low" else 2000, seed=i)
    loud = np.clip(5 * np.sin(2 * np.pi * 300 * time), -1, 1)
    soundfile.write(tmp_path / "low" / "clipped.wav", loud, RATE)
    soundfile.write(tmp_path / "low" / "surround.wav", 0.1 * np.random.default_rng(0).normal(size=(4000, 6)), RATE)
    soundfile.write(tmp_path / "low" / "old.wav", 0.3 * np.sin(time * 2000), RATE, subtype="PCM_U8")
    soundfile.write(tmp_path / "low" / "silent.wav", np.zeros(4000), RATE)
    soundfile.write(tmp_path / "low" / "fast.wav", 0.3 * np.sin(np.arange(8000) / 4), 2 * RATE)
    target = prepare(read_dataset(tmp_path), tiny_audio_source().card.input, seed=0, progress=Silent())
    codes = {finding.code for finding in target.findings}
    assert {"sound-clipped", "sound-multichannel", "sound-8-bit", "silent", "several-rates"} <= codes
