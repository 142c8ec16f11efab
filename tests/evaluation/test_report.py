"""The report as text: complete, self-contained, and unharmed by what users call things."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.core.errors import MissingExtra
from headstart.evaluation.explanation import Explanation, Word, Words
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.report import mistakes, plots, view
from headstart.evaluation.report.content import Glimpse, ReportData
from headstart.evaluation.report.write import write_report
from headstart.tasks.classification import Classification

NAMES = ("clothes", "binary", "many", "multilabel", "regression", "quantities", "hostile")
VOID = {"meta", "link", "img", "br", "col"}


class Page(HTMLParser):
    """What a browser would make of the file: tags with their attributes, and the text outside of script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def made(data: ReportData, folder: Path) -> Page:
    write_report(folder / "report.html", data)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_well_formed_and_needs_nothing_else(name: str, reports: dict[str, ReportData], tmp_path: Path) -> None:
    page = made(reports[name], tmp_path)
    for tag, attributes in page.tags:
        for key, value in attributes.items():
            assert not key.startswith("on"), f"{tag} has an event handler: {key}={value}"
            if key in ("src", "href", "data", "action"):
                assert value.startswith(("data:", "#")), f"{tag} points outside: {value}"
    assert len(page.of("script")) == 1
    assert len(page.of("h1")) == 1
    assert len(page.of("caption")) == len(page.of("table"))
    assert all(image["alt"] for image in page.of("img"))
    assert all("aria-label" in s or s.get("aria-hidden") == "true" for s in page.of("svg"))
    ids = Counter(attributes["id"] for _, attributes in page.tags if "id" in attributes)
    assert max(ids.values()) == 1
    assert {a["href"][1:] for a in page.of("a")} <= set(ids)
    assert all(a["aria-labelledby"] in ids for a in page.of("section"))
    for word in ("nan", "None", "Undefined", "inf "):
        assert word not in page.text.replace("None: it is right", ""), f"{word} in the page"


def test_it_tells_the_whole_story(reports: dict[str, ReportData], tmp_path: Path) -> None:
    data = reports["clothes"]
    text = made(data, tmp_path).text
    accuracy = data.evaluation.metrics["accuracy"]
    assert f"{accuracy.value:.1%}" in text
    assert f"{100 * accuracy.low:.1f}–{100 * accuracy.high:.1f}" in text
    assert data.verdicts[0].words.removeprefix("Transfer helped. ") in text
    for piece in (
        "Transfer helped",
        "near-duplicate 2 pairs of photos",
        "5 min 12 s",
        "1,432 MB",
        "3,384,010 of 3,384,010",
        "headstart predict runs/demo new.jpg",
        "learning_rate: 0.0002",
        "Apache-2.0",
        "whole network 0.866 kept",
        "frozen features of the source, logistic regression",
        "of your test data",
    ):
        assert piece in text, piece


