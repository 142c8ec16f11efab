"""Every metric of a task on a test set, each with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headstart.core.errors import DataError, ShapeError
from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.core.types import Interval
from headstart.evaluation.names import METRIC_NAMES
from headstart.metrics import classification, multilabel, regression, spans
from headstart.metrics.calibration import Bin, gaps, reliability
from headstart.metrics.intervals import bootstrap, calibration_error, wilson
from headstart.metrics.resampling import Metrics, once, units_of
from headstart.tasks.token_classification import TokenClassification

PER_CLASS = ("precision", "recall", "f1")

PROPORTIONS = (*(name for name, words in METRIC_NAMES.items() if words.share), *PER_CLASS)
"""Metrics that are shares, between 0 and 1."""


@dataclass(frozen=True)
class Row:
    """One class, label, type of entity or quantity: `count` test items (or entities) have it, `predicted` were given it
    (both N for a quantity).

    metrics: precision, recall and f1 (mae, rmse and r2 for a quantity); without those that are undefined.
    """

    name: str
    count: int
    predicted: int
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on `n` test items; texts, where words are predicted.

    metrics: as in `metrics.json`; one that is undefined on these items is absent, and a note says so.
    per_class: a row for each output (none for answers). confusion: (K, K) counts, rows true and columns predicted; ()
    unless each item has one label. reliability: the bins of confidence that hold items; () for numbers.
    groups: how many groups the intervals were drawn over, None for single items. notes: what a reader should know.
    """

    n: int
    metrics: dict[str, Interval]
    per_class: tuple[Row, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[Bin, ...]
    groups: int | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Evaluation:
        return cls(
            n=int(data["n"]),
            metrics=_intervals(data["metrics"]),
            per_class=tuple(Row(**{**row, "metrics": _intervals(row["metrics"])}) for row in data["per_class"]),
            confusion=tuple(tuple(row) for row in data["confusion"]),
            reliability=tuple(Bin(**b) for b in data["reliability"]),
            groups=data["groups"],
            notes=tuple(data["notes"]),
        )


def evaluate(
    task: Task,
    targets: np.ndarray,
    scores: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    units: Units | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Evaluation:
    """Judge scores against targets, with 95 % intervals.

    targets: as `task.encode` gives them. scores: (N, K) as `task.scores` gives them. groups: (N,) names of what
    belongs together (patients, speakers); intervals then draw whole groups, since items of one are not independent.
    units: which words are of one text, where words are predicted: texts are then the items.
    Proportions over single items take Wilson's interval, everything else the bootstrap.
    Raises DataError if there is no item or a score is not finite, ShapeError where the arrays do not fit.
    """
    check_arrays(task, targets, scores, groups)
    measure = task.statistic(targets, scores, units)
    by_row = groups
    items, groups = judged_items(len(targets), groups, units)
    metrics = bootstrap(measure, items, groups=groups, seed=seed, resamples=resamples, proportions=PROPORTIONS)
    if units is not None:
        return _of_texts(task, targets, scores, units, metrics, groups, by_row, seed, resamples)
    if groups is None:
        exact = metrics.keys() & {"accuracy", "f1_micro" if task.kind == "single" else "subset_accuracy"}
        metrics.update({name: wilson(metrics[name].value * len(targets), len(targets)) for name in exact})
    if task.kind != "number":
        gap = gaps(*_confidence(task, targets, scores))
        metrics["ece"] = calibration_error(gap, groups=groups, seed=seed, resamples=resamples)
    rows = _rows(task, targets, scores, groups, seed, resamples)
    number = None if groups is None else units_of(len(targets), groups)[1]
    return Evaluation(
        n=len(targets),
        metrics=metrics,
        per_class=rows,
        confusion=_confusion(task, targets, scores),
        reliability=() if task.kind == "number" else reliability(*_confidence(task, targets, scores)),
        groups=number,
        notes=tuple(
            _notes(task, rows, len(targets), number, [k for k in measure(once(len(targets))) if k not in metrics])
        ),
    )


def judged_items(rows: int, groups: np.ndarray | None, units: Units | None) -> tuple[int, np.ndarray | None]:
    """How many items are judged, and the group of each: of texts, where `groups` are of their words; None where every
    text is a group of its own."""
    if units is None or groups is None:
        return rows if units is None else len(units), groups
    own = np.asarray(groups)[units.starts[:-1]]
    return len(units), own if len(np.unique(own.astype(str))) < len(own) else None


def _of_texts(
    task: Task,
    targets: np.ndarray,
    scores: np.ndarray,
    units: Units,
    metrics: dict[str, Interval],
    groups: np.ndarray | None,
    by_row: np.ndarray | None,
    seed: int,
    resamples: int,
) -> Evaluation:
    """The rest of what is told where words are predicted. groups: of the texts; by_row: of the words."""
    rows: tuple[Row, ...] = ()
    bins: tuple[Bin, ...] = ()
    if isinstance(task, TokenClassification):
        together = units.of if by_row is None else by_row
        confidence = _confidence(task, targets, scores)
        metrics["ece"] = calibration_error(gaps(*confidence), groups=together, seed=seed, resamples=resamples)
        bins = reliability(*confidence)
        if task.scheme is not None:
            rows = _entities(task, targets, scores, units, groups, seed, resamples)
    number = None if groups is None else units_of(len(units), groups)[1]
    undefined = [name for name in task.metrics(targets, scores, units) if name not in metrics]
    noun = "text" if isinstance(task, TokenClassification) else "question"
    notes = _notes(task, rows, len(units), number, undefined, noun)
    return Evaluation(len(units), metrics, rows, (), bins, number, tuple(notes))


def _entities(
    task: TokenClassification,
    targets: np.ndarray,
    scores: np.ndarray,
    units: Units,
    groups: np.ndarray | None,
    seed: int,
    resamples: int,
) -> tuple[Row, ...]:
    """One row a type of entity."""
    found = spans.count_spans(task.tags(targets, units), task.tags(task.said(scores, units), units))

    def shares(counts: np.ndarray) -> Metrics:
        cells = spans.tally(found, counts)
        return _shares(cells)

    measured = _by_output(shares, len(units), groups, seed, resamples) if found.types else None
    support, predicted = (part.sum(axis=0).astype(int).tolist() for part in (found.support, found.predicted))
    return tuple(
        Row(name, support[k], predicted[k], measured(k) if measured else {}) for k, name in enumerate(found.types)
    )


def _shares(cells: classification.Tally) -> Metrics:
    """(K, R) each, NaN where it is undefined."""
    return {
        "precision": np.where(cells.predicted > 0, cells.precision, np.nan),
        "recall": np.where(cells.support > 0, cells.recall, np.nan),
        "f1": np.where(cells.present, cells.f1, np.nan),
    }


def check_arrays(task: Task, targets: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None) -> None:
    """Raise DataError or ShapeError unless targets, scores and groups are what the task and each other expect."""
    outputs = len(task.outputs)
    if not len(targets):
        raise DataError("there are no test items to judge. Give data with at least one labelled item.")
    wanted = (len(targets),) if task.kind == "single" else (len(targets), outputs)
    if targets.shape != wanted or scores.shape != (len(targets), outputs):
        raise ShapeError(
            f"{task.name} with {outputs} outputs expects targets {wanted} and scores {(len(targets), outputs)}, "
            f"but got {targets.shape} and {scores.shape}. Give one row of scores for each item."
        )
    if groups is not None and len(groups) != len(targets):
        raise ShapeError(f"there are {len(targets)} items but {len(groups)} groups. Give the group of each item.")
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).any(axis=1).sum())
        raise DataError(
            f"the scores of {bad} of {len(targets)} items are not finite. Training diverged: lower its rate."
        )


