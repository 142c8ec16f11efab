"""Progress on a terminal; in a pipe only what must be read."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self

from headstart.cli.output import print_words


class Terminal:
    """Bars and stages on standard error while it is a terminal; implements `headstart.core.progress.Progress`.

    Use as a context manager, so that the terminal is left in order.
    """

    def __init__(self) -> None:
        self._live: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeElapsedColumn,
            )

            self._live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def stage(self, name: str) -> None:
        if self._live is not None:
            for task in self._tasks.values():
                self._live.remove_task(task)
            self._tasks = {name: self._live.add_task(_plain(name), total=None)}

    def advance(self, name: str, done: int, total: int) -> None:
        if self._live is not None:
            if name not in self._tasks:
                self._tasks[name] = self._live.add_task(_plain(name), total=total)
            self._live.update(self._tasks[name], completed=done, total=total)

    def say(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print_words(text)


def _plain(name: str) -> str:
    from rich.markup import escape

    return escape(name)
