"""Rank: which pretrained source suits this data, and what each would cost.

    headstart rank photos/ --budget 60s

Looks at training items only, through each source's frozen features. All sources are judged on a few items first; those
that are worse than the best beyond chance leave the race, and the rest are judged on more. What is told of a source is
its score with an interval, whether it is tied with the best, all other scores, and the measured price of using it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.core.card import Input
from headstart.core.duration import seconds_of
from headstart.core.errors import ConfigError, UserError
from headstart.core.progress import Progress, Silent
from headstart.core.scorer import Evidence, Scorer
from headstart.core.source import Source
from headstart.core.types import Features, Interval
from headstart.data.dataset import Dataset
from headstart.data.kept import Kept
from headstart.data.loader import Batches
from headstart.data.read import read_dataset
from headstart.features.bank import FeatureBank
from headstart.features.store import FeatureStore
from headstart.methods.finetune.probe import in_output_units
from headstart.ranking import SCORERS
from headstart.ranking.judge import Judged, gap, judge
from headstart.recipes.choose import nothing_here, suited, takes
from headstart.recipes.encode import feature_bank
from headstart.recipes.prepare import Part, Target, label_kind, prepare
from headstart.recipes.price import Price, price
from headstart.sources import catalog

DEFAULT_SCORE = "probe"
FIRST, FIRST_OF_A_CLASS, FACTOR, MOST = 96, 8, 3, 2000
"""Items of the first look, at least so many a class; how looks grow; how many the last one takes at most."""
SURE = 0.99
"""Confidence with which a source must be worse than the best to leave the race."""
KEPT_BACK = 0.1
"""Share of a budget that the race leaves for telling all scores at its end."""


@dataclass(frozen=True)
class Ranking(Sequence[dict[str, Any]]):
    """Rows, best first, as `headstart rank --json` prints them.

    absent: `{"source", "how"}` of what is known but not on this machine. notes: what was left undone, and why.
    """

    rows: tuple[dict[str, Any], ...]
    absent: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)


@dataclass
class Runner:
    """One source in the race. judged: items -> the score on so many; features: (n, D) of the first n of the order."""

    name: str
    source: Source
    bank: FeatureBank
    price: Price
    features: np.ndarray
    judged: dict[int, Judged] = field(default_factory=dict)
    seconds_an_item: float = 0.0

    @cached_property
    def head(self) -> Callable[[Features], torch.Tensor] | None:
        """The source's own."""
        return self.source.classifier()

    @property
    def items(self) -> int:
        return max(self.judged)

    @property
    def last(self) -> Judged:
        return self.judged[self.items]


@dataclass(frozen=True)
class Course:
    """The training items in the order in which they are looked at, and nothing of any other item.

    labels: as a score takes them. groups: (N,) what belongs together, or None.
    """

    part: Part
    order: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    kind: Any
    seed: int

    def __len__(self) -> int:
        return len(self.order)

    def first(self, items: int) -> list[int]:
        """Indices into the part."""
        return [int(i) for i in self.order[:items]]

    def evidence(self, runner: Runner, items: int) -> Evidence:
        """Of the first `items`, as a source sees them."""
        features = runner.features[:items]
        return Evidence(
            features,
            self.labels[self.order[:items]],
            self.kind,
            groups=self.groups_of(items),
            source_probabilities=None if runner.head is None else _head_says(runner.head, features),
            card=runner.source.card,
            seed=self.seed,
        )

    def groups_of(self, items: int) -> np.ndarray | None:
        return None if self.groups is None else self.groups[self.order[:items]]


