"""kill -9 at a random moment of a real process, `headstart resume`, and the weights of an unbroken run to the bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart.cli import app as cli
from headstart.testing.sources import tiny_source

HEADSTART = [sys.executable, "-m", "headstart"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file({n.removeprefix("network."): t.contiguous() for n, t in tiny_source().load().state_dict().items()}, path)
    return f"{path}@timm:test_efficientnet"


def command(photos: Path, source: str, method: str, out: Path) -> list[str]:
    options = ["epochs=12", "batch_size=12", "checkpoint_seconds=0", "dropout=0.2", "augment.mixup=0.2", "early_stop=0"]
    sets = [part for option in options for part in ("--set", option)]
    given = ["--source", source, "--method", method, "--out", str(out), "--verdict", "none", *sets]
    return ["fit", str(photos), *given]


def here(*words: str) -> None:
    """The command in this process."""
    assert cli.run(words) == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("method", ["gradual", "lora"])
def test_killed_processes_end_where_unbroken_ones_do(
    method: str, weights: str, toy_photos: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    here(*command(toy_photos, weights, method, whole))
    rows = len(log(whole))
    broken = tmp_path / "broken"
    rng = random.Random(method)
    for _ in range(2):  # killed twice, the second time while it was being taken up again
        words = ["resume", str(broken)] if broken.exists() else command(toy_photos, weights, method, broken)
        kill_at_row([*HEADSTART, *words], broken, len(log(broken)) + rng.randint(1, rows // 4))
        assert not (broken / "metrics.json").exists()
        assert not (broken / "model").exists()
    here("resume", str(broken))
    mine, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (broken, whole))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert [comparable(row) for row in log(broken)] == [comparable(row) for row in log(whole)]
    a, b = (json.loads((folder / "metrics.json").read_text()) for folder in (broken, whole))
    assert {k: v for k, v in a.items() if k != "cost"} == {k: v for k, v in b.items() if k != "cost"}


def kill_at_row(words: list[str], folder: Path, row: int) -> None:
    """Start the process and kill it as soon as its log has that many rows, which is in the middle of an epoch."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while count_rows(folder) < row:
            assert process.poll() is None, "the process ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def count_rows(folder: Path) -> int:
    """Rows of the log so far, without parsing it: this is asked a hundred times a second."""
    path = folder / "log.jsonl"
    return path.read_bytes().count(b'"step"') if path.exists() else 0


def log(folder: Path) -> list[dict[str, object]]:
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}") and '"step"' in line]


def comparable(row: dict[str, object]) -> dict[str, object]:
    return {k: v for k, v in row.items() if k != "time"}
