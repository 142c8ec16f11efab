"""What a recipe records with: the local log and any number of trackers, none of which can kill the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headstart.tracking import TRACKERS
from headstart.tracking.local import Local, read_log
from headstart.tracking.tracker import Tracker, Values


def make_trackers(names: Iterable[str]) -> dict[str, Tracker]:
    """The trackers of those names, not yet started: call it to find out, before any work, whether they are to be had.

    Raises ConfigError for an unknown name and MissingExtra for a package that is not installed.
    """
    return {name: TRACKERS[name]() for name in dict.fromkeys(names)}


class Recorder:
    """Use as a context manager around the run.

    names: of trackers beside the local log. resume: rows that are in the log already are not recorded again, so
    that epochs done twice because the process was killed between two checkpoints are shown once.
    say: told once of each tracker that fails; the run goes on without it.

    Raises as `make_trackers`, before anything is written.
    """

    def __init__(
        self,
        folder: Path,
        names: Iterable[str],
        config: Mapping[str, Any],
        *,
        resume: bool,
        say: Callable[[str], None],
    ) -> None:
        wanted = make_trackers(names)
        self._say = say
        self._seen = {_key(entry) for entry in read_log(folder)} if resume else set()
        # The local log comes last: what is in it has reached the others.
        self._trackers: dict[str, Tracker] = {**wanted, "log.jsonl": Local()}
        self._all(lambda tracker: tracker.start(folder, config, resume=resume))

    def row(self, values: Values) -> None:
        """Record the values of a step (`{"step": 10, "phase": "head", "train_loss": 0.7}`), unless they were before
        this run was resumed."""
        if self._is_new(values):
            self._all(lambda tracker: tracker.row(int(values["step"] or 0), values))

    def text(self, name: str, text: str) -> None:
        """Record words, unless they were before this run was resumed."""
        if self._is_new({"name": name, "text": text}):
            self._all(lambda tracker: tracker.text(name, text))

    def finish(self) -> None:
        self._all(lambda tracker: tracker.finish())
        self._trackers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish()

    def _is_new(self, entry: Mapping[str, Any]) -> bool:
        key = _key(entry)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _all(self, action: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                action(tracker)
            except Exception as error:
                del self._trackers[name]
                with contextlib.suppress(Exception):
                    tracker.finish()
                self._say(
                    f"{name} failed and is left out from here on; the run goes on. ({type(error).__name__}: {error})"
                )


def _key(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two entries the same: step, names and words. The numbers follow: a resumed run repeats them."""
    return tuple(
        sorted(
            (name, value if isinstance(value, str) or name == "step" else "")
            for name, value in entry.items()
            if name != "time"
        )
    )
