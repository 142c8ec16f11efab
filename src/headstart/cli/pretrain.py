"""`headstart pretrain`."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path

import typer

from headstart.cli import columns
from headstart.cli.fit import how_to_go_on
from headstart.cli.output import Interrupted, Json, print_json, tell
from headstart.cli.progress import Terminal

EPILOG = "Example: headstart pretrain texts.txt --source lstm --out runs/language"


class Objective(StrEnum):
    auto = "auto"
    masked_tokens = "masked-tokens"
    next_token = "next-token"
    masked_features = "masked-features"


def command(
    data: str = typer.Argument(
        ..., metavar="DATA", help="A table, a folder, a .txt file with a text a line, or the recipe.yaml of a run."
    ),
    source: str = typer.Option("auto", help="A source; lstm, mlp, resnet and ft-transformer begin from nothing."),
    objective: Objective = typer.Option(Objective.auto, help="What is learned; by default what suits the network."),
    epochs: int = typer.Option(None, min=1, help="Passes over the data; 3, or 10 from nothing.", show_default=False),
    out: Path = typer.Option(None, help="The run folder; by default a new one below runs/.", show_default=False),
    input: str = columns.Input,
    label: str = typer.Option(None, "--label", metavar="COL", help="Column of a table that is a label, and no input."),
    group: str = columns.Group,
    split: str = columns.Split,
    seed: int = typer.Option(0, min=0, help="The same seed gives the same run."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="pretrain.learning_rate, batch_size, ..."),
    track: str = typer.Option("tensorboard", metavar="NAMES", help="tensorboard, wandb, mlflow, with commas; or none."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the run that is in --out."),
    as_json: bool = Json,
) -> None:
    """Let a network learn from DATA without looking at a label; the run is a source for fit."""
    from headstart.core.options import parse_options

    chosen, began = parse_options(set_), time.time()
    with Terminal() as progress:
        try:
            from headstart.recipes.pretrain import pretrain

            run = pretrain(
                data,
                source=source,
                objective=objective.value,
                epochs=epochs,
                out=out,
                input=input,
                label=label,
                group=group,
                split=split,
                seed=seed,
                options=chosen,
                track=tuple(name.strip() for name in track.split(",") if name.strip() not in ("", "none")),
                overwrite=overwrite,
                progress=progress,
            )
        except KeyboardInterrupt:
            raise Interrupted(how_to_go_on(out, began)) from None
    tell(run.summary(), as_json=as_json)
    if as_json:
        print_json({"run": str(run.path), **run.metrics})
