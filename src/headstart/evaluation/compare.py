"""Is one model better than another on the same items, and did transfer help: the verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from headstart.core.errors import DataError
from headstart.core.passages import Units
from headstart.core.task import Task
from headstart.evaluation.evaluate import check_arrays, judged_items
from headstart.evaluation.names import metric_name
from headstart.evaluation.predictions import Predictions
from headstart.metrics.paired import Difference, bootstrap_difference, mcnemar
from headstart.metrics.resampling import once
from headstart.tasks.token_classification import TokenClassification

FEWEST = 6
"""With fewer items decided differently, even a unanimous sign test stays above 5 % (2 / 2**5), so nothing is proved."""


@dataclass(frozen=True)
class Verdict:
    """Whether transfer (or the first of two runs) is better than what it is held against, on `n` test items.

    transfer: "positive" only if the whole 95 % interval of the gain is above 0, "negative" only if it is below.
    gain, low, high: difference of `metric` (the task's primary one) and its interval. p_value: of the paired bootstrap.
    differing: on how many items (groups, where there are any) the two differ in what is right.
    mcnemar_p: mid-p of McNemar's test on right and wrong; None for numbers, or where items come in groups.
    words: the same for a reader who knows no statistics.
    """

    transfer: Literal["positive", "neutral", "negative"]
    gain: float
    low: float
    high: float
    p_value: float
    against: str
    metric: str
    n: int
    differing: int
    mcnemar_p: float | None
    words: str
    test: str = "paired bootstrap"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        return cls(**data)


def verdict(
    task: Task,
    targets: np.ndarray,
    transfer_scores: np.ndarray,
    baseline_scores: np.ndarray,
    *,
    against: str,
    groups: np.ndarray | None = None,
    units: Units | None = None,
    seed: int = 0,
    resamples: int = 2000,
    subject: str = "transfer",
) -> Verdict:
    """Judge whether `transfer_scores` beat `baseline_scores` on the same test items, by the task's primary metric.

    targets: as `task.encode` gives. Both scores: (N, K). against, subject: what the two are called in words.
    groups: (N,) what belongs together, drawn as a whole. units: as in `evaluate`. Raises as it does.
    """
    check_arrays(task, targets, transfer_scores, groups)
    check_arrays(task, targets, baseline_scores, groups)
    ours, theirs = (task.statistic(targets, s, units, task.primary) for s in (transfer_scores, baseline_scores))
    items, groups = judged_items(len(targets), groups, units)
    if units is None:
        only_ours, only_theirs, either = _wins(task, targets, transfer_scores, baseline_scores)
    else:
        only_ours = only_theirs = 0
        said, other = (_said(task, scores, units) for scores in (transfer_scores, baseline_scores))
        either = np.array([a != b for a, b in zip(said, other, strict=True)])
    measured = bootstrap_difference(ours, theirs, task.primary, items, groups=groups, seed=seed, resamples=resamples)
    differing = int(either.sum()) if groups is None else len(np.unique(np.asarray(groups)[either].astype(str)))
    gain = measured.gain
    known = bool(np.isfinite(gain.value))
    outcome: Literal["positive", "neutral", "negative"] = "neutral"
    if known and differing >= FEWEST:
        outcome = "positive" if gain.low > 0 else "negative" if gain.high < 0 else "neutral"
    values = tuple(float(s(once(items))[task.primary][0]) for s in (ours, theirs))
    paired = task.kind != "number" and groups is None and units is None
    return Verdict(
        transfer=outcome,
        gain=gain.value if known else 0.0,
        low=gain.low if known else 0.0,
        high=gain.high if known else 0.0,
        p_value=measured.p_value if known else 1.0,
        against=against,
        metric=task.primary,
        n=items,
        differing=differing,
        mcnemar_p=mcnemar(only_ours, only_theirs) if paired else None,
        words=_words(outcome, measured, task.primary, values, items, differing, against, subject, groups),
    )


def compare_runs(
    predictions_a: Predictions,
    predictions_b: Predictions,
    *,
    names: tuple[str, str] = ("the first run", "the second run"),
    seed: int = 0,
) -> Verdict:
    """Is run A better than run B, by their stored predictions on the same test items (in any order).

    Raises DataError where outputs, items or true labels differ: runs on different test items cannot be compared.
    """
    a, b = predictions_a, predictions_b
    if a.task.kind != b.task.kind or a.task.outputs != b.task.outputs:
        raise DataError(
            f"the runs predict different things: {a.task.name} of {', '.join(a.task.outputs[:10])}; "
            f"{b.task.name} of {', '.join(b.task.outputs[:10])}. Compare runs on the same labels."
        )
    missing = sorted(set(a.ids) ^ set(b.ids))
    if missing or len(set(a.ids)) != len(a.ids) or len(a.ids) != len(b.ids):
        shown = f", for instance {missing[0]!r} is in only one" if missing else ""
        raise DataError(
            f"the runs were tested on different items ({len(a.ids)} and {len(b.ids)}; {len(missing)} not in both"
            f"{shown}). Compare runs of the same data and split, or evaluate both models on one data set first."
        )
    b = b.ordered_as(a.ids)
    unequal = [a.ids[i] for i in np.flatnonzero((a.targets != b.targets).reshape(len(a.ids), -1).any(axis=1))]
    if unequal:
        raise DataError(
            f"{len(unequal)} test items have different true labels in the two runs, for instance {unequal[0]!r}. "
            "The labels were changed in between: fit or evaluate again with the same labels."
        )
    return verdict(
        a.task,
        a.targets,
        a.scores,
        b.scores,
        against=names[1],
        groups=a.groups,
        units=a.units,
        seed=seed,
        subject=names[0],
    )


def _wins(task: Task, targets: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> tuple[int, int, np.ndarray]:
    """How many items only the one or only the other has right, and (N,) bool: the two differ in what is right."""
    if task.kind == "number":
        return 0, 0, (np.abs(ours - targets) != np.abs(theirs - targets)).any(axis=1)
    if task.kind == "single":
        right, other = ours.argmax(axis=1) == targets, theirs.argmax(axis=1) == targets
        return int((right & ~other).sum()), int((other & ~right).sum()), right != other
    each, those = (ours > 0.5) == (targets > 0.5), (theirs > 0.5) == (targets > 0.5)
    right, other = each.all(axis=1), those.all(axis=1)
    return int((right & ~other).sum()), int((other & ~right).sum()), (each != those).any(axis=1)


def _said(task: Task, scores: np.ndarray, units: Units) -> list[Any]:
    """What is said of each text, but for how sure it is."""
    best = [found if isinstance(task, TokenClassification) else found[:1] for found in task.decode(scores, units)]
    return [[{k: v for k, v in one.items() if k != "probability"} for one in found] for found in best]


def _words(
    outcome: str,
    measured: Difference,
    metric: str,
    values: tuple[float, ...],
    n: int,
    differing: int,
    against: str,
    subject: str,
    groups: np.ndarray | None,
) -> str:
    """Two or three sentences for a reader who knows no statistics."""
    gain, name = measured.gain, metric_name(metric)
    items = f"{n} test item{'s' if n != 1 else ''}"
    unit = ("item" if groups is None else "group") + ("s" if differing != 1 else "")
    if not np.isfinite(gain.value):
        return f"It cannot be told whether {subject} helped: {name.title} is undefined on these {items}."
    if metric == "accuracy":
        facts = f"On {items}, {subject} is right on {values[0]:.1%} and {against} on {values[1]:.1%}"
    else:
        facts = f"On {items}, {name.title} is {values[0]:.3f} with {subject} and {values[1]:.3f} with {against}"
    if name.share:
        reach = f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f} percentage points"
    else:
        reach = f"{gain.low:+.3f} to {gain.high:+.3f}"
    if outcome != "neutral":
        helped = outcome == "positive"
        if subject == "transfer":
            lead = "Transfer helped" if helped else f"Transfer hurt: {against} is better"
        else:
            lead = f"{subject if helped else against} is better than {against if helped else subject}"
            lead = lead.replace("the ", "The ", 1) if lead.startswith("the ") else lead
        return (
            f"{lead}. {facts}; the true difference is likely within {reach}. "
            f"Were the two equally good, a difference this large would come up in {_odds(measured.p_value)} such tests."
        )
    if differing < FEWEST:
        return (
            f"Too few to tell. {facts}, but they differ on only {differing} {unit}, and fewer than {FEWEST} prove "
            "nothing. More test items would settle it."
        )
    return (
        f"No clear difference. {facts}; the true difference could be anything within {reach}, none included. "
        "More test items would narrow that down."
    )


def _odds(p: float) -> str:
    return "fewer than 1 of 500" if p < 0.002 else f"about {max(1, round(100 * p))} of 100"
