"""`headstart cache`, and that a second fit encodes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.cli import app as cli
from headstart.features.store import FeatureStore
from headstart.testing.models import save_tiny_model


def headstart(cache: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "headstart", *arguments, "--json"],
        env={**os.environ, "HEADSTART_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_info_and_clear(tmp_path: Path) -> None:
    empty = headstart(tmp_path, "cache", "info")
    assert empty["features"]["shelves"] == []
    assert empty["size_bytes"] == 0
    shelf = FeatureStore(tmp_path / "features", 10**9).shelf({"weights": "abc"}, 4)
    assert shelf is not None
    assert shelf.put(["00" * 32], np.ones((1, 4), np.float32))
    (found,) = headstart(tmp_path, "cache")["features"]["shelves"]
    assert found["items"] == 1
    assert found["about"]["weights"] == "abc"
    assert headstart(tmp_path, "cache", "clear")["freed_bytes"] == found["size_bytes"]
    assert headstart(tmp_path, "cache", "info")["features"]["shelves"] == []


def test_a_second_fit_encodes_nothing_and_says_the_same(
    toy_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first in this process, the second in one of its own, which knows nothing but what is on disk."""
    source = save_tiny_model(tmp_path / "source")

    def command(out: str) -> list[str]:
        options = ["--source", str(source), "--method", "probe", "--track", "none", "--out", str(tmp_path / out)]
        return ["fit", str(toy_photos), *options]

    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    assert cli.run([*command("first"), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out), headstart(tmp_path / "cache", *command("second"))
    assert first["cost"]["items_encoded"] == 2 * sum(first["n"].values())  # the source and the random network
    assert second["cost"]["items_encoded"] == 0
    for metrics in (first, second):
        del metrics["cost"], metrics["run"]
    assert first == second
