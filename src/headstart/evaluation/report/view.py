"""From the values of a run to what the page shows: words, order, and what is left out because there is too much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.types import Interval
from headstart.evaluation.names import metric_name
from headstart.evaluation.report.content import ReportData
from headstart.evaluation.report.evidence import shown
from headstart.evaluation.report.mistakes import mistakes, plain, truths
from headstart.evaluation.report.plots import (
    Axis,
    Band,
    Plot,
    Series,
    Whisker,
    axis,
    dots,
    polyline,
    segments,
    whisker,
)
from headstart.evaluation.slices import Gap
from headstart.metrics.intervals import wilson

MATRIX = 15  # with more classes, the most confused pairs say more than a matrix
PAIRS = 20
POINTS = 1500
QUANTITIES = 6
OURS = "This model"

OUTCOMES = {
    "positive": "Transfer helped",
    "neutral": "No clear difference",
    "negative": "Transfer hurt",
    "none": "Not compared",
}
OUTCOMES_OF_ENSEMBLE = {**OUTCOMES, "positive": "Better", "negative": "Worse"}


def page(data: ReportData) -> dict[str, Any]:
    """Everything that the template names."""
    outcome = data.verdicts[0].transfer if data.verdicts else "none"
    outcomes = OUTCOMES_OF_ENSEMBLE if data.ensemble else OUTCOMES
    primary = data.evaluation.metrics.get(data.task.primary)
    return {
        "data": data,
        "kind": data.task.kind,
        "primary": metric_name(data.task.primary),
        "primary_value": None if primary is None else figure(primary, data.task.primary),
        "outcome": outcome,
        "outcome_words": outcomes[outcome],
        "verdict_words": data.verdicts[0].words.removeprefix(f"{outcomes[outcome]}. ") if data.verdicts else "",
        "verdicts": _verdicts(data, outcomes),
        "sources": {card.name: card for card in (data.source, *data.further_sources)}.values(),
        "panels": _panels(data),
        "curves": curves(data.history),
        "matrix": _matrix(data),
        "pairs": _pairs(data),
        "per_class": _per_class(data),
        "slices": _slices(data),
        "columns": ("mae", "rmse", "r2") if data.task.kind == "number" else ("precision", "recall", "f1"),
        "scatters": _scatters(data),
        "reliability": _reliability(data),
        "calibration": _calibration(data),
        "mistakes": mistakes(data),
        "rows": _explained(data),
        "choices": _choices(data),
        "pretraining": None if data.pretraining is None else pretraining(data.pretraining),
        "notes": [(name.replace("_", " "), plain(value)) for name, value in data.notes.items()],
        "stages": _stages(data),
        "seconds": seconds,
        "metric_name": metric_name,
        "figure": figure,
    }


def _explained(data: ReportData) -> list[dict[str, Any]]:
    labels = truths(data.predictions) if data.explained else []
    return [shown(one, plain(labels[index])) for index, one in data.explained.items()]


@dataclass(frozen=True)
class Figure:
    """A number and its interval as text, "85.2%" and "81.2–88.5", or "0.512" and "0.480–0.551"."""

    value: str
    reach: str


def figure(interval: Interval, metric: str) -> Figure:
    if metric_name(metric).share or metric in ("precision", "recall", "f1"):
        return Figure(f"{interval.value:.1%}", f"{100 * interval.low:.1f}–{100 * interval.high:.1f}")
    dash = " to " if interval.low < 0 else "–"
    return Figure(number(interval.value), f"{number(interval.low)}{dash}{number(interval.high)}")


def number(value: float) -> str:
    """Three or so significant digits, without an exponent where that is readable."""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.2e}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value)))) if abs(value) >= 1 else 3}f}"


def seconds(value: float) -> str:
    """ "0.4 s", "16 s", "2 min 5 s", "1 h 3 min"."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"


# -- how good -------------------------------------------------------------------------------------------------------


