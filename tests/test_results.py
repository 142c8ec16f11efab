"""What benchmarks/results.py and benchmarks/cross_lingual.py say of their own numbers."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
MACHINE = {"cpu": "a processor", "cores": 2, "date": "a day", "commit": "c"}


def benchmark(name: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        return importlib.import_module(name)


def fold(value: float, simple: float, verdict: str = "positive", n: int = 50) -> dict[str, Any]:
    """A fold as it is kept."""
    what = {"source": "a source", "method": "probe", "verdict": verdict}
    return {
        "metric": "accuracy",
        "n": n,
        "value": value,
        "low": 0.0,
        "high": 1.0,
        "simple": simple,
        "seconds": 2,
        **what,
    }


def test_folds_are_judged_as_one_by_their_items() -> None:
    row = benchmark("results").together({"a": fold(0.9, 0.5), "b": fold(0.6, 0.4, n=100)})
    assert (row["n"], row["value"], row["seconds"]) == (150, pytest.approx(0.7), 4)
    assert row["simple"] == pytest.approx(65 / 150)
    assert 0.62 < row["low"] < 0.7 < row["high"] < 0.78


def test_a_single_fit_keeps_its_own_interval() -> None:
    row = benchmark("results").together({"": fold(0.9, 0.5)})
    assert (row["value"], row["low"], row["high"]) == (0.9, 0.0, 1.0)


@pytest.mark.parametrize(
    ("value", "verdict", "said"), [(0.9, "positive", False), (0.5, "positive", True), (0.5, "neutral", False)]
)
def test_a_positive_verdict_without_a_gain_is_a_contradiction(value: float, verdict: str, said: bool) -> None:
    results = benchmark("results")
    rows = {"a set": results.together({"a": fold(0.9, 0.5), "b": fold(value, 0.5, verdict)})}
    assert bool(results.contradictions(rows)) == said
    assert ("Against headstart" in results.text({"rows": rows, "machine": MACHINE})) == said


def test_the_table_counts_verdicts_and_names_each_fold() -> None:
    results = benchmark("results")
    rows = {"trec": results.together({"a": fold(0.9, 0.5), "b": fold(0.7, 0.5, "neutral")})}
    told = results.text({"rows": rows, "machine": MACHINE})
    assert "positive 1, neutral 1" in told
    assert "- trec: a 0.900, b 0.700" in told
    assert "tf-idf .888" in told


def test_a_multilingual_source_must_be_above_both_and_ties_do_not_do() -> None:
    lingual = benchmark("cross_lingual")
    counts = {"tf-idf": {"eng_Latn": 9, "swh_Latn": 3}, "minilm-l6": {"eng_Latn": 20, "swh_Latn": 4}}
    good = counts | {"e5-small-multilingual": {"eng_Latn": 10, "swh_Latn": 5}}
    assert lingual.missed(good) == []
    tied = counts | {"e5-small-multilingual": {"eng_Latn": 9, "swh_Latn": 4}}
    assert lingual.missed(tied) == [
        "e5-small-multilingual is not above tf-idf in eng_Latn.",
        "e5-small-multilingual is not above minilm-l6 in swh_Latn.",
    ]
    assert "e5-small-multilingual is not above minilm-l6 in swh_Latn" in lingual.table(tied, 30)