def _rows(
    task: Task, targets: np.ndarray, scores: np.ndarray, groups: np.ndarray | None, seed: int, resamples: int
) -> tuple[Row, ...]:
    """One row an output. Without groups, precision and recall are proportions and so is f1 / (2 - f1)."""
    n, outputs = len(targets), len(task.outputs)
    if task.kind == "number":
        measured = _by_output(lambda counts: regression.per_output(targets, scores, counts), n, groups, seed, resamples)
        return tuple(Row(name, n, n, measured(k)) for k, name in enumerate(task.outputs))

    def tally(counts: np.ndarray) -> classification.Tally:
        if task.kind == "multi":
            return multilabel.tally(targets, scores, counts)
        return classification.tally(targets, scores.argmax(axis=1), outputs, counts)

    def shares(counts: np.ndarray) -> Metrics:
        return _shares(tally(counts))

    cells = tally(once(n))
    support, predicted, right = (a[:, 0].astype(int).tolist() for a in (cells.support, cells.predicted, cells.right))
    if groups is not None:
        measured = _by_output(shares, n, groups, seed, resamples)
    else:

        def measured(k: int) -> dict[str, Interval]:
            found = {"precision": (right[k], predicted[k]), "recall": (right[k], support[k])}
            rows = {name: wilson(part, whole) for name, (part, whole) in found.items() if whole}
            if either := support[k] + predicted[k] - right[k]:
                overlap = wilson(right[k], either)
                rows["f1"] = Interval(*(2 * j / (1 + j) for j in (overlap.value, overlap.low, overlap.high)))
            return rows

    return tuple(Row(name, support[k], predicted[k], measured(k)) for k, name in enumerate(task.outputs))