def _verdicts(data: ReportData, outcomes: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = []
    for found in data.verdicts:
        scale, unit = (100, " points") if metric_name(found.metric).share else (1, "")
        text = "{:+.1f}" if scale == 100 else "{:+.3f}"
        gain, low, high = (text.format(scale * v) for v in (found.gain, found.low, found.high))
        rows.append(
            {
                "verdict": found,
                "words": outcomes[found.transfer],
                "gain": f"{gain}{unit}",
                "reach": f"{low} to {high}",
                "p": probability(found.p_value),
                "mcnemar": "" if found.mcnemar_p is None else probability(found.mcnemar_p),
            }
        )
    return rows


def probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


@dataclass(frozen=True)
class Panel:
    """One metric: this model and whatever it is held against, on one axis."""

    key: str
    axis: Axis
    rows: tuple[tuple[str, bool, Whisker, Figure], ...]


def _panels(data: ReportData) -> list[Panel]:
    panels = []
    for key, ours in data.evaluation.metrics.items():
        if key == "f1_micro" and data.task.kind == "single":
            continue  # it is the accuracy
        systems = [(OURS, ours)] + [(b.name, b.metrics[key]) for b in data.baselines if key in b.metrics]
        percent = metric_name(key).share
        along = axis([bound for _, i in systems for bound in (i.low, i.high)], steps=3, percent=percent)
        rows = tuple((name.replace("_", " "), name is OURS, whisker(i, along), figure(i, key)) for name, i in systems)
        panels.append(Panel(key, along, rows))
    return panels


# -- where it goes wrong --------------------------------------------------------------------------------------------


def _matrix(data: ReportData) -> list[dict[str, Any]]:
    """Rows of the confusion matrix with each cell's share of its row, or [] where there are too many classes."""
    counts = data.evaluation.confusion
    if not counts or len(counts) > MATRIX:
        return []
    return [
        {
            "name": name,
            "total": sum(row),
            "cells": [
                {
                    "count": n,
                    "share": round(n / max(1, sum(row)), 3),
                    "right": k == i,
                    "predicted": data.task.outputs[k],
                }
                for k, n in enumerate(row)
            ],
        }
        for i, (name, row) in enumerate(zip(data.task.outputs, counts, strict=True))
    ]


def _pairs(data: ReportData) -> list[dict[str, Any]]:
    """The most frequent confusions, where there are too many classes for a matrix."""
    counts = np.array(data.evaluation.confusion)
    if len(counts) <= MATRIX:
        return []
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    return [
        {
            "true": data.task.outputs[i],
            "predicted": data.task.outputs[k],
            "count": int(wrong[i, k]),
            "share": f"{wrong[i, k] / counts[i].sum():.0%}",
        }
        for i, k in (divmod(int(flat), len(counts)) for flat in order)
        if wrong[i, k]
    ]


def _per_class(data: ReportData) -> list[dict[str, Any]]:
    """A row an output, the weakest first."""
    weak = "r2" if data.task.kind == "number" else "f1"
    columns = ("mae", "rmse", "r2") if data.task.kind == "number" else ("precision", "recall", "f1")

    def strength(row: Any) -> float:
        return float(row.metrics[weak].value) if weak in row.metrics else math.inf

    return [
        {
            "row": row,
            "figures": [figure(row.metrics[key], key) if key in row.metrics else None for key in columns],
            "whisker": None if weak == "r2" or weak not in row.metrics else whisker(row.metrics[weak], Axis(0, 1, ())),
        }
        for row in sorted(data.evaluation.per_class, key=strength)
    ]


def _slices(data: ReportData) -> dict[str, Any] | None:
    """A row a slice with its gap to all other items, the worst first, and which metrics there are to show."""
    found = data.slices
    if found is None:
        return None
    words = metric_name(found.metric)
    gaps = {gap.slice: gap for gap in found.gaps}

    def told(gap: Gap) -> Figure:
        scale, form = (100, "{:+.1f}") if words.share else (1, "{:+.3f}")
        reach = gap.difference
        value, low, high = (form.format(scale * v) for v in (reach.value, reach.low, reach.high))
        return Figure(value, f"{low} to {high}")

    def badness(name: str) -> float:
        return (1 if words.higher else -1) * gaps[name].difference.value if name in gaps else math.inf

    return {
        "column": found.column,
        "metric": words.title,
        "notes": found.notes,
        "keys": [key for key in data.evaluation.metrics if not (key == "f1_micro" and data.task.kind == "single")],
        "rows": [
            {
                "slice": one,
                "figures": {key: figure(value, key) for key, value in one.metrics.items()},
                "gap": told(gaps[one.name]) if one.name in gaps else None,
                "clear": one.name in gaps and gaps[one.name].clear,
            }
            for one in sorted(found.slices, key=lambda one: badness(one.name))
        ],
    }


def _scatters(data: ReportData) -> list[Plot]:
    """Predicted against true, a plot a quantity."""
    if data.task.kind != "number":
        return []
    found, plots = data.predictions, []
    kept = np.linspace(0, len(found.ids) - 1, min(POINTS, len(found.ids))).round().astype(int)
    for k, name in enumerate(data.task.outputs[:QUANTITIES]):
        true, predicted = found.targets[kept, k].tolist(), found.scores[kept, k].tolist()
        along = axis([*true, *predicted])
        perfect = segments([(along.low, along.low, along.high, along.high)], along, along)
        series = (
            Series("perfect", "reference", lines=perfect),
            Series("test item", "points", dots=dots(true, predicted, along, along)),
        )
        some = f" ({len(kept)} of {len(found.ids)} items shown)" if len(kept) < len(found.ids) else ""
        words = f"Predicted against true {name} of test items{some}; on the diagonal the two are equal."
        plots.append(Plot(name, words, along, along, "Up: predicted. Across: true.", series, square=True))
    return plots


# -- can its confidence be trusted ----------------------------------------------------------------------------------


def _reliability(data: ReportData) -> Plot | None:
    bins = data.evaluation.reliability
    if not bins:
        return None
    unit = Axis(0, 1, tuple((25.0 * i, f"{25 * i}%") for i in range(5)))
    total = sum(b.count for b in bins)
    confidence, right = [b.confidence for b in bins], [b.accuracy for b in bins]
    reach = [wilson(b.accuracy * b.count, b.count) for b in bins]
    bars = "".join(
        f"M{unit.at(b.low) + 0.4} 100V{round(100 - 100 * b.count / total, 2)}H{unit.at(b.high) - 0.4}V100Z"
        for b in bins
    )
    series = (
        Series("share of decisions", "bars", lines=bars),
        Series("perfectly calibrated", "reference", lines=segments([(0, 0, 1, 1)], unit, unit)),
        Series(
            "how often right, with 95% interval",
            "model",
            lines=segments([(c, i.low, c, i.high) for c, i in zip(confidence, reach, strict=True)], unit, unit),
            dots=dots(confidence, right, unit, unit),
        ),
    )
    top = bins[-1]
    words = (
        f"How often predictions are right at each level of confidence, in {len(bins)} bins. At a confidence of "
        f"{top.confidence:.0%} on average ({top.count} decisions), {top.accuracy:.0%} are right."
    )
    return Plot("Reliability", words, unit, unit, "Up: how often right. Across: confidence.", series, square=True)


def _calibration(data: ReportData) -> str:
    """One sentence on the calibration error, before and after."""
    ece = data.evaluation.metrics.get("ece")
    if ece is None:
        return ""
    now = f"Stated confidence and how often it is right lie {100 * ece.value:.1f} points apart on average"
    reach = f" (likely {100 * ece.low:.1f} to {100 * ece.high:.1f})"
    if data.uncalibrated_ece is None:
        return f"{now}{reach}."
    return (
        f"{now}{reach}; before temperature scaling it was {100 * data.uncalibrated_ece.value:.1f}. "
        f"The temperature, {data.temperature:.2f}, was fitted on validation items."
    )


# -- how it was made ------------------------------------------------------------------------------------------------


def curves(rows: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """Loss, the watched metric and the learning rate over epochs, phases as bands. rows: as `ReportData.history`."""
    if not rows:
        return []
    epochs = list(range(1, len(rows) + 1))
    x = axis([0, len(rows)], whole=True)
    phases = [str(row["phase"]) for row in rows]
    starts = [i for i in range(len(rows)) if not i or phases[i] != phases[i - 1]]
    ends = [*starts[1:], len(rows)]
    bands = tuple(Band(phases[a], x.at(a), round(x.at(b) - x.at(a), 2)) for a, b in zip(starts, ends, strict=True))
    watched = sorted({k for row in rows for k in row if k.startswith("validation_") and k != "validation_loss"})
    wanted: list[tuple[str, tuple[tuple[str, str, str], ...]]] = [
        ("Loss", (("train_loss", "training", "train"), ("validation_loss", "validation", "model")))
    ]
    wanted += [
        (f"{metric_name(key.removeprefix('validation_')).title} on validation", ((key, "validation", "model"),))
        for key in watched
    ]
    wanted.append(("Learning rate", (("learning_rate", "highest of any layer", "train"),)))
    plots = []
    for title, lines in wanted:
        columns = [(name, style, [_finite(row.get(key)) for row in rows]) for key, name, style in lines]
        present = [v for _, _, values in columns for v in values if v is not None]
        if not present:
            continue
        y = axis(present)
        series = tuple(
            Series(name, style, polyline(epochs, values, x, y), dots(epochs, values, x, y) if len(rows) <= 40 else "")
            for name, style, values in columns
            if any(v is not None for v in values)
        )
        words = "; ".join(_trend(name, values) for name, _, values in columns if any(v is not None for v in values))
        plots.append(Plot(title, f"{title} over {len(rows)} epochs: {words}.", x, y, "Across: epochs.", series, bands))
    return plots


def pretraining(told: Mapping[str, Any]) -> dict[str, Any]:
    """What was learned without labels, as `metrics.json` tells it under "pretraining"."""
    measures = list(told["after"])
    form = "{:.4g}".format

    def cell(interval: Mapping[str, float]) -> Figure:
        return Figure(form(interval["value"]), f"{form(interval['low'])}–{form(interval['high'])}")

    gain = told["gain"]
    clear = "clearly lower" if gain["low"] > 0 else "clearly higher" if gain["high"] < 0 else "not clearly different"
    return {
        "told": told,
        "measures": measures,
        "rows": [(when, [cell(told[when][name]) for name in measures]) for when in ("before", "after")],
        "words": f"The loss on held-out items is {clear} afterwards: it fell by {form(gain['value'])} "
        f"({form(gain['low'])} to {form(gain['high'])}).",
    }


def _trend(name: str, values: Sequence[float | None]) -> str:
    seen = [v for v in values if v is not None]
    return f"{name} from {number(seen[0])} to {number(seen[-1])}, between {number(min(seen))} and {number(max(seen))}"


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _choices(data: ReportData) -> list[dict[str, Any]]:
    return [
        {
            "name": choice.name,
            "score": number(choice.score),
            "kept": choice.kept,
            "detail": "; ".join(f"{key.replace('_', ' ')} {plain(value)}" for key, value in choice.detail.items()),
        }
        for choice in data.choices
    ]


def _stages(data: ReportData) -> list[tuple[str, str, float]]:
    longest = max(data.cost.stages.values(), default=0) or 1.0
    return [(name, seconds(spent), round(100 * spent / longest, 1)) for name, spent in data.cost.stages.items()]
