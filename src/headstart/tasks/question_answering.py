"""The answer to a question as a stretch of a text: where it begins and where it ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from headstart.core.errors import ConfigError, DataError, InternalError
from headstart.core.passages import Passage, Units
from headstart.core.task import Task
from headstart.metrics import answers
from headstart.metrics.resampling import Metrics, Statistic

if TYPE_CHECKING:
    from torch import Tensor

OUTPUTS = ("start", "end")
MOST = 3
"""Answers that are told of each question."""


@dataclass(frozen=True)
class QuestionAnswering(Task):
    """longest: words of an answer at most. may_lack: whether a text may hold no answer (SQuAD 2.0).

    Each word has two outputs: that an answer begins there, and that it ends there (as Devlin et al. 2019, with a
    sigmoid of each word in place of a softmax over all). The row before the words says in the same way that there is no
    answer.
    """

    longest: int
    may_lack: bool
    modality: str = "text"
    kind: ClassVar[Literal["single", "multi", "number"]] = "multi"
    by_word: ClassVar[bool] = True
    batch: ClassVar[int] = 8

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ConfigError(f"answers have a word at least, but `longest` is {self.longest}.")

    @classmethod
    def from_labels(cls, labels: Iterable[Sequence[tuple[float, float]]], modality: str = "text") -> QuestionAnswering:
        """Answers as long as the longest in training. labels: of each question, the two flags of every row."""
        longest, lacking = 1, False
        for flags in labels:
            rows = np.asarray(flags, dtype=float)
            lacking |= bool(rows[0].any())
            begins, ends = (np.flatnonzero(rows[1:, side]) for side in (0, 1))
            for start in begins:
                later = ends[ends >= start]
                longest = max(longest, int(later[0] - start) + 1 if len(later) else 1)
        return cls(longest, lacking, modality)

    @property
    def name(self) -> str:
        return f"{self.modality}-question-answering"

    @property
    def outputs(self) -> tuple[str, ...]:
        return OUTPUTS

    @property
    def primary(self) -> str:
        return "answer_f1"

    def encode(self, labels: Sequence[Any]) -> np.ndarray:
        """(N, 2) float32: 1 where an answer begins, and where one ends."""
        targets = np.asarray(list(labels) or np.zeros((0, 2)), dtype=np.float32)
        if targets.shape != (len(labels), 2) or not np.isin(targets, (0, 1)).all():
            raise DataError("expected two flags for each word: an answer begins here, and ends here.")
        return targets

    def loss(self, logits: Tensor, targets: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """Binary cross-entropy, mean over words, of both outputs. smoothing: as for several labels."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        logits = logits.float()
        soft = targets.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        each = binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(dim=0)
        return each.mean() if weight is None else (each * weight).sum() / weight.sum()

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Sigmoid of each output, in float64."""
        probabilities: np.ndarray = 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, dtype=np.float64)))
        return probabilities

    def decode(self, scores: np.ndarray, units: Units | None = None) -> list[Any]:
        """Of each question the answers that are likeliest, the best first: `{"text", "start", "end", "probability"}`,
        from which character to which; a text of "" is that there is none. Probabilities add up to one over all
        stretches of the text."""
        units = _required(units)
        return [self._answers(scores[units.rows(u)], passage) for u, passage in enumerate(units.passages)]

    def _answers(self, scores: np.ndarray, passage: Passage) -> list[dict[str, Any]]:
        begins, ends, values, lack = self._ways(scores)
        everything = np.append(values, lack) if self.may_lack else values
        top = everything.max(initial=-np.inf)
        whole = np.exp(everything - top).sum()
        told = []
        for i in np.argsort(-everything, kind="stable")[:MOST]:
            sure = float(np.exp(everything[i] - top) / whole)
            if i == len(values):
                told.append({"text": "", "start": None, "end": None, "probability": sure})
                continue
            first, last = int(begins[i]), int(ends[i])
            start, end = passage.words[first][0], passage.words[last][1]
            told.append({"text": passage.text[start:end], "start": start, "end": end, "probability": sure})
        return told

    def grounds(self, scores: np.ndarray, units: Units) -> list[list[tuple[int, int]]]:
        """Of each question, of its best answer: the row that begins it and the row that ends it, each with its output;
        of none the row that says so, with both."""
        return [self._grounds(scores[units.rows(u)]) for u in range(len(units))]

    def _grounds(self, scores: np.ndarray) -> list[tuple[int, int]]:
        begins, ends, values, lack = self._ways(scores)
        best = int(values.argmax()) if len(values) else -1
        if best < 0 or (self.may_lack and lack > values[best]):
            return [(0, 0), (0, 1)]
        return [(1 + int(begins[best]), 0), (1 + int(ends[best]), 1)]

    def _ways(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """First and last word of every stretch that may be an answer, the log odds of it, and of there being none."""
        clipped = np.clip(scores, 1e-12, 1 - 1e-12)
        odds = np.log(clipped) - np.log1p(-clipped)
        words = len(odds) - 1
        begins = np.repeat(np.arange(words), np.minimum(self.longest, words - np.arange(words)))
        starts = np.flatnonzero(np.diff(begins, prepend=-1))
        ends = begins + np.arange(len(begins)) - np.repeat(starts, np.diff(np.append(starts, len(begins))))
        return begins, ends, odds[1:][begins, 0] + odds[1:][ends, 1], float(odds[0].sum())

    def texts(self, scores: np.ndarray, units: Units) -> list[str]:
        """The one answer to each question; "" where there is none."""
        found = []
        for u, passage in enumerate(units.passages):
            begins, ends, values, lack = self._ways(scores[units.rows(u)])
            best = int(values.argmax()) if len(values) else -1
            if best < 0 or (self.may_lack and lack > values[best]):
                found.append("")
            else:
                found.append(passage.between(int(begins[best]), int(ends[best])))
        return found

    def statistic(
        self, targets: np.ndarray, scores: np.ndarray, units: Units | None = None, only: str | None = None
    ) -> Statistic:
        """Exact match and F1 against the right answers as texts, each by the rules for its script."""
        units = _required(units)
        said = self.texts(scores, units)
        exact, f1 = np.zeros(len(units)), np.zeros(len(units))
        by_form: dict[answers.Form, list[int]] = defaultdict(list)
        for u, passage in enumerate(units.passages):
            by_form[answers.form_of([passage.text])].append(u)
        for form, chosen in by_form.items():
            given, right = [said[u] for u in chosen], [units.passages[u].answers for u in chosen]
            exact[chosen] = answers.exact_match(given, right, form)
            f1[chosen] = answers.answer_f1(given, right, form)

        def measure(counts: np.ndarray) -> Metrics:
            return answers.metrics(exact, f1, counts, only)

        return measure

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "modality": self.modality,
            "longest": self.longest,
            "may_lack": self.may_lack,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> QuestionAnswering:
        return cls(int(data["longest"]), bool(data["may_lack"]), data["modality"])


def _required(units: Units | None) -> Units:
    if units is None:
        raise InternalError("answers are judged and told by question: it must be said which words are of one")
    return units
