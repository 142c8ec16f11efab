"""One pass over the data before anything is trained: every item is read and decoded once, and looked at.

The pass gives content digests, findings, groups of items that are alike, and what training needs of each item, so that
looking costs little more than the decoding that is needed anyway.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from headstart.core.card import Input
from headstart.core.errors import DataError
from headstart.data import checks
from headstart.data.dataset import Dataset, Finding, Item, printable
from headstart.data.kept import Kept
from headstart.data.modalities import MODALITIES
from headstart.data.modalities.base import Look, Modality


@dataclass(frozen=True)
class Survey:
    """What was seen. digests: sha256 of each item's content, "" where it could not be read.

    near_duplicate_groups: indices of items with equal or nearly equal content.
    kept: for the contract that was given, for `headstart.data.loader.Batches`.
    """

    name: str
    findings: tuple[Finding, ...]
    digests: tuple[str, ...]
    near_duplicate_groups: tuple[tuple[int, ...], ...]
    kept: Kept | None

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == "warning")

    def require_sound(self) -> None:
        """Raise one DataError that tells all errors, if there are any."""
        errors = self.errors
        if len(errors) == 1:
            raise DataError(f"{self.name}: {errors[0].message}")
        if errors:
            told = " ".join(f"({n}) {finding.message}" for n, finding in enumerate(errors, start=1))
            raise DataError(f"{self.name} has {len(errors)} kinds of errors: {told}")


def survey(
    dataset: Dataset,
    contract: Input | None = None,
    *,
    for_training: bool = True,
    progress: Callable[[int, int], None] | None = None,
    memory_limit: int | None = None,
) -> Survey:
    """Look at every item once, with all processors.

    contract: keep what it needs of the items, up to `memory_limit` bytes (None: `headstart.data.kept`).
    for_training: ask also whether there is enough to learn from; False for evaluation and prediction.
    progress: called with (items done, items in all).

    Raises DataError only for a data set without items; what is wrong with items is in the findings, see
    `Survey.require_sound`.
    """
    dataset.require_items()
    modality = MODALITIES[dataset.modality]
    if contract is not None and contract.modality != dataset.modality:
        raise DataError(
            f"{dataset.name} holds {modality.plural}, and the network takes items of the modality {contract.modality}. "
            "Name another source with --source (headstart sources)."
        )
    kept = None if contract is None else Kept(contract, memory_limit)
    looks: list[Look] = []
    likenesses: list[Any] = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="headstart-survey") as pool:
        for look, likeness in pool.map(lambda item: _look(modality, item, kept), dataset.items):
            looks.append(look)
            likenesses.append(likeness)
            if progress is not None:
                progress(len(looks), len(dataset))
    groups = _alike(modality, looks, likenesses)
    findings = list(dataset.findings)
    for check in (checks.unreadable, *modality.checks):
        findings += check(dataset, looks)
    findings += checks.missing_labels(dataset)
    findings += checks.broken_numbers(dataset)
    findings += checks.similar_spelling(dataset)
    if for_training:
        for label_check in (checks.nothing_to_learn, checks.small_classes, checks.imbalance, checks.split_labels):
            findings += label_check(dataset)
    else:
        findings = [replace(f, level="warning") if f.code == "empty-folder" else f for f in findings]
    findings += checks.torn_groups(dataset)
    findings += checks.duplicates(dataset, looks, groups, modality.noun)
    findings = [replace(finding, message=printable(finding.message)) for finding in findings]
    findings.sort(key=lambda finding: finding.level != "error")
    return Survey(dataset.name, tuple(findings), tuple(look.digest for look in looks), tuple(groups), kept)


def _look(modality: Modality[Any, Any], item: Item, kept: Kept | None) -> tuple[Look, Any]:
    """What there is to see, and what it is compared by if there is enough of it."""
    digest = ""
    try:
        modality.admit(item)
        content = item.content()
        digest = hashlib.sha256(content).hexdigest()
        seen = modality.look(content, item, None if kept is None else kept.contract)
    except DataError as error:
        return Look(digest, None, getattr(error, "code", "missing-file"), str(error)), None
    if kept is not None:
        kept.keep(item, seen.kept)
    return Look(digest, seen.facts, flat=seen.flat), seen.likeness


def _alike(modality: Modality[Any, Any], looks: Sequence[Look], likenesses: Sequence[Any]) -> list[tuple[int, ...]]:
    """Groups of two or more indices: equal content, or likenesses that are nearly equal; in order of the first."""
    equal: dict[str, list[int]] = defaultdict(list)
    for index, look in enumerate(looks):
        equal[look.digest or f"unread {index}"].append(index)
    compared = [members for members in equal.values() if likenesses[members[0]] is not None]
    near = modality.alike([likenesses[members[0]] for members in compared])
    joined = [tuple(sorted(i for k in group for i in compared[k])) for group in near]
    in_near = {i for group in joined for i in group}
    joined += [tuple(members) for members in equal.values() if len(members) > 1 and members[0] not in in_near]
    return sorted(joined)