def rank(
    data: str | Path | Dataset,
    *,
    sources: Sequence[str | Source] | None = None,
    budget: str | float | None = None,
    score: str = DEFAULT_SCORE,
    task: str | None = None,
    input: str | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Ranking:
    """Rank sources by how well they suit `data`, with the price of each. Only training items are looked at.

    data, task, input, label, group, split, seed: as in `fit`; the same seed makes the same split.
    sources: names as in `fit`, or Sources; None takes every known one that is on this machine.
    budget: seconds, or "60s", "10m"; what does not fit in is left undone and said. score: a name in
    `headstart.ranking.SCORERS`, by which sources are ordered.

    A row: "source", "modality", "score" with "low" and "high" (95 %), "items" it was judged on, "gap" to the best
    (paired, 95 %), "tied" where that may be chance, "pareto" where no other source is both as good and as cheap,
    "seconds" = "seconds_features" + "seconds_epoch" (of looking at all training items once, and of training on them
    once), "memory_mb" of a training step of 32 items, "parameters", "license", "encoded" (items that went through the
    network now, rather than out of the store), "scores" (each on the items that all sources were judged on, so that
    rows may be compared; null where one is not defined, or time was out).

    Raises UserError (DataError, SourceError, ConfigError) where the input is at fault.
    """
    started = time.perf_counter()
    progress = progress or Silent()
    limit = seconds_of(budget) if budget is not None else np.inf
    scorer = SCORERS[score]()

    def left() -> float:
        return limit - (time.perf_counter() - started)

    dataset = read_dataset(data, input=input, label=label, kind=label_kind(task), group=group, split=split)
    named, absent = _candidates(dataset, sources, seed)
    blank = [name for name, source in named.items() if not source.card.pretrained]
    target = prepare(dataset, next(iter(named.values())).card.input, seed=seed, progress=progress)
    course = make_course(target, seed)
    notes = [f"{name} has random weights: its score is of nothing that was learned." for name in blank]
    looks = looks_of(len(course), course.labels if course.kind == "single" else None)
    entered: list[Runner] = []
    store, asking = FeatureStore(), 0.0
    for name, source in sorted(named.items(), key=lambda pair: _size(pair[1])):
        if entered and left() <= asking:  # a larger network's price takes no less to ask
            notes.append(f"{name} was not looked at: the budget was used up.")
            continue
        try:
            progress.stage(f"{name}: measuring its price")
            began = time.perf_counter()
            runner = _enter(name, source, course, store)
            asking = time.perf_counter() - began
            wanted = runner.price.encode * runner.bank.missing("train", course.first(looks[0]))
            if entered and wanted > left():
                notes.append(f"{name} was not looked at: {looks[0]} items take it {wanted:.0f} s, the budget has less.")
                continue
            progress.stage(f"{name}: {looks[0]} items")
            _look(runner, course, looks[0], scorer)
        except UserError as error:
            if sources is not None:
                raise
            notes.append(f"{name} was left out: {error}")
        else:
            entered.append(runner)
    if not entered:
        raise ConfigError(" ".join(["no source could be ranked.", *notes]))
    racing = entered
    for items in looks[1:]:
        racing = _those_still_in(racing, course.groups_of(racing[0].items))
        racing = _affordable(racing, items, left() - KEPT_BACK * limit if limit < np.inf else np.inf, notes)
        if len(racing) < 2 <= len(entered):
            break
        for runner in racing:
            progress.stage(f"{runner.name}: {items} items")
            _look(runner, course, items, scorer)
    ranked = sorted(entered, key=lambda r: (-r.items, -r.last.value, r.price.encode + r.price.train))
    common = min(runner.items for runner in ranked)
    scores = [_all_scores(runner, course, common, left, progress) for runner in ranked]
    if not all(scores):
        notes.append("the budget ended before all scores were told.")
    rows = [_row(runner, ranked[0], course, score, told) for runner, told in zip(ranked, scores, strict=True)]
    on_front = _pareto(rows)
    return Ranking(tuple({**row, "pareto": on} for row, on in zip(rows, on_front, strict=True)), absent, tuple(notes))


def make_course(target: Target, seed: int) -> Course:
    """The training part alone, shuffled so that every beginning of it has each class in about its share."""
    part, task = target.parts["train"], target.task
    rng = np.random.default_rng(seed)
    strata = part.targets if task.kind == "single" else np.zeros(len(part), dtype=int)
    place = np.zeros(len(part))
    for stratum in np.unique(strata):
        mine = rng.permutation(np.flatnonzero(strata == stratum))
        place[mine] = (np.arange(len(mine)) + rng.random(len(mine))) / len(mine)
    labels = in_output_units(task, part.targets)
    return Course(part, np.argsort(place, kind="stable"), labels, _together(part, target.alike), task.kind, seed)


def looks_of(items: int, classes: np.ndarray | None) -> list[int]:
    """How many items each look takes: a few, then more by a factor, then all or MOST. classes: (N,) or None."""
    last = min(items, MOST)
    look = FIRST if classes is None else max(FIRST, FIRST_OF_A_CLASS * len(np.unique(classes)))
    looks = []
    while look * 1.5 < last:
        looks.append(look)
        look *= FACTOR
    return [*looks, last]


def _candidates(
    dataset: Dataset, sources: Sequence[str | Source] | None, seed: int
) -> tuple[dict[str, Source], tuple[dict[str, str], ...]]:
    """The sources that enter by name, and those that are known but not here."""
    if sources is not None:
        chosen = [suited(source, dataset, seed) for source in sources]
        names = [source if isinstance(source, str) else source.card.name for source in sources]
        named = dict(zip(names, chosen, strict=True))
        if not named:
            raise ConfigError("there is no source to rank. Name at least one, or leave --source out.")
        return named, ()
    suitable = [entry for entry in catalog.entries() if entry.card.modality in takes(dataset.modality)]
    known = [entry for entry in suitable if entry.card.pretrained]
    here = {entry.card.name: suited(entry.card.name, dataset, seed) for entry in known if entry.availability.here}
    absent = tuple({"source": e.card.name, "how": e.availability.how} for e in known if not e.availability.here)
    if not here and dataset.modality == "table":
        raise ConfigError(
            f"nothing is pretrained for the columns of {dataset.name}, so there is nothing to rank: "
            f"{', '.join(entry.card.name for entry in suitable)} begin with random weights. Name runs on tables with "
            "columns of the same names (--source runs/a), or fit without ranking (headstart fit)."
        )
    if not here:
        raise nothing_here(dataset)
    return here, absent


def _enter(name: str, source: Source, course: Course, store: FeatureStore) -> Runner:
    """Load a source, where it has to be, and ask its price."""
    part = _seen_by(course.part, source.card.input)
    bank = feature_bank(source, {"train": part}, store=store)
    return Runner(name, source, bank, price(source, part.batches, bank, store), np.zeros((0, 0), np.float32))


def _look(runner: Runner, course: Course, items: int, scorer: Scorer) -> None:
    """Encode the first `items` and judge the source on them. Raises ConfigError where the score is not defined."""
    started = time.perf_counter()
    have = len(runner.features)
    new = runner.bank.some("train", course.first(items)[have:])
    runner.features = np.concatenate([runner.features, new]) if have else new
    found = judge(scorer, course.evidence(runner, items))
    if isinstance(found, str):
        raise ConfigError(
            f"{runner.name} has no score {scorer.name!r}: {found}. Rank by another one: {', '.join(SCORERS)}."
        )
    runner.judged[items] = found
    runner.seconds_an_item = (time.perf_counter() - started) / (items - have)


def _those_still_in(racing: list[Runner], groups: np.ndarray | None) -> list[Runner]:
    """Those that are not worse than the best beyond chance."""
    best = max(racing, key=lambda r: r.last.value)
    return [r for r in racing if r is best or gap(r.last, best.last, groups, confidence=SURE).high >= 0]


def _affordable(racing: list[Runner], items: int, seconds: float, notes: list[str]) -> list[Runner]:
    """All, where the time allows; else the better half, and its better half, down to two; else none."""
    fitting = sorted(racing, key=lambda r: -r.last.value)
    while sum(r.seconds_an_item * (items - r.items) for r in fitting) > seconds:
        half = fitting[: (len(fitting) + 1) // 2]
        if len(fitting) <= 2:
            notes.append(f"the budget ended the race at {racing[0].items} items; {items} would have been next.")
            return []
        fitting = half
    left = [r.name for r in racing if r not in fitting]
    if left:
        notes.append(f"the budget kept {', '.join(left)} from being judged on {items} items.")
    return fitting


def _all_scores(
    runner: Runner, course: Course, items: int, left: Callable[[], float], progress: Progress
) -> dict[str, float | None]:
    """Every score of a source on the same items as of all others; empty where time is out."""
    if left() <= 0:
        return {}
    progress.stage(f"{runner.name}: all scores")
    evidence = course.evidence(runner, items)
    return {name: SCORERS[name]().score(evidence).value for name in SCORERS}


def _row(
    runner: Runner, best: Runner, course: Course, score: str, scores: Mapping[str, float | None]
) -> dict[str, Any]:
    card, last, whole = runner.source.card, runner.last, len(course)
    apart = Interval(0.0, 0.0, 0.0)
    if runner is not best:
        apart = gap(last, best.judged[runner.items], course.groups_of(runner.items))
    looking, training = whole * runner.price.encode, whole * runner.price.train
    return {
        "source": runner.name,
        "modality": card.modality,
        "score": last.value,
        "low": _finite(last.interval.low),
        "high": _finite(last.interval.high),
        "score_name": score,
        "items": runner.items,
        "gap": {"value": apart.value, "low": _finite(apart.low), "high": _finite(apart.high)},
        "tied": apart.high >= 0,
        "seconds": looking + training,
        "seconds_features": looking,
        "seconds_epoch": training,
        "memory_mb": runner.price.memory_mb,
        "parameters": card.parameters,
        "license": card.license,
        "encoded": runner.bank.encoded,
        "scores": {name: scores.get(name) for name in SCORERS},
    }


def _pareto(rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Whether no other source ranks above and costs no more. rows: best first."""
    return [all(better["seconds"] > row["seconds"] for better in rows[:i]) for i, row in enumerate(rows)]


def _together(part: Part, alike: Sequence[Sequence[str]]) -> np.ndarray | None:
    """(N,) units of items that share a group or look alike; None where every item is a unit of its own."""
    place = {item.id: i for i, item in enumerate(part.dataset.items)}
    units = np.arange(len(part)) if part.groups is None else np.unique(part.groups, return_inverse=True)[1].reshape(-1)
    for ids in alike:
        mine = [place[name] for name in ids if name in place]
        if len(mine) > 1:
            units[np.isin(units, units[mine])] = units[mine[0]]
    return units if len(np.unique(units)) < len(part) else None


def _seen_by(part: Part, contract: Input) -> Part:
    """The part as another source sees it; pictures are used once here, so they are not kept."""
    if contract == part.batches.contract:
        return part
    batches = Batches(part.dataset, Kept(contract, memory_limit=0), contract)
    return replace(part, batches=batches)


def _head_says(head: Callable[[Features], torch.Tensor], features: np.ndarray) -> np.ndarray:
    """(N, S) probabilities; of a head that reads maps, what it says of the mean over positions."""
    pooled = torch.from_numpy(np.ascontiguousarray(features))
    with torch.inference_mode():
        rows: np.ndarray = head(Features(pooled, maps=(pooled[:, :, None, None],))).double().softmax(dim=1).numpy()
    return rows


def _size(source: Source) -> float:
    """What decides the order in which prices are asked: the smallest network first, unknown ones last."""
    return source.card.parameters or np.inf


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
