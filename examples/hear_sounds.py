"""A network of photos that hears: recordings as pictures of their spectrograms, and people kept apart.

Run:     python examples/hear_sounds.py [FOLDER]     (class/*.wav; who speaks is read off names such as 7_anna_12.wav)
Cost:    20 seconds on one CPU core
Expect:  four signals made by five pretended people, each at a pitch and a speed of their own: whoever is heard in the
         test is in no training recording, and the run says why; efficientnet-lite0, which learned from photos alone, is
         right about 31 of 32, a regression on the spectrograms about 29; one person is too few to tell them apart

On words that strangers say, an image network is a poor listener (.39 on FSDD's spoken digits, where whisper-tiny.en
reaches .97): docs/audio.md. Needs `pip install 'headstart[bundled,audio]'`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import headstart
from headstart.data.read import read_dataset

RATE = 16_000
SPEAKERS = {"anna": (1.0, 1.0), "bruno": (0.75, 1.2), "clara": (1.25, 0.9), "dimitri": (0.85, 1.1), "elena": (1.1, 0.8)}
"""Pitch and speed of each, as a share of the first one's."""
SIGNALS = ("rising", "falling", "warble", "beeps")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else recorded(Path(scratch) / "signals")
        run = headstart.fit(
            folder, source="efficientnet-lite0", method="probe", out="runs/examples/hear_sounds", overwrite=True
        )
        print(run.summary())
        for finding in read_dataset(folder).findings:
            print(finding.message)


def recorded(folder: Path) -> Path:
    """Eight recordings of each signal by each speaker."""
    rng = np.random.default_rng(0)
    for signal in SIGNALS:
        (folder / signal).mkdir(parents=True)
        for speaker, (pitch, speed) in SPEAKERS.items():
            for take in range(8):
                wave = played(signal, pitch * rng.uniform(0.95, 1.05), speed, rng)
                soundfile.write(folder / signal / f"{take}_{speaker}.wav", wave, RATE)
    return folder


def played(signal: str, pitch: float, speed: float, rng: np.random.Generator) -> np.ndarray:
    """(samples,) of a second at most, with noise."""
    time = np.arange(round(0.9 * RATE / speed)) / RATE
    part = time / time[-1]
    hertz = {
        "rising": 400 + 800 * part,
        "falling": 1200 - 800 * part,
        "warble": 700 + 200 * np.sin(2 * np.pi * 9 * time),
        "beeps": np.full(len(time), 700.0),
    }[signal]
    wave = np.sin(2 * np.pi * np.cumsum(pitch * hertz) / RATE)
    if signal == "beeps":
        wave = wave * (np.sin(2 * np.pi * 6 * time) > 0)
    noisy: np.ndarray = 0.3 * wave + rng.uniform(0.005, 0.03) * rng.standard_normal(len(time))
    return noisy


if __name__ == "__main__":
    main()
