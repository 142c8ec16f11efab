"""Who speaks: read off the names of recordings where nobody says it.

A model that has heard a speaker in training knows the voice, not only the words: judged on other recordings of the
same people it looks far better than it is to strangers (FSDD digits: .97 on a random division, .5 to .8 on people that
were never heard).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from headstart.data.dataset import Dataset, Finding

COLUMNS: Final = ("speaker", "speaker_id", "speakerid", "spk", "spk_id", "client_id", "singer")
"""Names of columns that say who is heard."""
NONE: Final = "none"
"""Given as the column of groups: items do not belong together, whatever their names look like."""
_FIELDS: Final = re.compile(r"[_\-. ]+")
_NAME: Final = re.compile(r"[^\W\d_]{3,}|(?:spk|speaker|subj|subject|sub|p|s)\d+", re.IGNORECASE)
FEWEST: Final = 3
"""Recordings of one speaker, in the median."""
SHARE: Final = 0.9
"""Of the names that must have the field."""


def by_speaker(dataset: Dataset) -> Dataset:
    """The recordings with their speaker as group, and a warning that says so, where names have a field that can only be
    a person: it is in nearly all names at the same place, looks like a name or a number of one, is no label, and each
    of its values goes with several labels. The same data set otherwise, or where groups are known."""
    if dataset.modality != "audio" or any(item.group is not None for item in dataset.items):
        return dataset
    names = [_FIELDS.split(PurePath(item.input).stem) if isinstance(item.input, Path) else [] for item in dataset.items]
    for place in range(max(map(len, names), default=0)):
        values = [fields[place] if place < len(fields) else "" for fields in names]
        if _are_speakers(values, [str(item.label) for item in dataset.items]):
            items = [replace(item, group=v or None) for item, v in zip(dataset.items, values, strict=True)]
            shown = ", ".join(sorted(set(values) - {""})[:5])
            message = (
                f"field {place + 1} of the names looks like who is heard ({shown}, ...): recordings of one are kept on "
                "one side of every division, because a model judged on voices that it knows looks better than it is to "
                "strangers. If they may be divided, say --group none; if a column says who it is, name it with --group."
            )
            found = Finding("warning", "grouped-by-speaker", message)
            return replace(dataset, items=tuple(items), findings=(*dataset.findings, found))
    return dataset


def _are_speakers(values: Sequence[str], labels: Sequence[str]) -> bool:
    named = [value for value in values if _NAME.fullmatch(value)]
    count = Counter(named)
    if len(named) < SHARE * len(values) or len(count) < 2 or set(named) & set(labels):
        return False
    if sorted(count.values())[len(count) // 2] < FEWEST:
        return False
    spoken: dict[str, set[str]] = defaultdict(set)
    for value, label in zip(values, labels, strict=True):
        spoken[value].add(label)
    return sorted(len(found) for name, found in spoken.items() if name)[len(count) // 2] > 1
