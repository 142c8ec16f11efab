"""The page about a search of options: what was tried, what it was worth, and how far its scores can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from headstart.core.types import Interval
from headstart.evaluation.compare import Verdict
from headstart.evaluation.names import metric_name
from headstart.evaluation.report.content import NextStep
from headstart.evaluation.report.plots import Axis, Plot, Series, axis, dots, segments, whisker
from headstart.evaluation.report.view import OUTCOMES, figure, number, seconds
from headstart.evaluation.report.write import write_page

SLICES = 4
"""Options that are drawn against the score."""

ROWS = 100
WORDS = {"positive": "Tuning helped", "negative": "Tuning hurt", "none": "The defaults were best"}


@dataclass(frozen=True)
class Tried:
    """A trial. value: of the metric on validation items; where it was ended early, the best until then; None where
    there was none. detail: why it failed, or whose result it shares."""

    number: int
    values: Mapping[str, Any]
    state: Literal["complete", "pruned", "failed", "waiting"]
    value: float | None
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class Searched:
    """An option of the space. text: its range or choices. log: whether its range is searched by the logarithm."""

    key: str
    text: str
    default: Any
    chosen: Any
    importance: float | None
    log: bool = False


@dataclass(frozen=True)
class StudyReport:
    """Everything that the page tells.

    title: the data's name. folder: of the study, as the user wrote it. n: items by split. metric: that trials are
    compared by. finalists: trial -> its values, on the data's own validation items first. winner: its number; 0 is the
    defaults. test, test_default: the two on the test items. verdict: of the one against the other, None where they are
    the same. looks: how often validation items were looked at. ending: of the search.
    """

    title: str
    folder: str
    method: str
    source: str
    n: Mapping[str, int]
    metric: str
    trials: Sequence[Tried]
    space: Sequence[Searched]
    finalists: Mapping[int, Sequence[float]]
    winner: int
    test: Interval
    test_default: Interval
    verdict: Verdict | None
    looks: int
    seconds: float
    ending: str
    higher: bool = True
    next_steps: Sequence[NextStep] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def write_study(path: Path, data: StudyReport) -> None:
    """Write one HTML file that needs nothing else, in the manner of `write_report`."""
    write_page(path, "study.html", study_page(data))


def study_page(data: StudyReport) -> dict[str, Any]:
    """Everything that the template names."""
    outcome = data.verdict.transfer if data.verdict else "none"
    return {
        "data": data,
        "outcome": outcome,
        "outcome_words": {**OUTCOMES, **WORDS}[outcome],
        "metric": metric_name(data.metric),
        "test": figure(data.test, data.metric),
        "trust": trust(data),
        "panel": _panel(data),
        "history": _history(data),
        "slices": _slices(data),
        "space": _space(data),
        "finalists": _finalists(data),
        "rows": _rows(data),
        "left_out": max(0, len(data.trials) - ROWS),
        "seconds": seconds,
    }


def trust(data: StudyReport) -> str:
    """How far the winner's validation score can be believed."""
    first, *fresh = data.finalists[data.winner]
    said = _value(data, first)
    done = sum(trial.state == "complete" for trial in data.trials)
    words = (
        f"{said} is the score of trial {data.winner} on {data.n['validation']} validation items, which were looked at "
        f"{data.looks} times in {len(data.trials)} trials ({done} of them to their end). The best of many looks is "
        "partly luck, so that number is optimistic: do not quote it."
    )
    if fresh:
        mean = sum(fresh) / len(fresh)
        words += f" On {len(fresh)} fresh divisions of the same items it scored {_value(data, mean)} on average."
    reach = figure(data.test, data.metric)
    words += f" On the {data.n['test']} test items it is {reach.value} (95% interval {reach.reach})"
    gap = (first - data.test.value) * (1 if data.higher else -1)
    if gap <= 0:
        return f"{words}: this time validation was not the more favourable of the two."
    unit = f"{100 * gap:.1f} points" if metric_name(data.metric).share else f"{gap:.3f}"
    within = "" if data.test.low <= first <= data.test.high else ", more than that interval allows for"
    return f"{words}: validation was {unit} more favourable{within}."


def _value(data: StudyReport, value: float) -> str:
    return f"{value:.1%}" if metric_name(data.metric).share else number(value)


def _panel(data: StudyReport) -> list[tuple[str, bool, Any, Any]]:
    rows = [("tuned", True, data.test)] if data.verdict else []
    rows += [("defaults", not data.verdict, data.test_default)]
    along = axis([end for _, _, i in rows for end in (i.low, i.high)], steps=3, percent=metric_name(data.metric).share)
    return [(name, ours, whisker(found, along), figure(found, data.metric)) for name, ours, found in rows]


