"""A run's predictions on its test items, stored one JSON object a line (`predictions.jsonl`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import ArtifactError
from headstart.core.passages import Passage, Place, Units
from headstart.core.task import Task


@dataclass(frozen=True)
class Predictions:
    """ids: (N,) as the user names the items, all different. targets, scores: as `task.encode` and `task.scores` give.

    groups: (N,) names of what belongs together, or None. units: which words are of one text, where words are predicted:
    a line of the file is then a text, and its label and scores are lists over its rows.
    """

    task: Task
    ids: tuple[str, ...]
    targets: np.ndarray
    scores: np.ndarray
    groups: np.ndarray | None = None
    units: Units | None = None

    def save(self, path: Path) -> None:
        """Write `{"id", "label", "predicted", "scores", "group"}` a line; scores in the order of `task.outputs`.

        Of texts whose words are predicted also `"passage"`, and "predicted" is what the model says of the whole.
        """
        labels = self._labels()
        predicted = self.task.decode(self.scores, self.units)
        groups = [None] * len(self.ids) if self.groups is None else [str(group) for group in self.groups]
        scores = self.scores.tolist()
        lines: list[tuple[Any, ...]] = list(zip(self.ids, labels, predicted, scores, groups, strict=False))
        if self.units is not None:
            places = [self.units.rows(u) for u in range(len(self.units))]
            lines = [
                (passage.id, labels[rows], said, scores[rows], groups[rows.start], _told(passage))
                for passage, said, rows in zip(self.units.passages, predicted, places, strict=True)
            ]
        with path.open("w", encoding="utf-8") as file:
            for line in lines:
                record = dict(zip(("id", "label", "predicted", "scores", "group", "passage"), line, strict=False))
                file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def _labels(self) -> list[Any]:
        """The truth as `task.encode` takes it back, or as a person reads it where the two are the same."""
        if self.task.kind == "single":
            return [self.task.outputs[i] for i in self.targets]
        return self.targets.astype(int).tolist() if self.task.by_word else self.task.decode(self.targets)

    @classmethod
    def load(cls, path: Path, task: Task) -> Predictions:
        """Read what `save` wrote. Raises ArtifactError naming the line that cannot be read."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(
                f"the predictions in {path} cannot be read ({error}). Fit or evaluate again."
            ) from error
        ids: list[str] = []
        labels: list[Any] = []
        scores: list[list[float]] = []
        groups: list[str | None] = []
        passages, starts = [], [0]
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                rows = _Rows.of(record, task)
                if any(len(row) != len(task.outputs) for row in rows.scores):
                    raise ValueError(f"other than {len(task.outputs)} scores, one for each output")
                ids += rows.ids
                labels += rows.labels
                scores += rows.scores
                groups += [record["group"]] * len(rows.ids)
                if task.by_word:
                    passages.append(_passage(record))
                    starts.append(len(ids))
            except (ValueError, KeyError, TypeError) as error:
                raise ArtifactError(
                    f"line {number} of {path} is not a stored prediction ({error!r}). Fit or evaluate again."
                ) from error
        grouped = bool(groups) and all(group is not None for group in groups)
        return cls(
            task=task,
            ids=tuple(ids),
            targets=task.encode(labels),
            scores=np.array(scores, dtype=np.float64).reshape(len(ids), len(task.outputs)),
            groups=np.array(groups) if grouped else None,
            units=Units(tuple(passages), np.array(starts)) if task.by_word else None,
        )

    def ordered_as(self, ids: Sequence[str]) -> Predictions:
        """The same predictions in another order of the same ids."""
        if tuple(ids) == self.ids:
            return self
        place = {name: i for i, name in enumerate(self.ids)}
        rows = [place[name] for name in ids]
        groups = None if self.groups is None else self.groups[rows]
        units = None
        if self.units is not None:  # texts stay whole: their rows go together in any order of texts
            units = self.units.take(list(dict.fromkeys(self.units.of[rows].tolist())))
        return Predictions(self.task, tuple(ids), self.targets[rows], self.scores[rows], groups, units)


@dataclass(frozen=True)
class _Rows:
    """Of one line."""

    ids: list[str]
    labels: list[Any]
    scores: list[list[float]]

    @classmethod
    def of(cls, record: dict[str, Any], task: Task) -> _Rows:
        if not task.by_word:
            return cls([record["id"]], [_raw(record["label"], task)], [record["scores"]])
        labels, scores = list(record["label"]), list(record["scores"])
        passage = _passage(record)
        ids = [Place(passage, word).id for word in range(passage.first, len(passage.words))]
        if not len(ids) == len(labels) == len(scores):
            raise ValueError(f"{len(ids)} words, {len(labels)} labels and {len(scores)} rows of scores")
        return cls(ids, labels, scores)


def _told(passage: Passage) -> dict[str, Any]:
    return {field.name: getattr(passage, field.name) for field in fields(passage) if field.name != "id"}


def _passage(record: dict[str, Any]) -> Passage:
    told = record["passage"]
    words = tuple((int(start), int(end)) for start, end in told["words"])
    return Passage(record["id"], told["text"], words, told["question"], tuple(told["answers"]))


def _raw(label: Any, task: Task) -> Any:
    """A decoded label as `task.encode` takes it: several numbers lose their names."""
    return [label[name] for name in task.outputs] if isinstance(label, dict) else label
