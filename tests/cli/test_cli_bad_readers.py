"""What is bad in texts, sounds and rows of tables, through the real commands: refused in one clear line, or used and
said to be odd."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from safetensors.torch import save_file

from headstart.cli import app as cli
from headstart.data.sound import LARGEST
from headstart.sources import PACKS
from headstart.testing.sources import tiny_source

Make = Callable[[Path], Any]
HEAD = "x,y,c,label\n"


def rows(count: int = 40) -> str:
    rng = random.Random(0)
    return "".join(
        f"{rng.gauss(3 * (i % 2), 1):.3f},{rng.gauss(0, 1):.3f},{('red', 'blue')[i % 2]},{'ab'[i % 2]}\n"
        for i in range(count)
    )


def texts(count: int = 24) -> str:
    return "".join(f"film number {i} was {('good', 'bad')[i % 2]} to see,{'ab'[i % 2]}\n" for i in range(count))


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Run a command that must be refused; its one line."""
    capsys.readouterr()
    code = cli.run([str(word) for word in words])
    out, err = capsys.readouterr()
    told = [line for line in err.splitlines() if line.startswith("headstart: ")]
    assert code == 2, (words, out, err)
    assert out == ""
    assert "Traceback" not in err
    assert len(told) == 1, err
    return told[0]


def used(capsys: pytest.CaptureFixture[str], data: Path, run: Path, *words: str) -> str:
    """Fit to data that is odd but good enough; what the run says of it."""
    code = cli.run(["fit", str(data), "--out", str(run), "--verdict", "none", "--set", "epochs=1", *words])
    assert code == 0, capsys.readouterr().err
    noted = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return "\n".join(row["text"] for row in noted if str(row.get("name")).startswith("data: "))


# -- texts and rows -----------------------------------------------------------------------------------------------

BAD_TABLES: dict[str, tuple[str | bytes, str]] = {
    "encoding.csv": (b"text,label\n" + b"\x81\x8d\xff\xfe\x90 of words,a\n" * 9, "line 2 is not UTF-8 text"),
    "utf16.csv": ((HEAD + rows()).encode("utf-16-le"), "as in UTF-16 without the mark"),
    "broken.jsonl": ('{"text": "a b c", "label": "a"}\n{"text": "b\n', "line 2 is not JSON"),
    "column.csv": ("text,lable,x\none two three,a,1\n", "no column is plainly the label"),
    "header.csv": (HEAD, "has a header (x, y, c, label) and no rows"),
    "twice.csv": ("x,x,label\n1,2,a\n", "2 columns named 'x'"),
    "one-class.csv": (HEAD + rows().replace(",b\n", ",a\n"), "there is one class only (a)"),
    "quote.csv": (HEAD + '1,2,"red,a\n' + rows(), "line 2 is broken"),
    "ids.csv": ("id,label\n" + "".join(f"p{i},{'ab'[i % 2]}\n" for i in range(40)), "only name their rows"),
    "nested.jsonl": ('{"x": [1, 2], "label": "a"}\n' * 9, "line 1: column 'x' holds [1, 2]"),
    "no-label.csv": (HEAD + rows() + "1,2,red,\n", "1 item(s) have no label: line 42"),
    "gzip.csv.gz": (b"not packed", "Not a gzipped file"),
    "wide.csv": (
        ",".join(f"g{i}" for i in range(10_000)) + "\n" + ("1," * 9_999 + "2\n") * 3,
        "g49 and 9950 more; name it with --label",
    ),
    "ragged.conll": ("Anna B-PER\nsees\nParis B-LOC\n\n", "has 2 column(s), but line 2 has 1 column(s)"),
    "empty.conll": ("-DOCSTART- O\n\n", "holds no sentence"),
    "cut.json": ('{"data": [{"paragraphs": [{"context": "a b', "line 1 is not JSON"),
    "start.json": (
        json.dumps(
            {
                "data": [
                    {
                        "title": "t",
                        "paragraphs": [
                            {
                                "context": f"Anna lives in Paris, {i}.",
                                "qas": [
                                    {
                                        "id": str(i),
                                        "question": "Where?",
                                        "answers": [{"answer_start": 3, "text": "Paris"}],
                                    }
                                ],
                            }
                            for i in range(12)
                        ],
                    }
                ]
            }
        ),
        "'Paris' is not at 3 but at 14",
    ),
}