def _by_output(
    measure: Callable[[np.ndarray], Metrics], n: int, groups: np.ndarray | None, seed: int, resamples: int
) -> Callable[[int], dict[str, Interval]]:
    """Bootstrap metrics that are (K, R) each; gives those of one output."""

    def flat(counts: np.ndarray) -> Metrics:
        return {f"{name} {k}": row for name, values in measure(counts).items() for k, row in enumerate(values)}

    names = list(flat(once(n)))
    shares = [name for name in names if name.split()[0] in PER_CLASS]
    found = bootstrap(flat, n, groups=groups, seed=seed, resamples=resamples, proportions=shares)
    return lambda k: {name.split()[0]: found[name] for name in names if name.endswith(f" {k}") and name in found}


def _confusion(task: Task, targets: np.ndarray, scores: np.ndarray) -> tuple[tuple[int, ...], ...]:
    if task.kind != "single":
        return ()
    cells = classification.confusion(targets, scores.argmax(axis=1), len(task.outputs))
    return tuple(tuple(row) for row in cells.tolist())


def _confidence(task: Task, targets: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How sure of what was said, and whether that was right: (N,) each, (N, K) for many labels."""
    if task.kind == "single":
        return scores.max(axis=1), scores.argmax(axis=1) == targets
    return multilabel.confidence(targets, scores)


def _notes(
    task: Task, rows: tuple[Row, ...], n: int, groups: int | None, undefined: list[str], noun: str = "item"
) -> list[str]:
    """What a reader of the numbers should know. noun: of what was judged."""
    notes = []
    if n < 50:
        notes.append(
            f"Only {n} test {noun}{'s' if n > 1 else ''}: the intervals are wide, and the numbers tell little."
        )
    if groups is not None:
        few = " That is few: the intervals are rough." if groups < 20 else ""
        notes.append(f"Intervals draw whole groups, {groups} of them, not single {noun}s.{few}")
    if task.kind != "number":
        absent = [row.name for row in rows if not row.count]
        if absent:
            notes.append(
                f"No test {noun} has {_listed(absent)}: left out of recall and ROC-AUC"
                + ("." if task.kind == "multi" else ", counted as 0 in macro averages if predicted.")
            )
        rare = [row.name for row in rows if 0 < row.count < 5]
        if rare:
            few_of = "There are fewer than 5" if task.by_word else "Fewer than 5 test items have"
            notes.append(f"{few_of} {_listed(rare)}: look at the intervals of these, not the values.")
        never = [row.name for row in rows if row.count and not row.predicted]
        if never:
            notes.append(f"Never predicted: {_listed(never)}; their precision counts as 0 in macro averages.")
    if undefined:
        notes.append(f"Undefined on these items and so left out: {', '.join(undefined)}.")
    return notes


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _intervals(data: dict[str, Any]) -> dict[str, Interval]:
    return {name: Interval.from_json(value) for name, value in data.items()}
