"""What benchmarks/time_to_accuracy.py says of its own numbers, and the pictures that it gives to everyone."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        return importlib.import_module("time_to_accuracy")


def row(accuracy: float, seconds: float, *earlier: tuple[float, float]) -> dict[str, Any]:
    curve = [{"accuracy": a, "seconds": s} for a, s in (*earlier, (accuracy, seconds))]
    return {"accuracy": accuracy, "seconds": seconds, "curve": curve, "commit": "c", "date": "d"}


def test_nothing_is_said_against_headstart_when_it_wins_everywhere(benchmark: Any) -> None:
    lines = benchmark.statements({"headstart": row(0.9, 10), "fastai": row(0.8, 100), "by-hand": row(0.9, 20)})
    assert not any("Against" in line for line in lines)
    assert lines[0].startswith("No peer")
    assert any(line.startswith("fastai") and "beaten by headstart fit (0.900 in 10 s)" in line for line in lines)


def test_a_peer_stopped_early_can_beat_headstart_and_that_is_said_first(benchmark: Any) -> None:
    lines = benchmark.statements({"headstart": row(0.8, 30), "fastai": row(0.7, 100, (0.8, 29))})
    beaten = "headstart fit (0.800 in 30 s) is beaten by fastai fine_tune(4), stopped early (0.800 in 29 s)."
    assert lines[0] == f"**Against headstart:** {beaten}"
    assert not any(line.startswith("No peer") for line in lines)


def test_a_peer_that_headstart_never_equals_is_named(benchmark: Any) -> None:
    lines = benchmark.statements({"headstart": row(0.8, 30), "tutorial": row(0.81, 900)})
    assert "tutorial, 10 epochs (0.810 in 900 s) is more accurate than any run of headstart" in lines[0]


@pytest.mark.parametrize(
    ("name", "seconds", "missed"), [("fastai", 49, True), ("fastai", 50, False), ("by-hand", 7, True)]
)
def test_a_missed_goal_is_said_with_its_ratio(benchmark: Any, name: str, seconds: float, missed: bool) -> None:
    lines = benchmark.statements({"headstart": row(0.8, 10), name: row(0.8, seconds)})
    assert any("the goal is" in line for line in lines) == missed


def test_the_quickest_run_that_is_accurate_enough_counts(benchmark: Any) -> None:
    rows = {"headstart": row(0.9, 60), "headstart-10s": row(0.84, 10), "headstart-30s": row(0.86, 30)}
    target = benchmark.Point("fastai", 0.85, 100)
    assert benchmark.reached(target, benchmark.ends(rows, rows)).seconds == 30
    assert benchmark.reached(target, benchmark.ends(rows, rows), slack=0.02).seconds == 10
    assert benchmark.reached(benchmark.Point("fastai", 0.95, 100), benchmark.ends(rows, rows)) is None


def test_a_contender_that_did_not_run_is_in_the_text_and_a_figure_is_drawn(benchmark: Any) -> None:
    rows = {"headstart": row(0.9, 10), "fastai": row(0.8, 100, (0.5, 40)), "autogluon": {"error": "x\nno torch"}}
    rows["autogluon"] |= {"commit": "c", "date": "d"}
    machine = {"cpu": "a", "cores": 2, "memory_gb": 8, "python": "3", "packages": {}, "date": "d"}
    found = {"n": {"train": 6, "validation": 2, "test": 100}, "rows": rows}
    result = {"seed": 0, "machine": machine, "datasets": {"toy": found}}
    assert "AutoGluon, 180 s did not run; its last words: `no torch`" in benchmark.text(result)
    figure = ElementTree.fromstring(benchmark.figure(result))
    lines = figure.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert sorted(len(line.attrib["points"].split()) for line in lines) == [1, 2]


def test_drawing_keeps_each_class_its_share(benchmark: Any) -> None:
    items = [("rare", Path(f"r{i}")) for i in range(30)] + [("common", Path(f"c{i}")) for i in range(90)]
    taken, rest = benchmark.drawn(items, 40, np.random.default_rng(0))
    assert Counter(label for label, _ in taken) == {"rare": 10, "common": 30}
    assert sorted(map(str, taken + rest)) == sorted(map(str, items))
    assert benchmark.drawn(items, 40, np.random.default_rng(0))[0] == taken
    assert benchmark.drawn(items, 40, np.random.default_rng(1))[0] != taken
    assert benchmark.drawn(items, 500, np.random.default_rng(0))[0] == items
