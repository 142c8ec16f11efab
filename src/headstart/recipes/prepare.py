"""From what the user gave to parts that can be trained and judged on: read, check, split, encode."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.core.card import Input
from headstart.core.errors import ConfigError, DataError
from headstart.core.passages import Units
from headstart.core.progress import Progress
from headstart.core.task import Task
from headstart.data.dataset import Dataset, Finding, LabelKind, Role
from headstart.data.kept import Kept
from headstart.data.loader import Batches
from headstart.data.modalities import MODALITIES
from headstart.data.passages import by_word
from headstart.data.splits import assign_splits
from headstart.data.survey import survey
from headstart.tasks import TASKS

ROLES: tuple[Role, ...] = ("train", "validation", "test")
KINDS: Mapping[str, LabelKind] = {
    "classification": "class",
    "multilabel": "multilabel",
    "question-answering": "answers",
    "regression": "number",
    "token-classification": "tags",
}


@dataclass(frozen=True)
class Part:
    """One split. targets: as `Task.encode` gives them. groups: (N,) or None.

    given, given_digests: the items as they were read, and the sha256 of each. They are `dataset` and `digests`, too,
    but where words are predicted: a word is then an item of `dataset`, and units say which are of one text.
    """

    dataset: Dataset
    batches: Batches
    targets: np.ndarray
    groups: np.ndarray | None
    digests: tuple[str, ...]
    given: Dataset
    given_digests: tuple[str, ...]
    units: Units | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def count(self) -> int:
        """Items as the user counts them."""
        return len(self.given)


@dataclass(frozen=True)
class Target:
    """The user's data, sound and split, and what is predicted from it.

    alike: ids of items with equal or nearly equal content, which no further division may separate.
    """

    name: str
    task: Task
    contract: Input
    parts: Mapping[Role, Part]
    findings: tuple[Finding, ...]
    fingerprint: str
    alike: tuple[tuple[str, ...], ...] = ()

    def shown_as(self, contract: Input) -> Target:
        """The same target under another preprocessing."""
        parts = {
            role: replace(part, batches=Batches(part.dataset, None, contract)) for role, part in self.parts.items()
        }
        return self if contract == self.contract else replace(self, contract=contract, parts=parts)


def label_kind(task: str | None) -> LabelKind | None:
    """The kind of label that a task name asks for; None leaves it to the data.

    task: "classification", "image-classification" and so on.
    """
    if task is None:
        return None
    name = task.partition("-")[2] if task.partition("-")[0] in MODALITIES else task
    TASKS[name]  # raises for a name that nobody registered
    return KINDS[name]


def prepare(dataset: Dataset, contract: Input, *, seed: int, progress: Progress) -> Target:
    """Check every item, split, and encode the labels. Nothing is written.

    Raises DataError that names the items at fault.
    """
    dataset.require_items()
    differing = tuple(MODALITIES[contract.modality].fits(dataset, contract))
    if dataset.kind == "none":
        raise DataError(
            f"{dataset.name} has no labels to learn from. Put the files in one folder per class, "
            "or name the label column with --label."
        )
    progress.stage("checking the data")
    kept_for = None if contract.by_word else contract  # words are kept by themselves
    found = survey(dataset, kept_for, progress=lambda done, total: progress.advance("checking the data", done, total))
    found.require_sound()
    fingerprint = dataset.fingerprint(found.digests)
    dataset = assign_splits(dataset, found.digests, seed=seed, near_duplicate_groups=found.near_duplicate_groups)
    task = make_task(dataset)
    parts: dict[Role, Part] = {}
    for role in ROLES:
        indices = [i for i, item in enumerate(dataset.items) if item.split == role]
        parts[role] = make_part(dataset, indices, found.digests, found.kept, contract, task)
    alike = tuple(tuple(dataset[i].id for i in together) for together in found.near_duplicate_groups)
    return Target(dataset.name, task, contract, parts, (*differing, *found.findings), fingerprint, alike)


def make_part(
    dataset: Dataset,
    indices: Sequence[int],
    digests: Sequence[str],
    kept: Kept | None,
    contract: Input,
    task: Task,
) -> Part:
    """The items of `dataset` at `indices`. digests: sha256 of the content of each item of the whole data set."""
    given = mine = dataset.take(indices)
    given_digests = own = tuple(digests[i] for i in indices)
    units = None
    if contract.by_word:
        mine, units = by_word(given)
        place = np.arange(len(mine)) - units.starts[units.of]
        texts = zip(units.of.tolist(), place.tolist(), strict=True)
        own = tuple(hashlib.sha256(f"{given_digests[u]} {row}".encode()).hexdigest() for u, row in texts)
    groups = [item.group for item in mine.items]
    return Part(
        dataset=mine,
        batches=Batches(mine, kept, contract),
        targets=task.encode(mine.labels),
        groups=np.array([g if g is not None else f"item {i}" for i, g in enumerate(groups)]) if any(groups) else None,
        digests=own,
        given=given,
        given_digests=given_digests,
        units=units,
    )


def make_task(dataset: Dataset) -> Task:
    """The task that the labels ask for; classes and scales come from the training items."""
    train = dataset.split("train")
    match dataset.kind:
        case "class":
            made: Any = TASKS["classification"]
            task: Task = made.from_labels(train.labels, dataset.modality)
        case "multilabel":
            made = TASKS["multilabel"]
            task = made(train.classes, dataset.modality)
        case "number":
            made = TASKS["regression"]
            task = made.from_labels(train.labels, dataset.targets, dataset.modality)
        case "tags":
            made = TASKS["token-classification"]
            task = made.from_labels(train.labels)
        case "answers":
            made = TASKS["question-answering"]
            rows, units = by_word(train)
            task = made.from_labels([rows.labels[units.rows(u)] for u in range(len(units))])
        case _:
            raise ConfigError(
                f"labels of kind {dataset.kind!r} cannot be fitted. Expected classes, several labels, or numbers."
            )
    return task
