"""`headstart evaluate`."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli import columns
from headstart.cli.output import Json, interval, print_json, table, tell
from headstart.cli.progress import Terminal

EPILOG = "Example: headstart evaluate runs/mine other_photos/"


def command(
    model: Path = typer.Argument(..., metavar="MODEL", help="A run folder, or its model/."),
    data: str = typer.Argument(..., metavar="DATA", help="A folder, a table or hf:NAME, with labels."),
    input: str = columns.Input,
    label: str = columns.Label,
    group: str = columns.Group,
    split: str = columns.Split,
    seed: int = typer.Option(0, min=0, help="Of the resampling that gives the intervals."),
    batch_size: int = typer.Option(32, min=1, help="Items at a time."),
    standardise: columns.Standardise = columns.By,
    as_json: bool = Json,
) -> None:
    """Judge a fitted model on labelled DATA: its test split where it has one, else all of it."""
    with Terminal() as progress:
        from headstart.recipes.evaluate import evaluate

        found = evaluate(
            model,
            data,
            input=input,
            label=label,
            group=group,
            split=split,
            seed=seed,
            batch_size=batch_size,
            standardise=standardise.value,
            progress=progress,
        )
    tell(f"{found['model']} on {found['items']} of {found['data']}: n = {found['n']['test']}", as_json=as_json)
    rows = [(name.replace("_", " "), interval(value)) for name, value in found["test"].items()]
    table(("metric", "value  [95 % interval]"), rows, as_json=as_json)
    for note in found["notes"]:
        tell(note, as_json=as_json)
    if as_json:
        print_json(found)
