"""A tag for every word of a text: named entities, or any other tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np

from headstart.core.errors import InternalError
from headstart.core.passages import Units
from headstart.metrics import spans
from headstart.metrics.ratios import share
from headstart.metrics.resampling import Metrics, Statistic
from headstart.tasks.classification import Classification


@dataclass(frozen=True)
class TokenClassification(Classification):
    """classes: the tags. scheme: how they tell entities ("iob2": B-PER, I-PER, O), as `headstart.metrics.spans` has it;
    None where they tell none (parts of speech).

    Of the tags that a text may have together, the likeliest are said: those that break the scheme are left out of the
    choice (dynamic programming, Viterbi 1967, the words' probabilities being independent).
    """

    scheme: spans.Scheme | None = None
    modality: str = "text"
    by_word: ClassVar[bool] = True
    batch: ClassVar[int] = 16

    @classmethod
    def from_labels(cls, labels: Iterable[Any], modality: str = "text") -> TokenClassification:
        """The task of finding every tag that occurs, and those that go with it for its type of entity. labels: one
        sequence of tags a text."""
        texts = [[str(tag) for tag in tags] for tags in labels]
        tags = {tag for text in texts for tag in text}
        scheme = spans.scheme_of(texts) if spans.tells_entities(tags) else None
        if scheme is not None:
            tags |= spans.companions(tags, scheme)
        return cls(tuple(sorted(tags)), modality=modality, scheme=scheme)

    @property
    def name(self) -> str:
        return f"{self.modality}-token-classification"

    @property
    def primary(self) -> str:
        return "accuracy" if self.scheme is None else "span_f1"

    def tags(self, targets: np.ndarray, units: Units) -> list[list[str]]:
        """(N,) indices -> the tags of each text."""
        names = [self.classes[i] for i in targets]
        return [names[units.rows(u)] for u in range(len(units))]

    def said(self, scores: np.ndarray, units: Units) -> np.ndarray:
        """(N, K) probabilities -> (N,) indices of the likeliest tags that go together in each text."""
        if self.scheme is None:
            return np.asarray(scores.argmax(axis=1))
        start, follow, end = spans.transitions(self.classes, self.scheme)
        log = np.log(np.maximum(scores, 1e-30))
        parts = [_likeliest(log[units.rows(u)], start, follow, end) for u in range(len(units))]
        return np.concatenate([np.zeros(0, int), *parts])

    def decode(self, scores: np.ndarray, units: Units | None = None) -> list[Any]:
        """Of each text its entities, `{"type", "text", "start", "end", "probability"}`: from which character to which,
        and how sure its least sure word is; where the tags tell none, `{"tag", "text", "start", "end", "probability"}`
        of every word."""
        units = _required(units)
        said = self.said(scores, units)
        sure = scores[np.arange(len(said)), said]
        return [
            [
                {
                    "tag" if self.scheme is None else "type": entity.type,
                    "text": passage.between(entity.start, entity.end - 1),
                    "start": passage.words[entity.start][0],
                    "end": passage.words[entity.end - 1][1],
                    "probability": float(sure[units.rows(u)][entity.start : entity.end].min()),
                }
                for entity in self._entities(tags)
            ]
            for u, (passage, tags) in enumerate(zip(units.passages, self.tags(said, units), strict=True))
        ]

    def grounds(self, scores: np.ndarray, units: Units) -> list[list[tuple[int, int]]]:
        """Of each text, of each entity of `decode`: its first word, and that word's tag."""
        said = self.said(scores, units)
        starts = [[entity.start for entity in self._entities(tags)] for tags in self.tags(said, units)]
        return [[(row, int(said[units.starts[u] + row])) for row in rows] for u, rows in enumerate(starts)]

    def _entities(self, tags: Sequence[str]) -> list[spans.Entity]:
        if self.scheme is None:
            return [spans.Entity(tag, i, i + 1) for i, tag in enumerate(tags)]
        return spans.entities(tags)

    def statistic(
        self, targets: np.ndarray, scores: np.ndarray, units: Units | None = None, only: str | None = None
    ) -> Statistic:
        """Precision, recall and F1 of whole entities (`spans`, the lenient reading of conlleval, and "span_f1_strict"
        of those that are tagged exactly by the scheme), and the accuracy of words."""
        units = _required(units)
        said = self.said(scores, units)
        right = np.add.reduceat(np.append(said == targets, 0), units.starts[:-1]).astype(np.float32)
        words = np.diff(units.starts).astype(np.float32)
        truth, guess = self.tags(targets, units), self.tags(said, units)
        whole = strict = None
        if self.scheme is not None and only != "accuracy":
            whole = spans.count_spans(truth, guess)
            strict = spans.count_spans(truth, guess, self.scheme) if only in (None, "span_f1_strict") else None

        def measure(counts: np.ndarray) -> Metrics:
            found: Metrics = {}
            if whole is not None:
                found |= spans.metrics(whole, counts)
            if strict is not None:
                found["span_f1_strict"] = spans.metrics(strict, counts, "span_f1")["span_f1"]
            found["accuracy"] = share(right @ counts, words @ counts)
            return {only: found[only]} if only else found

        return measure

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "modality": self.modality, "classes": list(self.classes), "scheme": self.scheme}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TokenClassification:
        if data["scheme"] not in (None, *get_args(spans.Scheme)):
            raise ValueError(f"there is no scheme {data['scheme']!r}")
        return cls(tuple(data["classes"]), data["modality"], data["scheme"])


def _likeliest(log: np.ndarray, start: np.ndarray, follow: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(T, K) log probabilities -> (T,) the likeliest sequence. start, end: (K,) and follow: (K, K) 0 or -inf."""
    if not len(log):
        return np.zeros(0, int)
    best, back = log[0] + start, np.zeros(log.shape, int)
    for t in range(1, len(log)):
        ways = best[:, None] + follow
        back[t] = ways.argmax(axis=0)
        best = ways.max(axis=0) + log[t]
    path = [int((best + end).argmax())]
    for t in range(len(log) - 1, 0, -1):
        path.append(int(back[t, path[-1]]))
    return np.array(path[::-1])


def _required(units: Units | None) -> Units:
    if units is None:
        raise InternalError("tags are judged and told by text: it must be said which words are of one")
    return units