def _history(data: StudyReport) -> Plot | None:
    """Scores by trial, the best so far, and the defaults."""
    shown = [trial for trial in data.trials if trial.value is not None]
    if not shown:
        return None
    x = axis([0, max(1, *(trial.number for trial in shown))], whole=True)
    y = axis([trial.value for trial in shown if trial.value is not None], percent=metric_name(data.metric).share)
    better = max if data.higher else min
    best: list[tuple[int, float]] = []
    for trial in shown:
        if trial.state == "complete" and trial.value is not None:
            best.append((trial.number, better(trial.value, best[-1][1]) if best else trial.value))
    steps = [(a, v, b, v) for (a, v), (b, _) in zip(best, [*best[1:], (int(x.high), 0.0)], strict=True)]
    steps += [(b, v, b, w) for (_, v), (b, w) in pairwise(best)]
    default = data.finalists[0][0]
    groups = {
        state: [(t.number, t.value) for t in shown if t.state == state and t.value is not None]
        for state in ("complete", "pruned")
    }
    series = [
        Series("defaults", "reference", lines=segments([(x.low, default, x.high, default)], x, y)),
        *([Series("ended early", "train", dots=dots(*_columns(groups["pruned"]), x, y))] if groups["pruned"] else []),
        Series("trial", "model", dots=dots(*_columns(groups["complete"]), x, y)),
        Series("best so far", "model", lines=segments(steps, x, y)),
    ]
    words = (
        f"Validation score of {len(shown)} trials in their order; the best is trial {best[-1][0] if best else 0}'s "
        f"or an earlier one's, {_value(data, best[-1][1]) if best else 'none'}."
    )
    title = f"{metric_name(data.metric).title} on validation"
    return Plot(title, words, x, y, "Across: trials, by number.", tuple(series))


def _slices(data: StudyReport) -> list[Plot]:
    """The score against each of the options that matter most."""
    shown = [t for t in data.trials if t.value is not None and t.state in ("complete", "pruned")]
    if len(shown) < 4:
        return []
    y = axis([t.value for t in shown if t.value is not None], percent=metric_name(data.metric).share)
    ranked = sorted(data.space, key=lambda option: -(option.importance or 0.0))
    plots = []
    for option in ranked[:SLICES]:
        x, at = _axis_of(option, [t.values[option.key] for t in shown])
        series = []
        for name, style, state in (("ended early", "train", "pruned"), ("trial", "model", "complete")):
            mine = [(at(t.values[option.key]), t.value) for t in shown if t.state == state and t.value is not None]
            if mine:
                series.append(Series(name, style, dots=dots(*_columns(mine), x, y)))
        words = f"Validation score of {len(shown)} trials against {option.key}; the best has {_text(option.chosen)}."
        across = f"Across: {option.key}{', by its logarithm' if option.log else ''}."
        plots.append(Plot(option.key, words, x, y, f"Up: validation score. {across}", tuple(series)))
    return plots


def _axis_of(option: Searched, values: Sequence[Any]) -> tuple[Axis, Any]:
    """An axis for the option's values, and where on it a value is."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        if not option.log:
            return axis([float(value) for value in values], whole=all(isinstance(v, int) for v in values)), float
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        high = max(high, low + 1)
        ticks = tuple((round(100 * (k - low) / (high - low), 2), f"1e{k}") for k in range(low, high + 1))
        return Axis(low, high, ticks), math.log10
    names = sorted({_text(value) for value in values})
    ticks = tuple((round(100 * (i + 0.5) / len(names), 2), name) for i, name in enumerate(names))
    return Axis(-0.5, len(names) - 0.5, ticks), lambda value: float(names.index(_text(value)))


def _space(data: StudyReport) -> list[dict[str, Any]]:
    known = [option.importance or 0.0 for option in data.space]
    longest = max(known, default=0.0) or 1.0
    return [
        {
            "option": option,
            "default": _text(option.default),
            "chosen": _text(option.chosen),
            "share": None if option.importance is None else f"{option.importance:.0%}",
            "width": round(100 * (option.importance or 0.0) / longest, 1),
        }
        for option in sorted(data.space, key=lambda option: -(option.importance or 0.0))
    ]


def _finalists(data: StudyReport) -> list[dict[str, Any]]:
    rows = []
    for trial, (first, *fresh) in data.finalists.items():
        mean = (first + sum(fresh)) / (1 + len(fresh))
        rows.append(
            {
                "name": "defaults" if trial == 0 else f"trial {trial}",
                "won": trial == data.winner,
                "first": _value(data, first),
                "fresh": [_value(data, value) for value in fresh],
                "mean": _value(data, mean),
            }
        )
    return rows


def _rows(data: StudyReport) -> list[dict[str, Any]]:
    """The trials, the best first, those without a score last."""
    sign = -1 if data.higher else 1
    order = {"complete": 0, "pruned": 1, "failed": 2, "waiting": 3}
    ranked = sorted(
        data.trials, key=lambda t: (order[t.state], math.inf if t.value is None else sign * t.value, t.number)
    )
    return [
        {
            "trial": trial,
            "score": "–" if trial.value is None else _value(data, trial.value),
            "state": {"complete": "", "pruned": "ended early"}.get(trial.state, trial.state),
            "values": [_text(trial.values.get(option.key)) for option in data.space],
        }
        for trial in ranked[:ROWS]
    ]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [float(x) for x, _ in points], [y for _, y in points]


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
