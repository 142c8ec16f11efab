"""A run's predictions on its test items, stored one JSON object a line (`predictions.jsonl`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import ArtifactError
from headstart.core.task import Task


@dataclass(frozen=True)
class Predictions:
    """ids: (N,) as the user names the items, all different. targets, scores: as `task.encode` and `task.scores` give.

    groups: (N,) names of what belongs together, or None.
    """

    task: Task
    ids: tuple[str, ...]
    targets: np.ndarray
    scores: np.ndarray
    groups: np.ndarray | None = None

    def save(self, path: Path) -> None:
        """Write `{"id", "label", "predicted", "scores", "group"}` a line; scores in the order of `task.outputs`."""
        single = self.task.kind == "single"
        labels = self.task.decode(np.eye(len(self.task.outputs))[self.targets] if single else self.targets)
        predicted = self.task.decode(self.scores)
        groups = [None] * len(self.ids) if self.groups is None else [str(group) for group in self.groups]
        with path.open("w", encoding="utf-8") as file:
            for row in zip(self.ids, labels, predicted, self.scores.tolist(), groups, strict=True):
                record = dict(zip(("id", "label", "predicted", "scores", "group"), row, strict=True))
                file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path, task: Task) -> Predictions:
        """Read what `save` wrote. Raises ArtifactError naming the line that cannot be read."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(
                f"the predictions in {path} cannot be read ({error}). Fit or evaluate again."
            ) from error
        records: list[dict[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                if len(record["scores"]) != len(task.outputs):
                    raise ValueError(f"{len(record['scores'])} scores for {len(task.outputs)} outputs")
                records.append({key: record[key] for key in ("id", "label", "scores", "group")})
            except (ValueError, KeyError, TypeError) as error:
                raise ArtifactError(
                    f"line {number} of {path} is not a stored prediction ({error!r}). Fit or evaluate again."
                ) from error
        scores = np.array([r["scores"] for r in records], dtype=np.float64).reshape(len(records), len(task.outputs))
        grouped = bool(records) and all(r["group"] is not None for r in records)
        return cls(
            task=task,
            ids=tuple(r["id"] for r in records),
            targets=task.encode([_raw(r["label"], task) for r in records]),
            scores=scores,
            groups=np.array([r["group"] for r in records]) if grouped else None,
        )

    def ordered_as(self, ids: Sequence[str]) -> Predictions:
        """The same predictions in another order of the same ids."""
        place = {name: i for i, name in enumerate(self.ids)}
        rows = [place[name] for name in ids]
        groups = None if self.groups is None else self.groups[rows]
        return Predictions(self.task, tuple(ids), self.targets[rows], self.scores[rows], groups)


def _raw(label: Any, task: Task) -> Any:
    """A decoded label as `task.encode` takes it: several numbers lose their names."""
    return [label[name] for name in task.outputs] if isinstance(label, dict) else label