OF_WORDS = ("ragged.conll", "start.json")
"""Told once a source of texts was found."""


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_file_of_rows(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    content, words = BAD_TABLES[name]
    if name in OF_WORDS and not PACKS["minilm-l6"].availability().here:
        pytest.skip("needs headstart[text]")
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    told = refused(capsys, "fit", path, "--out", tmp_path / "run")
    assert words in told
    assert len(told) < 1500
    assert not (tmp_path / "run").exists()


ODD_TABLES: dict[str, tuple[str | bytes, list[str], str]] = {
    "mark.csv": (b"\xef\xbb\xbf" + (HEAD + rows()).encode(), [], ""),
    "chinese.csv": (
        ("数,乙,标签\n" + "".join(f"{i * 7 % 5},{i % 3},{'好坏'[i % 2]}\n" for i in range(40))).encode("gb18030"),
        ["--label", "标签"],
        "was read as gb18030",
    ),
    "infinite.csv": (HEAD + rows() + "nan,inf,red,a\n-inf,1e999,blue,b\n", [], "line 42 (y), line 43 (x, y)"),
    "large.csv": (HEAD + rows() + "1e308,-1e308,red,a\n1e-320,1e308,blue,b\n", [], ""),
    "numbers.csv": (
        "text,label\n" + "".join(f"{i * 37 % 11},{'ab'[i % 2]}\n" for i in range(40)),
        [],
        "column(s) text hold no texts but numbers",
    ),
}


@pytest.mark.parametrize("name", ODD_TABLES)
def test_an_odd_file_of_rows_is_used_and_said_to_be_odd(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    content, words, told = ODD_TABLES[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert told in used(capsys, tmp_path / name, tmp_path / "run", *words)


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rows")
    (place / "rows.csv").write_text(HEAD + rows())
    words = ["--source", "mlp", "--set", "epochs=1", "--verdict", "none", "--out", str(place / "run")]
    assert cli.run(["fit", str(place / "rows.csv"), *words]) == 0
    return place / "run"


def test_rows_that_a_model_never_met(capsys: pytest.CaptureFixture[str], tmp_path: Path, table_run: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text(HEAD + "1,2,green,a\ninf,nan,violet,b\n")
    capsys.readouterr()
    assert cli.run(["predict", str(table_run), str(new)]) == 0
    assert (
        "categories that the network never met, which it cannot tell apart: c (green, violet)"
        in capsys.readouterr().err
    )
    assert cli.run(["evaluate", str(table_run), str(new)]) == 0
    for content, told in (
        (HEAD + "one,2,red,a\n", "line 2: column 'x' holds 'one'. Expected a number"),
        ("p,q\n1,2\n", "new.csv has none of the 3 columns"),
        (HEAD, "no rows"),
    ):
        new.write_text(content)
        assert told in refused(capsys, "predict", table_run, new)
    new.write_text(HEAD + "1,2,red,z\n" * 3)
    assert "label 'z' is not one" in refused(capsys, "evaluate", table_run, new)
    new.write_text("text,label\n" + texts())
    assert "holds texts, and the model takes rows of a table" in refused(capsys, "evaluate", table_run, new)


def test_tables_have_no_pretrained_sources_to_rank(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, table_run: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEAD + rows())
    told = refused(capsys, "rank", path)
    assert "nothing to rank: mlp, resnet, ft-transformer begin with random weights" in told
    assert cli.run(["rank", str(path), "--source", "mlp", "--source", str(table_run)]) == 0
    assert "mlp has random weights" in capsys.readouterr().out
    assert cli.run(["sources", "show", "mlp", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pretrained"] is False


# -- recordings ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny image network, which looks at spectrograms."""
    path = tmp_path_factory.mktemp("source") / "tiny.safetensors"
    state = tiny_source().load().state_dict()
    save_file({name.removeprefix("network."): tensor.contiguous() for name, tensor in state.items()}, path)
    return f"{path}@timm:test_efficientnet"


def tone(hertz: float, seconds: float = 0.5) -> np.ndarray:
    time = np.arange(round(8000 * seconds)) / 8000
    wave: np.ndarray = 0.3 * np.sin(2 * np.pi * hertz * time) + 0.01 * np.random.default_rng(0).standard_normal(
        len(time)
    )
    return wave


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two classes of ten short tones."""
    folder = tmp_path / "sounds"
    for label, hertz in (("high", 2000), ("low", 300)):
        (folder / label).mkdir(parents=True)
        for i in range(10):
            soundfile.write(folder / label / f"{i}.wav", tone(hertz + 10 * i), 8000)
    return folder


def damaged(path: Path) -> None:
    soundfile.write(path.with_suffix(".flac"), tone(2000), 8000)
    data = bytearray(path.with_suffix(".flac").read_bytes())
    path.with_suffix(".flac").unlink()
    data[len(data) // 2 :] = bytes(len(data) // 2)
    path.write_bytes(data)


def renamed(path: Path) -> None:
    soundfile.write(path.with_suffix(".mp3"), tone(2000), 8000)
    path.with_suffix(".mp3").rename(path)


def long(path: Path, hours: float, rate: int = 8000) -> None:
    """A WAV file of silence that takes no room on the disk."""
    soundfile.write(path, np.zeros(1), rate, subtype="PCM_16")
    header, size = bytearray(path.read_bytes()[:44]), round(hours * 3600) * rate * 2
    header[4:8], header[40:44] = (size + 36).to_bytes(4, "little"), size.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(44 + size)


BAD_SOUNDS: dict[str, tuple[Make, str]] = {
    "nothing": (lambda p: p.write_bytes(b""), "the file is empty (0 bytes)"),
    "no-samples": (lambda p: soundfile.write(p, np.zeros(0), 8000), "ends before its first sample"),
    "text": (lambda p: p.write_text("not a sound at all"), "this is text, not sound"),
    "flac-damaged": (damaged, "or damaged"),
    "not-numbers": (
        lambda p: soundfile.write(p, np.full(4000, np.nan), 8000, subtype="FLOAT"),
        "samples that are not finite numbers",
    ),
    "absurd": (lambda p: soundfile.write(p, 1e30 * tone(2000), 8000, subtype="FLOAT"), "full scale is 1. Scale it"),
    "three-hours": (lambda p: long(p, 3), "it lasts 3.0 hours"),
    "large": (lambda p: long(p, 1.9, 48_000), f"more than the {LARGEST // 1_000_000} that are read"),
}


@pytest.mark.parametrize("name", BAD_SOUNDS)
def test_a_bad_recording(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, sounds: Path, source: str, name: str
) -> None:
    make, words = BAD_SOUNDS[name]
    make(sounds / "high" / "bad.wav")
    told = refused(capsys, "fit", sounds, "--source", source, "--out", tmp_path / "run")
    assert "high/bad.wav: " in told
    assert words in told
    assert not (tmp_path / "run").exists()


def test_odd_recordings_are_used_and_said_to_be_odd(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, sounds: Path, source: str
) -> None:
    high = sounds / "high"
    soundfile.write(high / "clipped.wav", np.clip(20 * tone(200), -1, 1), 8000)
    soundfile.write(high / "coarse.wav", tone(2000), 8000, subtype="PCM_U8")
    soundfile.write(high / "fine.wav", tone(2000), 8000, subtype="PCM_24")
    soundfile.write(high / "cinema.wav", np.stack([tone(2000)] * 6, axis=1), 8000)
    soundfile.write(high / "silence.ogg", np.zeros(4000), 8000)
    soundfile.write(high / "click.wav", tone(2000)[:1], 8000)
    soundfile.write(high / "whole.wav", 30_000 * tone(2000), 8000, subtype="FLOAT")
    renamed(high / "packed.wav")
    told = used(capsys, sounds, tmp_path / "run", "--source", source, "--method", "probe")
    for words in (
        "clipped: many samples in a row at full scale: high/clipped.wav",
        "8 bits a sample: they carry audible noise: high/coarse.wav",
        "several channels, which were averaged: high/cinema.wav",
        "hold no sound: high/silence.ogg",
        "last less than 50 ms: high/click.wav",
        "far beyond full scale",
    ):
        assert words in told
    assert "fine.wav" not in told
    assert "packed.wav" not in told


def test_pictures_among_recordings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, sounds: Path, source: str
) -> None:
    for i in range(4):
        Image.new("RGB", (8, 8)).save(sounds / "low" / f"{i}.png")
    told = refused(capsys, "fit", sounds, "--source", source, "--out", tmp_path / "run")
    assert "holds 4 images and 20 recordings, and a model learns from one kind" in told


def test_a_recording_of_three_hours_is_not_read(tmp_path: Path, sounds: Path) -> None:
    """Peak memory with it is that without, to a tenth of what the file takes."""
    code = """
        import resource, sys
        from headstart.core.card import AudioInput
        from headstart.data.read import read_dataset
        from headstart.data.survey import survey
        found = survey(read_dataset(sys.argv[1]), AudioInput(rate=8000, seconds=0.5))
        print(len(found.errors), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    peaks = []
    for errors in (0, 1):
        command = [sys.executable, "-c", textwrap.dedent(code), str(sounds)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(told[0]) == errors
        peaks.append(int(told[1]))
        long(sounds / "high" / "long.wav", 3, 24_000)
    taken = (sounds / "high" / "long.wav").stat().st_size / 1000
    assert taken > 500_000
    assert peaks[1] - peaks[0] < taken / 10
