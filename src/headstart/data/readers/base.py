"""The interface of a reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

from headstart.data.dataset import Dataset, LabelKind

SLICES: Final = ("group", "domain", "class")
"""What results may be asked for by, whatever the form of the data; a table's own column of that name comes first."""


@dataclass(frozen=True)
class Columns:
    """What the user says of the data; None leaves it to the reader.

    input, label, group, split: names of columns; `label` may name several, separated by commas.
    slice: column that results are asked for by, or one of SLICES.
    kind: how labels are to be read. labelled: False takes data without labels, too.
    """

    input: str | None = None
    label: str | None = None
    kind: LabelKind | None = None
    group: str | None = None
    split: str | None = None
    slice: str | None = None
    labelled: bool = True


class Reader(ABC):
    """Reads one form of data. `accepts` looks at names and kinds of files, and at the beginning of a file where other
    data bears such a name."""

    form: ClassVar[str]
    """The form in a few words, for messages."""
    general: ClassVar[bool] = False
    """Accepts by the name alone (any folder), and so is asked after those that look closer."""

    @abstractmethod
    def accepts(self, data: str) -> bool:
        """Whether `data` (a path or an address) has this reader's form."""

    @abstractmethod
    def read(self, data: str, columns: Columns) -> Dataset:
        """The items, nothing decoded. Raises DataError saying what is wrong and where."""
