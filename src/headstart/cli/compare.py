"""`headstart compare`."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.output import Json, print_json, tell
from headstart.cli.progress import Terminal

EPILOG = "Example: headstart compare runs/mine runs/other"


def command(
    run: Path = typer.Argument(..., metavar="RUN", help="A finished run."),
    other: Path = typer.Argument(..., metavar="RUN", help="What to hold it against."),
    data: str = typer.Option(None, metavar="DATA", help="Judge both models on this data, not on their own test items."),
    seed: int = typer.Option(0, min=0, help="Of the resampling that gives the interval."),
    as_json: bool = Json,
) -> None:
    """Is one run better than another? Paired, item by item, with an interval."""
    with Terminal() as progress:
        from headstart.recipes.compare import compare

        found = compare(run, other, data=data, seed=seed, progress=progress)
    verdict = found["verdict"]
    metric, low, high = verdict["metric"].replace("_", " "), verdict["low"], verdict["high"]
    tell(
        f"{metric}: {verdict['gain']:+.3f} [{low:+.3f}, {high:+.3f}], p = {verdict['p_value']:.3g} "
        f"on {verdict['n']} items",
        as_json=as_json,
    )
    tell(verdict["words"], as_json=as_json)
    if as_json:
        print_json(found)
