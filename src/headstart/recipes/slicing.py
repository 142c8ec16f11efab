"""What results are asked for by: the value of each item."""

from __future__ import annotations

from headstart.core.errors import ConfigError
from headstart.data.dataset import Dataset
from headstart.data.readers.base import SLICES


def slice_values(dataset: Dataset, column: str) -> list[str | None]:
    """Of each item, in order: what its reader found in the column, else its group, domain or class.

    Raises ConfigError where no item has one.
    """
    values = [item.slice for item in dataset.items]
    if not any(values) and column in SLICES:
        if column == "class" and dataset.kind != "class":
            raise ConfigError(f"the labels of {dataset.name} are no classes, so results cannot be given by class.")
        values = [item.label if column == "class" else getattr(item, column) for item in dataset.items]
    if all(value is None for value in values):
        raise ConfigError(
            f"no item of {dataset.name} has a {column}, so results cannot be given by it. Name a column of a table, "
            f"or one of {', '.join(SLICES)} where the data has it."
        )
    return [None if value is None else str(value) for value in values]
