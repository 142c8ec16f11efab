"""One pass over the data before anything is trained: every item is read and decoded once, and looked at.

The pass gives content digests, findings, groups of items that look alike, and the pictures that training needs, so
that looking costs little more than the decoding that is needed anyway.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from headstart.core.card import ImageInput
from headstart.core.errors import DataError
from headstart.data import checks
from headstart.data.checks import Look
from headstart.data.dataset import Dataset, Finding, Item, printable
from headstart.data.duplicates import near_duplicate_groups, thumbnail
from headstart.data.images import ImageError, picture, read_image
from headstart.data.pictures import Pictures

_SMALLEST_COMPARED: Final = 32
"""Pixels of the short side below which different images look alike too easily (icons, digits)."""


@dataclass(frozen=True)
class Survey:
    """What was seen. digests: sha256 of each item's content, "" where it could not be read.

    near_duplicate_groups: indices of items with equal or nearly equal images.
    pictures: of the contract that was given, for `headstart.data.loader.Batches`.
    """

    name: str
    findings: tuple[Finding, ...]
    digests: tuple[str, ...]
    near_duplicate_groups: tuple[tuple[int, ...], ...]
    pictures: Pictures | None

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
    contract: ImageInput | None = None,
    *,
    for_training: bool = True,
    progress: Callable[[int, int], None] | None = None,
    memory_limit: int | None = None,
) -> Survey:
    """Look at every item once, with all processors.

    contract: keep its pictures, in memory up to `memory_limit` bytes (None: `headstart.data.pictures`).
    for_training: ask also whether there is enough to learn from; False for evaluation and prediction.
    progress: called with (items done, items in all).

    Raises DataError only for a data set without items; what is wrong with items is in the findings, see
    `Survey.require_sound`.
    """
    dataset.require_items()
    pictures = None if contract is None else Pictures(contract, memory_limit)
    looks: list[Look] = []
    thumbnails: list[np.ndarray | None] = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="headstart-survey") as pool:
        for look, small in pool.map(lambda item: _look(item, pictures), dataset.items):
            looks.append(look)
            thumbnails.append(small)
            if progress is not None:
                progress(len(looks), len(dataset))
    groups = _alike(looks, thumbnails)
    findings = list(dataset.findings)
    for check in (checks.unreadable, checks.wrong_extension, checks.handled, checks.flat_images):
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
    findings += checks.duplicates(dataset, looks, groups)
    findings = [replace(finding, message=printable(finding.message)) for finding in findings]
    findings.sort(key=lambda finding: finding.level != "error")
    return Survey(dataset.name, tuple(findings), tuple(look.digest for look in looks), tuple(groups), pictures)


def _look(item: Item, pictures: Pictures | None) -> tuple[Look, np.ndarray | None]:
    """What there is to see, and a thumbnail if the image has detail enough to compare."""
    digest = ""
    try:
        data = item.content()
        digest = hashlib.sha256(data).hexdigest()
        image, facts = read_image(data, item.id, short=None if pictures is None else pictures.contract.resize)
    except ImageError as error:
        return Look(digest, None, error.code, str(error)), None
    except DataError as error:
        return Look(digest, None, "missing-file", str(error)), None
    if pictures is not None:
        pictures.keep(item, picture(image, pictures.contract))
    flat = len(image.getcolors(maxcolors=1) or ()) == 1
    comparable = not flat and min(image.size) >= _SMALLEST_COMPARED
    return Look(digest, facts, flat=flat), thumbnail(image) if comparable else None


def _alike(looks: Sequence[Look], thumbnails: Sequence[np.ndarray | None]) -> list[tuple[int, ...]]:
    """Groups of two or more indices: equal content, or thumbnails that are nearly equal; in order of the first."""
    equal: dict[str, list[int]] = defaultdict(list)
    for index, look in enumerate(looks):
        equal[look.digest or f"unread {index}"].append(index)
    compared = [(members, small) for members in equal.values() if (small := thumbnails[members[0]]) is not None]
    near = near_duplicate_groups(np.stack([small for _, small in compared])) if len(compared) > 1 else []
    joined = [tuple(sorted(i for k in group for i in compared[k][0])) for group in near]
    in_near = {i for group in joined for i in group}
    joined += [tuple(members) for members in equal.values() if len(members) > 1 and members[0] not in in_near]
    return sorted(joined)
