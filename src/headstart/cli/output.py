"""What commands print: JSON for programs on standard output, words for people where they are looked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

Json = typer.Option(False, "--json", help="Print one JSON document on standard output, words on standard error.")


class Interrupted(Exception):
    """The user pressed Ctrl-C; the message says how to go on."""


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), file=sys.stdout)


def print_words(text: str) -> None:
    """Words for people, out of the way of a document."""
    print(text, file=sys.stderr)


def tell(text: str, *, as_json: bool) -> None:
    """What a command has to say: on standard output, or on standard error beside a document."""
    print(text, file=sys.stderr if as_json else sys.stdout)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, as_json: bool = False) -> None:
    """A table as wide as the terminal, or as its content where nobody's terminal is written to."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = sys.stderr if as_json else sys.stdout
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, show_header=any(titles), header_style="bold")
    for number, title in enumerate(titles):  # what the first column names is to be typed: it is never cut
        grid.add_column(title, no_wrap=number == 0)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    Console(file=stream, width=None if stream.isatty() else 1000).print(grid)


def interval(row: dict[str, float]) -> str:
    """ "0.850  [0.800, 0.900]" """
    return f"{row['value']:.3f}  [{row['low']:.3f}, {row['high']:.3f}]"


def size(count: float | None) -> str:
    """Bytes for people: 18826032 -> "18.8 MB"."""
    if count is None:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