def test_it_is_the_same_each_time(reports: dict[str, ReportData], tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", reports["clothes"])
    write_report(tmp_path / "b.html", reports["clothes"])
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_hostile_names_are_text(reports: dict[str, ReportData], tmp_path: Path) -> None:
    page = made(reports["hostile"], tmp_path)
    for name in reports["hostile"].task.outputs:
        assert " ".join(name.split()) in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert not [image for image in page.of("img") if image["src"] == "x"]


def test_few_classes_get_a_matrix_and_many_get_pairs(reports: dict[str, ReportData], tmp_path: Path) -> None:
    few, many = made(reports["clothes"], tmp_path).text, made(reports["many"], tmp_path).text
    assert "Confusion matrix" in few
    assert "Most confused pairs" not in few
    assert "Most confused pairs" in many
    assert "Confusion matrix" not in many
    pairs = view.page(reports["many"])["pairs"]
    assert pairs == sorted(pairs, key=lambda pair: -pair["count"])
    assert len(pairs) == view.PAIRS


def test_numbers_get_a_plot_of_predicted_against_true(reports: dict[str, ReportData], tmp_path: Path) -> None:
    text = made(reports["quantities"], tmp_path)
    drawn = [s["aria-label"] for s in text.of("svg") if "aria-label" in s]
    assert [d for d in drawn if d.startswith("Predicted against true age")]
    assert [d for d in drawn if d.startswith("Predicted against true height")]
    assert "Can its confidence be trusted" not in text.text


def test_worst_mistakes_are_the_confident_ones(reports: dict[str, ReportData]) -> None:
    data = reports["clothes"]
    shown = view.page(data)["mistakes"]
    wrong = data.predictions.scores.argmax(axis=1) != data.predictions.targets
    assert 0 < len(shown) == min(mistakes.MISTAKES, wrong.sum())
    assert all(m["predicted"] != m["label"] for m in shown)
    row = data.predictions.ids.index(shown[0]["id"])
    margin = data.predictions.scores.max(axis=1) - data.predictions.scores[range(372), data.predictions.targets]
    assert margin[row] == margin.max()


@pytest.mark.parametrize("name", ["clothes", "multilabel", "quantities"])
def test_what_is_explained_are_the_worst_mistakes_and_the_surest_answers(
    name: str, reports: dict[str, ReportData]
) -> None:
    found = reports[name].predictions
    chosen = mistakes.telling(found, 6)
    assert len(set(chosen)) == 6
    assert [found.ids[i] for i in chosen[:3]] == [one["id"] for one in mistakes.mistakes(reports[name])[:3]]
    if name == "clothes":
        right = found.scores.argmax(axis=1) == found.targets
        assert right[chosen[3:]].all()
        assert found.scores[chosen[3]].max() == found.scores[right].max()


def test_the_surest_stand_in_where_there_are_few_mistakes() -> None:
    task = Classification(("a", "b"))
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
    found = Predictions(task, tuple("wxyz"), np.array([0, 0, 0, 0]), scores)
    assert mistakes.telling(found, 3) == [2, 0, 3]
    assert mistakes.telling(found, 9) == [2, 0, 3, 1]


def test_explanations_are_part_of_the_report(reports: dict[str, ReportData], tmp_path: Path) -> None:
    data = reports["hostile"]
    assert "What do its answers rest on?" not in made(data, tmp_path).text
    words = Words(("good <b>film</b>",), (Word("good", 0, 4, 1.0), Word("film", 8, 12, -0.5)), 0.0)
    name = data.task.outputs[0]
    scores = dict.fromkeys(data.task.outputs, 0.1)
    one = Explanation(data.predictions.ids[1], name, scores, name, 0.0, "integrated-gradients", 0.01, words)
    page = made(replace(data, explained={1: one}), tmp_path)
    assert "What do its answers rest on?" in page.text
    assert "adds up to within 1.0%" in page.text
    assert not page.of("b"), "what a text holds became a tag"


def test_photos_can_be_left_out(reports: dict[str, ReportData], tmp_path: Path) -> None:
    with_photos = made(reports["clothes"], tmp_path)
    without = made(replace(reports["clothes"], glimpse=None), tmp_path)
    unreadable = made(replace(reports["clothes"], glimpse=lambda _: Glimpse()), tmp_path)
    assert len(with_photos.of("img")) == len(view.page(reports["clothes"])["mistakes"])
    assert without.of("img") == unreadable.of("img") == []
    assert "Privacy." in with_photos.text
    assert "The photos above are of your test data" in with_photos.text
    assert "Privacy." not in without.text


def test_texts_are_shown_in_words(reports: dict[str, ReportData], tmp_path: Path) -> None:
    words = "a <b>bold</b> review"
    page = made(replace(reports["clothes"], glimpse=lambda _: Glimpse(words=words), plural="texts"), tmp_path)
    assert words in page.text
    assert page.of("img") == []
    assert page.of("b") == []
    assert "The texts above are of your test data" in page.text


def test_a_missing_template_engine_is_one_clear_line(
    reports: dict[str, ReportData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'headstart\[train\]'"):
        write_report(tmp_path / "report.html", reports["clothes"])


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=5), st.integers(2, 6))
def test_an_axis_holds_its_values_between_round_numbers(values: list[float], steps: int) -> None:
    found = plots.axis(values, steps=steps)
    slack = 1e-6 * (found.high - found.low)
    assert found.low - slack <= min(values)
    assert max(values) <= found.high + slack
    assert (found.ticks[0][0], found.ticks[-1][0]) == (0, 100)
    assert 2 <= len(found.ticks) <= steps + 3


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0, 1], ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        ([0.2, 2.9], ["0", "1", "2", "3"]),
        ([0, 2e-4], ["0.00000", "0.00005", "0.00010", "0.00015", "0.00020"]),
        ([1000, 4000], ["1,000", "2,000", "3,000", "4,000"]),
        ([5, 5], ["4", "6"]),
    ],
)
def test_ticks_read_well(values: list[float], texts: list[str]) -> None:
    assert [text for _, text in plots.axis(values).ticks] == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (0.1234, "0.123"), (12.345, "12.3"), (1234.5, "1,234"), (-3.14159, "-3.14"), (1e-5, "1.00e-05")],
)
def test_numbers_read_well(value: float, text: str) -> None:
    assert view.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (16.2, "16 s"), (125, "2 min 5 s"), (7380, "2 h 3 min")]
)
def test_times_read_well(value: float, text: str) -> None:
    assert view.seconds(value) == text


def test_a_gap_breaks_the_line() -> None:
    unit = plots.Axis(0, 2, ())
    assert plots.polyline([0, 1, 2], [2, None, 0], unit, unit) == "M0.0 0.0M100.0 100.0"
    assert plots.dots([0, 1, 2], [2, None, 0], unit, unit) == "M0.0 0.0h0M100.0 100.0h0"
