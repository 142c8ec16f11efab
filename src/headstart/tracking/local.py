"""`log.jsonl`: one JSON object a line, appended and flushed, always on."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from headstart.tracking.tracker import Tracker, Values

LOG = "log.jsonl"


class Local(Tracker):
    """Rows are `{"time": seconds since 1970, "step": n, name: value, ...}`, words `{"time", "name", "text"}`.

    A number that JSON has no word for (NaN, infinity) is null.
    """

    def __init__(self) -> None:
        self._out: TextIO | None = None

    def start(self, folder: Path, config: Mapping[str, Any], *, resume: bool) -> None:
        path = folder / LOG
        if resume:
            _mend(path)
        self._out = path.open("a" if resume else "w", encoding="utf-8")

    def row(self, step: int, values: Values) -> None:
        self._write({"step": step} | {name: _plain(value) for name, value in values.items()})

    def text(self, name: str, text: str) -> None:
        self._write({"name": name, "text": text})

    def finish(self) -> None:
        if self._out is not None:
            self._out.close()

    def _write(self, entry: dict[str, Any]) -> None:
        if self._out is None:
            return
        line = json.dumps({"time": round(time.time(), 3)} | entry, ensure_ascii=False, allow_nan=False)
        self._out.write(line + "\n")
        self._out.flush()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of a run's log, in order; [] where there is none."""
    path = folder / LOG
    if not path.is_file():
        return []
    text = path.read_bytes().decode("utf-8", errors="replace")
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def _mend(path: Path) -> None:
    """Cut off a last line that a killed process left half-written."""
    if path.is_file():
        whole = path.read_bytes().rfind(b"\n") + 1
        with path.open("r+b") as file:
            file.truncate(whole)


def _plain(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
