"""The examples run as they are, and show what they say they show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.sources import PACKS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PACKS["efficientnet-lite0"].availability().here, reason="needs headstart[bundled]"),
]


def test_digits_are_better_off_without_imagenet(repository: Path, tmp_path: Path) -> None:
    script = repository / "examples" / "negative_transfer_digits.py"
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "runs" / "examples" / "digits" / "metrics.json").read_text())
    assert metrics["verdict"]["transfer"] == "negative"
    assert metrics["verdict"]["high"] < 0
    assert "Transfer hurt" in done.stdout


def test_a_checkpoint_of_ones_own_and_a_run_are_sources(repository: Path, tmp_path: Path) -> None:
    script = repository / "examples" / "own_checkpoint.py"
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    accuracy = [float(line.rpartition(" ")[2]) for line in done.stdout.splitlines() if line.startswith("from the ")]
    assert len(accuracy) == 2
    assert min(accuracy) > 0.7
