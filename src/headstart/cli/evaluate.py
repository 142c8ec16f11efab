"""`headstart evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    slice: str = columns.Slice,
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
            slice=slice,
            seed=seed,
            batch_size=batch_size,
            standardise=standardise.value,
            progress=progress,
        )
    tell(f"{found['model']} on {found['items']} of {found['data']}: n = {found['n']['test']}", as_json=as_json)
    rows = [(name.replace("_", " "), interval(value)) for name, value in found["test"].items()]
    table(("metric", "value  [95 % interval]"), rows, as_json=as_json)
    if slice is not None:
        _tell_slices(found["slices"], as_json)
    for note in found["notes"]:
        tell(note, as_json=as_json)
    if as_json:
        print_json(found)


def _tell_slices(found: dict[str, Any], as_json: bool) -> None:
    """The primary metric of each slice, and its gap to all other items; the largest gap first."""
    gaps = {gap["slice"]: gap["difference"] for gap in found["gaps"]}
    ordered = sorted(found["slices"], key=lambda one: -abs(gaps.get(one["name"], {"value": 0})["value"]))
    rows = [
        (
            one["name"],
            str(one["n"]),
            interval(one["metrics"][found["metric"]]) if found["metric"] in one["metrics"] else "",
            interval(gaps[one["name"]]) if one["name"] in gaps else "",
        )
        for one in ordered
    ]
    titles = (found["column"], "n", found["metric"].replace("_", " "), "less that of all others")
    table(titles, rows, as_json=as_json)
    for note in found["notes"]:
        tell(note, as_json=as_json)
