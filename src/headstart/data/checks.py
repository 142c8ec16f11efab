"""What could be wrong with a data set, one small function a check.

A check takes the data set, and what a survey saw of each item where it needs that, and returns findings that name
their items. It changes nothing.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from headstart.core.errors import some
from headstart.data.dataset import Dataset, Finding, Item
from headstart.data.images import SUFFIXES
from headstart.data.modalities.base import Look

SHOWN: Final = 5
FEW_PER_CLASS: Final = 10
IMBALANCE: Final = 10


# -- each item by itself --------------------------------------------------------------------------------------------


def unreadable(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Files that are missing, damaged, no images, or of absurd dimensions."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for item, look in zip(dataset.items, looks, strict=True):
        if look.facts is None:
            found[look.code].append((item.id, look.problem))
    for code, problems in found.items():
        shown = " ".join(problem for _, problem in problems[:SHOWN])
        count = f"{len(problems)} items cannot be read, the first {SHOWN}: " if len(problems) > SHOWN else ""
        yield Finding("error", code, count + shown, tuple(name for name, _ in problems))


def wrong_extension(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Names that end otherwise than their content demands; the content is what counts."""
    wrong = []
    for item, look in zip(dataset.items, looks, strict=True):
        if look.facts is not None and isinstance(item.input, Path):
            formats = SUFFIXES.get(item.input.suffix.lower())
            if formats is not None and look.facts.format not in formats:
                wrong.append((item.id, look.facts.format))
    if wrong:
        shown = some(f"{name} (is {format_})" for name, format_ in wrong)
        message = (
            f"{len(wrong)} file(s) hold another format than their name says: {shown}. They were read as what they are."
        )
        yield Finding("warning", "wrong-extension", message, tuple(name for name, _ in wrong))


_HANDLED: Final = {
    "rotated": "carry an EXIF orientation and were set upright",
    "palette": "have a colour palette and were converted to RGB",
    "alpha": "are partly transparent and were laid on white",
    "16-bit": "have more than 8 bits a pixel and were scaled to 8",
    "cmyk": "are CMYK and were converted to RGB",
    "animated": "are animated or have several pages; the first frame was taken",
}


