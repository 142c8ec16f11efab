"""The page about a study: well-formed, needing nothing else, and honest about what a validation score is worth."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import pytest

from headstart.core.types import Interval
from headstart.evaluation.report.content import NextStep
from headstart.evaluation.report.study import Searched, StudyReport, Tried, study_page, trust, write_study

HOSTILE = "<script>alert('x')</script>&\"'"


def report() -> StudyReport:
    rates = (2e-4, 1e-3, 5e-5, 4e-4, 8e-4)
    values = (0.80, 0.86, 0.55, 0.83, None)
    states = ("complete", "complete", "pruned", "complete", "failed")
    return StudyReport(
        title=HOSTILE,
        folder="studies/mine",
        method="lp-ft",
        source="tiny",
        n={"train": 200, "validation": 60, "test": 139},
        metric="accuracy",
        trials=[
            Tried(i, {"learning_rate": rate, "optimizer": f"kind {i % 2}"}, state, value, 3.0, "" if value else HOSTILE)  # type: ignore[arg-type]
            for i, (rate, value, state) in enumerate(zip(rates, values, states, strict=True))
        ],
        space=[
            Searched("learning_rate", "2e-05..0.002 (log)", 2e-4, 1e-3, 0.7, log=True),
            Searched("optimizer", "kind 0, kind 1", "kind 0", "kind 1", 0.3),
        ],
        finalists={1: (0.86, 0.82, 0.84), 0: (0.80, 0.81, 0.79)},
        winner=1,
        test=Interval(0.80, 0.72, 0.85),
        test_default=Interval(0.79, 0.71, 0.84),
        verdict=None,
        looks=41,
        seconds=90.0,
        ending="budget",
        next_steps=[NextStep("Label", "headstart predict studies/mine/best photo.jpg")],
    )


class Tags(HTMLParser):
    VOID = frozenset({"meta", "link", "col", "br", "img", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not any(name in ("src", "href") and (value or "").startswith("http") for name, value in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_it_is_well_formed_needs_nothing_else_and_shows_names_as_text(tmp_path: Path) -> None:
    write_study(tmp_path / "report.html", report())
    page = (tmp_path / "report.html").read_text()
    tags = Tags()
    tags.feed(
        page.replace('"/>', '"></path>').replace("<line", "<path").replace("<rect", "<path").replace("<circle", "<path")
    )
    assert tags.open == []
    assert tags.seen.count("script") == 1
    assert HOSTILE not in page
    assert "The search ended with its budget" in page


def test_it_says_what_the_validation_score_is_worth() -> None:
    words = trust(report())
    assert "86.0% is the score of trial 1 on 60 validation items, which were looked at 41 times in 5 trials" in words
    assert "On 2 fresh divisions of the same items it scored 83.0% on average" in words
    assert "80.0% (95% interval 72.0–85.0): validation was 6.0 points more favourable" in words
    assert words.endswith("more than that interval allows for.")
    lucky = dataclasses.replace(report(), test=Interval(0.90, 0.84, 0.94))
    assert trust(lucky).endswith("this time validation was not the more favourable of the two.")


def test_drawings_lie_where_the_trials_are() -> None:
    page = study_page(report())
    history, (rate, optimizer) = page["history"], page["slices"]
    assert [s.name for s in history.series] == ["defaults", "ended early", "trial", "best so far"]
    assert [text for _, text in rate.x.ticks] == ["1e-5", "1e-4", "1e-3"]
    assert [text for _, text in optimizer.x.ticks] == ["kind 0", "kind 1"]
    assert rate.series[1].dots.startswith(f"M{pytest.approx(65.05, abs=0.01).expected} ")
    assert [row["trial"].number for row in page["rows"]] == [1, 3, 0, 2, 4]
    assert [row["share"] for row in page["space"]] == ["70%", "30%"]
