"""What a report is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.core.card import SourceCard
from headstart.core.method import Choice
from headstart.core.task import Task
from headstart.core.types import Interval
from headstart.data.dataset import Finding
from headstart.evaluation.compare import Verdict
from headstart.evaluation.evaluate import Evaluation
from headstart.evaluation.explanation import Explanation
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.slices import Slices


@dataclass(frozen=True)
class BaselineResult:
    """What the run is held against. name: as in `metrics.json`. description: one plain phrase. seconds: to make it."""

    name: str
    description: str
    seconds: float
    metrics: Mapping[str, Interval]


@dataclass(frozen=True)
class CostSummary:
    """stages: name -> seconds, in order; they may nest, so `seconds`, the whole, need not be their sum."""

    seconds: float
    stages: Mapping[str, float]
    peak_memory_mb: float
    parameters_trained: int
    parameters_total: int


@dataclass(frozen=True)
class Serving:
    """What it costs to answer with a model. name: of it. size_bytes: of its folder. latency_ms: of one item alone;
    per_second: items in batches of 32; both of the network alone, the typical of several measurements."""

    name: str
    parameters: int
    size_bytes: int
    latency_ms: float
    per_second: float


@dataclass(frozen=True)
class NextStep:
    """Something to do with the model. words: what for. command: to be copied into a terminal as it is."""

    words: str
    command: str


@dataclass(frozen=True)
class Glimpse:
    """What a report shows of an item. picture: JPEG bytes (160 pixels are plenty). words: of a text. Either may be
    None."""

    picture: bytes | None = None
    words: str | None = None


@dataclass(frozen=True)
class ReportData:
    """Everything a report tells.

    title: of the page, say the data's name. run: the run folder as the user wrote it. method: its name.
    further_sources: beside `source`, where several are reused together.
    ensemble: it joins finished models, so nothing was trained, and the question is whether it beats the best of them.
    n: items by split, as in `metrics.json`. predictions: on the test items; evaluation: of the same.
    verdicts: the first is the headline; () where nothing was compared.
    uncalibrated_ece: before temperature scaling; None where there is no calibration.
    history: rows of the loop, `{"phase", "epoch", "step", "train_loss", "validation_loss", "validation_<metric>",
        "learning_rate"}`; a missing value is a gap.
    serving: what it costs to answer, of this model and of those it is held against. conclusion: of both, a sentence.
    choices: what was tried, and kept or not. notes: further facts by name (`Loop.note`).
    glimpse: index of a test item -> what is shown of it; called for the few items that are shown. None shows nothing of
        any. plural: what several items are called.
    pretraining: what was learned without labels first, as in `metrics.json`; None where nothing was.
    slices: the metrics by group of items, where they were asked for. explained: index of a test item -> why it got its
        answer, in the order in which they are shown.
    recipe: the text of recipe.yaml. environment: name -> version or fact.
    """

    title: str
    run: str
    task: Task
    method: str
    source: SourceCard
    n: Mapping[str, int]
    predictions: Predictions
    evaluation: Evaluation
    cost: CostSummary
    recipe: str
    further_sources: Sequence[SourceCard] = ()
    ensemble: bool = False
    verdicts: Sequence[Verdict] = ()
    baselines: Sequence[BaselineResult] = ()
    uncalibrated_ece: Interval | None = None
    temperature: float = 1.0
    history: Sequence[Mapping[str, Any]] = ()
    serving: Sequence[Serving] = ()
    conclusion: str = ""
    choices: Sequence[Choice] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    pretraining: Mapping[str, Any] | None = None
    slices: Slices | None = None
    explained: Mapping[int, Explanation] = field(default_factory=dict)
    glimpse: Callable[[int], Glimpse] | None = None
    plural: str = "items"
    next_steps: Sequence[NextStep] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
