"""`headstart fit`."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path

import psutil
import typer

from headstart.cli import columns
from headstart.cli.output import Interrupted, Json, print_json, table, tell
from headstart.cli.progress import Terminal

EPILOG = "Example: headstart fit photos/ --method full --set epochs=5 --set augment.mixup=0.2 --out runs/mine"


class TaskName(StrEnum):
    classification = "classification"
    multilabel = "multilabel"
    regression = "regression"


class Verdict(StrEnum):
    quick = "quick"
    full = "full"
    none = "none"


def _methods(incomplete: str) -> list[str]:
    from headstart.methods import METHODS

    return [name for name in ("auto", *METHODS) if name.startswith(incomplete)]


def _sources(incomplete: str) -> list[str]:
    from headstart.sources import PACKS

    return [name for name in ("auto", *PACKS) if name.startswith(incomplete)]


def _options(incomplete: str) -> list[tuple[str, str]]:
    from headstart.core.options import describe

    return [(f"{option.key}=", option.type) for option in describe() if option.key.startswith(incomplete)]


def command(
    data: str = typer.Argument(
        None,
        metavar="DATA",
        show_default=False,
        help="A folder, a table, hf:NAME, or the recipe.yaml of a run to repeat.",
    ),
    task: TaskName = typer.Option(None, help="What to predict; by default what the labels look like."),
    source: str = typer.Option(
        "auto", help="The pretrained model to reuse; see headstart sources.", autocompletion=_sources
    ),
    method: str = typer.Option("auto", help="How to reuse it.", autocompletion=_methods),
    budget: str = typer.Option(
        None, metavar="TIME", show_default=False, help="How long auto may take, as in 60s or 10m; it stops by itself."
    ),
    out: Path = typer.Option(None, help="The run folder; by default a new one below runs/.", show_default=False),
    input: str = columns.Input,
    label: str = columns.Label,
    group: str = columns.Group,
    split: str = columns.Split,
    slice: str = columns.Slice,
    seed: int = typer.Option(0, min=0, help="The same seed gives the same run."),
    epochs: int = typer.Option(None, min=0, help="Short for --set epochs=N.", show_default=False),
    verdict: Verdict = typer.Option(Verdict.quick, help="full also trains from scratch for the same time."),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="A training option; see --options.", autocompletion=_options
    ),
    track: str = typer.Option("tensorboard", metavar="NAMES", help="tensorboard, wandb, mlflow, with commas; or none."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the run that is in --out."),
    photos: bool = typer.Option(True, "--photos/--no-photos", help="Whether the report shows photos."),
    explain: int = typer.Option(
        0, min=0, metavar="N", help="Explain so many test items in the report: the worst mistakes, the surest answers."
    ),
    options: bool = typer.Option(False, "--options", help="List every --set key, also of the --method, and stop."),
    as_json: bool = Json,
) -> None:
    """Fit a model to DATA, judge it, and write a run folder."""
    if options:
        return list_options(method, as_json)
    if data is None:
        raise typer.BadParameter("DATA is missing: give a folder or a table.", param_hint="DATA")
    from headstart.core.options import parse_options

    pairs = [*set_, *([f"epochs={epochs}"] if epochs is not None else [])]
    chosen = parse_options(pairs)
    began = time.time()
    with Terminal() as progress:
        try:
            from headstart.recipes.fit import fit

            run = fit(
                data,
                source=source,
                method=method,
                budget=budget,
                began=psutil.Process().create_time(),
                out=out,
                task=task.value if task else None,
                input=input,
                label=label,
                group=group,
                split=split,
                slice=slice,
                seed=seed,
                verdict=verdict.value,
                options=chosen,
                track=tuple(name.strip() for name in track.split(",") if name.strip() not in ("", "none")),
                overwrite=overwrite,
                photos=photos,
                explain=explain,
                progress=progress,
            )
        except KeyboardInterrupt:
            raise Interrupted(how_to_go_on(out, began)) from None
    tell(run.summary(), as_json=as_json)
    if as_json:
        print_json({"run": str(run.path), **run.metrics})


def list_options(method: str, as_json: bool) -> None:
    """Print every key that --set takes."""
    from dataclasses import asdict

    from headstart.core.options import describe

    rows = describe()
    if method != "auto":
        from headstart.methods import METHODS

        rows += describe(METHODS[method])
    if as_json:
        return print_json([asdict(row) for row in rows])
    table(("option", "takes", "default", "meaning"), [(row.key, row.type, row.default, row.meaning) for row in rows])


def how_to_go_on(out: Path | None, began: float) -> str:
    """What to do after Ctrl-C. out: None where the recipe chose the folder."""
    candidates = [out] if out is not None else list(Path("runs").glob("*"))
    begun = [path for path in candidates if (path / "recipe.yaml").is_file()]
    begun = [path for path in begun if (path / "recipe.yaml").stat().st_mtime >= began - 1]
    if not begun:
        return "interrupted. Nothing was written."
    latest = max(begun, key=lambda path: (path / "recipe.yaml").stat().st_mtime)
    return f"interrupted. Go on with: headstart resume {latest}"
