"""Data sets of the Hugging Face hub, as `hf:NAME` or `hf:NAME@CONFIG`; NAME may be a folder with a copy of one."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from huggingface_hub import constants

from headstart.core.errors import DataError, OfflineError
from headstart.core.extras import require
from headstart.data.dataset import Dataset
from headstart.data.readers.base import Columns, Reader
from headstart.data.readers.table import Row, dataset_from_rows

_SECONDS: Final = 5.0


class HubReader(Reader):
    """Every split of a hub data set with an image column; class ids become their names."""

    form = "hf:NAME or hf:NAME@CONFIG for a data set of the Hugging Face hub"

    def accepts(self, data: str) -> bool:
        return data.startswith("hf:")

    def read(self, data: str, columns: Columns) -> Dataset:
        name, _, config = data.removeprefix("hf:").partition("@")
        if not name:
            raise DataError(f"{data!r} names no data set. Expected hf:NAME, such as hf:beans.")
        local = Path(name).is_dir()
        cached_only = constants.HF_HUB_OFFLINE and not local
        if not cached_only and not local:
            _require_host(data)
        library = require("datasets", "hub", f"reading {data}")
        if not sys.stderr.isatty():
            library.disable_progress_bars()
        try:
            found = library.load_dataset(name, config or None)
        except Exception as error:  # the library raises many types: not found, gated, bad config, no network
            if cached_only:
                raise OfflineError(_offline(data, "HF_HUB_OFFLINE is set and it is not in the cache")) from None
            reason = str(error).strip().partition("\n")[0]
            raise DataError(
                f"{data} cannot be loaded: {reason}. Check the name, the configuration and your access to it."
            ) from None
        rows: list[Row] = []
        for split in found:
            rows += _rows(library, found[split], split, offset=len(rows))
        return dataset_from_rows(data, rows, columns, base=None)


def _rows(library: Any, table: Any, split: str, offset: int) -> list[Row]:
    features = dict(table.features)
    for column, feature in features.items():
        if isinstance(feature, library.Image):
            table = table.cast_column(column, library.Image(decode=False))
    names = {column: f for column, f in features.items() if isinstance(f, library.ClassLabel)}
    rows = []
    for number, record in enumerate(table):
        values = dict(record)
        for column, feature in names.items():
            known = values[column] is not None and values[column] >= 0
            values[column] = feature.int2str(values[column]) if known else None
        rows.append(Row(f"{split}[{number}]", offset + number, {"split": split, **values}))
    return rows


def _require_host(data: str) -> None:
    """Ask the hub for its front page, briefly, so that a missing network is said at once and not after retries."""
    endpoint = constants.ENDPOINT
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=_SECONDS).close()
    except urllib.error.HTTPError:
        return  # it answered
    except (OSError, ValueError) as error:
        raise OfflineError(_offline(data, f"{endpoint} does not answer ({error})")) from None


def _offline(data: str, reason: str) -> str:
    return (
        f"{data} cannot be fetched: {reason}. Give a folder or table on this machine instead; "
        "a copy that is already in the hub's cache is used when HF_HUB_OFFLINE=1 is set."
    )
