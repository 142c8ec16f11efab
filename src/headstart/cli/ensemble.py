"""`headstart ensemble`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from headstart.cli.output import Json, print_json, size, table, tell
from headstart.cli.progress import Terminal

EPILOG = "Example: headstart ensemble runs/a runs/b --out runs/both"


class Weights(StrEnum):
    equal = "equal"
    validation = "validation"


class Combine(StrEnum):
    probabilities = "probabilities"
    logits = "logits"


def command(
    runs: list[Path] = typer.Argument(
        ..., metavar="RUN RUN...", help="Finished runs on the same data and split; or the recipe.yaml of an ensemble."
    ),
    out: Path = typer.Option(..., help="The run folder."),
    weights: Weights = typer.Option(Weights.equal, help="How much each counts; validation fits that on its items."),
    combine: Combine = typer.Option(Combine.probabilities, help="What is averaged."),
    data: str = typer.Option(None, metavar="DATA", help="Where the data is now, if it was moved.", show_default=False),
    seed: int = typer.Option(0, min=0, help="Of the resampling that gives the intervals."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the run that is in --out."),
    photos: bool = typer.Option(True, "--photos/--no-photos", help="Whether the report shows photos."),
    as_json: bool = Json,
) -> None:
    """Join finished RUNs into one model, and say what that gains and costs against the best of them."""
    with Terminal() as progress:
        from headstart.recipes.ensemble import ensemble

        run = ensemble(
            *runs,
            out=out,
            weights=weights.value,
            combine=combine.value,
            data=data,
            seed=seed,
            overwrite=overwrite,
            photos=photos,
            progress=progress,
        )
    cost = run.metrics["cost"]
    tell(run.summary(), as_json=as_json)
    rows = [
        (
            row["name"],
            f"{row['parameters']:,}",
            size(row["size_bytes"]),
            f"{row['latency_ms']:.1f} ms",
            f"{row['per_second']:.1f}",
        )
        for row in cost["serving"]
    ]
    table(("to answer with", "parameters", "on disk", "one item", "items a second, by 32"), rows, as_json=as_json)
    tell(cost["conclusion"], as_json=as_json)
    if as_json:
        print_json({"run": str(run.path), **run.metrics})
