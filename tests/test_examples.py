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


def test_a_cohort_is_understood_once_it_is_standardised_by_itself(repository: Path, tmp_path: Path) -> None:
    script = repository / "examples" / "gene_expression.py"
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [line for line in done.stdout.splitlines() if line.startswith("A's model on B, standardised by ")]
    as_it_stands, by_itself = (float(line.split()[-3]) for line in found)
    assert as_it_stands < 0.65 < 0.8 < by_itself
