"""`headstart resume`."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli.output import Interrupted, Json, print_json, tell
from headstart.cli.progress import Terminal

EPILOG = "Example: headstart resume runs/mine"


def command(
    run: Path = typer.Argument(..., metavar="RUN", help="The folder of a run that was not finished."),
    as_json: bool = Json,
) -> None:
    """Go on with a run that was killed; it ends in the numbers of the unbroken run."""
    with Terminal() as progress:
        try:
            from headstart.recipes.fit import resume

            done = resume(run, progress=progress)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted. Go on with: headstart resume {run}") from None
    tell(done.summary(), as_json=as_json)
    if as_json:
        print_json({"run": str(done.path), **done.metrics})