def handled(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Images that were converted on the way in; worth knowing if only some classes have them."""
    yield from with_traits(dataset, looks, _HANDLED, "handled", "image")


def with_traits(
    dataset: Dataset, looks: Sequence[Look], told: Mapping[str, str], code: str, noun: str
) -> Iterator[Finding]:
    """A warning for each trait that any item has. told: trait -> what is said of such items."""
    for trait, words in told.items():
        ids = [
            i.id for i, k in zip(dataset.items, looks, strict=True) if k.facts is not None and trait in k.facts.traits
        ]
        if ids:
            yield Finding("warning", f"{code}-{trait}", f"{len(ids)} {noun}(s) {words}: {some(ids)}.", tuple(ids))


def flat_images(dataset: Dataset, looks: Sequence[Look]) -> Iterator[Finding]:
    """Images of one colour: nothing can be learned from them."""
    ids = [item.id for item, look in zip(dataset.items, looks, strict=True) if look.flat]
    if ids:
        yield Finding("warning", "flat-image", f"{len(ids)} image(s) are all of one colour: {some(ids)}.", tuple(ids))


# -- labels ---------------------------------------------------------------------------------------------------------


def missing_labels(dataset: Dataset) -> Iterator[Finding]:
    """Items without a label, in a data set that has labels."""
    ids = [item.id for item in dataset.items if item.label is None]
    if ids and dataset.kind != "none":
        message = f"{len(ids)} item(s) have no label: {some(ids)}. Label them or remove them."
        yield Finding("error", "missing-label", message, tuple(ids))


def broken_numbers(dataset: Dataset) -> Iterator[Finding]:
    """Numbers to predict that are not finite."""
    if dataset.kind == "number":
        ids = [i.id for i in dataset.items if i.label is not None and not all(map(math.isfinite, _numbers(i.label)))]
        if ids:
            message = f"{len(ids)} item(s) have NaN or infinity for a number: {some(ids)}. Correct or remove them."
            yield Finding("error", "not-finite", message, tuple(ids))


def similar_spelling(dataset: Dataset) -> Iterator[Finding]:
    """Labels that differ only in case, spaces or Unicode form: most likely one class in two spellings."""
    if dataset.kind not in ("class", "multilabel"):
        return
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in dataset.classes:
        spellings["".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    count = Counter(name for item in dataset.items for name in _names(dataset, item))
    for names in spellings.values():
        if len(names) > 1:
            shown = ", ".join(f"{name!r} ({count[name]} items)" for name in names)
            message = f"labels differ only in case or spaces: {shown}. If they mean the same, give them one spelling."
            ids = tuple(item.id for item in dataset.items if set(names) & set(_names(dataset, item)))
            yield Finding("warning", "similar-labels", message, ids)


def nothing_to_learn(dataset: Dataset) -> Iterator[Finding]:
    """One class only, no label at all, or one value only."""
    items = [item for item in dataset.items if item.split in (None, "train") and item.label is not None]
    if dataset.kind == "class":
        found = sorted({str(item.label) for item in items})
        if len(found) == 1:
            message = f"there is one class only ({found[0]}). Expected two or more to tell apart."
            yield Finding("error", "one-class", message, ())
    elif dataset.kind == "multilabel" and items and not any(item.label for item in items):
        yield Finding(
            "error", "one-class", f"no item of {dataset.name} has any label. Expected one or more labels.", ()
        )
    elif dataset.kind == "number" and items:
        for name, values in zip(
            dataset.targets, zip(*(_numbers(item.label) for item in items), strict=True), strict=True
        ):
            if len(set(values)) == 1:
                message = f"every item has the same {name} ({values[0]:g}). Expected numbers that vary."
                yield Finding("error", "constant-number", message, ())


def small_classes(dataset: Dataset) -> Iterator[Finding]:
    """Classes with fewer training items than can be split (error) or learned from with any confidence (warning)."""
    if dataset.kind not in ("class", "multilabel"):
        return
    count = Counter(n for item in dataset.items if item.split in (None, "train") for n in _names(dataset, item))
    must_split = not {"validation", "test"} <= dataset.splits
    single = sorted(name for name, n in count.items() if n < 2) if must_split and dataset.kind == "class" else []
    if single:
        message = (
            f"{len(single)} class(es) have a single training item and cannot be split: {some(single)}. "
            "Add items (ten or more a class are a fair start), merge the class into another, or remove it."
        )
        yield Finding("error", "class-too-small", message, _ids(dataset, single))
    few = {name: n for name, n in sorted(count.items()) if n < FEW_PER_CLASS and name not in single}
    if few:
        shown = some(f"{name} ({n})" for name, n in few.items())
        message = f"{len(few)} class(es) have fewer than {FEW_PER_CLASS} training items, so expect little: {shown}."
        yield Finding("warning", "class-small", message, _ids(dataset, few))


def imbalance(dataset: Dataset) -> Iterator[Finding]:
    """The largest class has many times the items of the smallest."""
    if dataset.kind != "class":
        return
    count = Counter(n for item in dataset.items if item.split in (None, "train") for n in _names(dataset, item))
    if len(count) > 1:
        (large, most), (small, least) = count.most_common()[0], count.most_common()[-1]
        if most >= IMBALANCE * least:
            message = (
                f"classes are unbalanced: {large} has {most} training items, {small} has {least}. "
                "Look at balanced accuracy, and consider balanced class weighting."
            )
            yield Finding("warning", "imbalance", message, ())


def split_labels(dataset: Dataset) -> Iterator[Finding]:
    """Classes that one split has and another lacks; unknown to train is an error."""
    if dataset.kind not in ("class", "multilabel") or not dataset.splits - {"train"}:
        return
    by_split = {
        role: {n for item in dataset.items if (item.split or "train") == role for n in _names(dataset, item)}
        for role in sorted(dataset.splits | {"train"})
    }
    train = by_split.pop("train")
    for role, names in by_split.items():
        if unknown := sorted(names - train):
            level: Literal["error", "warning"] = "error" if train else "warning"
            message = (
                f"the {role} split has classes that train lacks: {some(unknown)}. Add training items or remove them."
            )
            ids = tuple(i.id for i in dataset.items if i.split == role and set(unknown) & set(_names(dataset, i)))
            yield Finding(level, "split-labels", message, ids)
        if absent := sorted(train - names):
            message = f"the {role} split has no item of {some(absent)}: nothing is measured for them there."
            yield Finding("warning", "split-labels-absent", message, ())


# -- items together -------------------------------------------------------------------------------------------------


def duplicates(
    dataset: Dataset, looks: Sequence[Look], near: Sequence[Sequence[int]], noun: str = "item"
) -> Iterator[Finding]:
    """Equal or nearly equal items: across splits (results look better than they are), with labels that contradict
    each other, and within. near: groups of indices that are alike, equal ones included. noun: of one item."""
    leaks = [group for group in near if len({dataset[i].split for i in group} - {None}) > 1]
    if leaks:
        shown = some(" = ".join(_first_of_each_split(dataset, group)) for group in leaks)
        message = (
            f"{len(leaks)} {noun}(s) appear, equal or nearly so, in more than one split: {shown}. Results on such "
            "validation or test items say little; remove them from one side."
        )
        yield Finding("warning", "duplicates-across-splits", message, _members(dataset, leaks))
    torn = [group for group in near if len({repr(dataset[i].label) for i in group}) > 1 and dataset.kind != "number"]
    if torn:
        shown = some(" = ".join(f"{dataset[i].id} ({dataset[i].label})" for i in group[:3]) for group in torn)
        message = f"{len(torn)} {noun}(s) appear under different labels: {shown}. Decide which label is right."
        yield Finding("warning", "contradictory-labels", message, _members(dataset, torn))
    within = [group for group in near if group not in leaks]
    if within:
        shown = some(" = ".join(dataset[i].id for i in group[:3]) for group in within)
        copies = sum(len(group) - len({looks[i].digest for i in group}) for group in within)
        message = f"{len(within)} {noun}(s) appear more than once, equal ({copies} copies) or nearly so: {shown}."
        yield Finding("warning", "duplicates", message, _members(dataset, within))


def torn_groups(dataset: Dataset) -> Iterator[Finding]:
    """Groups (a patient, a speaker) whose items the declared splits separate."""
    splits: dict[str, set[str]] = defaultdict(set)
    for item in dataset.items:
        if item.group is not None and item.split is not None:
            splits[item.group].add(item.split)
    torn = sorted(group for group, roles in splits.items() if len(roles) > 1)
    if torn:
        message = (
            f"{len(torn)} group(s) have items in more than one declared split: {some(torn)}. Results look better than "
            "they are; declare the splits so that each group is in one, or leave out the split column."
        )
        ids = tuple(item.id for item in dataset.items if item.group in set(torn))
        yield Finding("warning", "group-across-splits", message, ids)


def _names(dataset: Dataset, item: Item) -> tuple[str, ...]:
    if item.label is None:
        return ()
    return tuple(item.label) if dataset.kind == "multilabel" else (str(item.label),)


def _numbers(label: Any) -> tuple[float, ...]:
    return tuple(label) if isinstance(label, tuple) else (label,)


def _ids(dataset: Dataset, names: Iterable[str]) -> tuple[str, ...]:
    wanted = set(names)
    return tuple(item.id for item in dataset.items if wanted & set(_names(dataset, item)))


def _members(dataset: Dataset, groups: Iterable[Sequence[int]]) -> tuple[str, ...]:
    return tuple(dataset[i].id for group in groups for i in group)


def _first_of_each_split(dataset: Dataset, group: Sequence[int]) -> list[str]:
    first: dict[str | None, str] = {}
    for i in group:
        first.setdefault(dataset[i].split, dataset[i].id)
    return [f"{name} ({split})" for split, name in first.items() if split is not None]
