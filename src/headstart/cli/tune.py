"""`headstart tune`."""

from __future__ import annotations

from pathlib import Path

import typer

from headstart.cli import columns
from headstart.cli.fit import TaskName, Verdict, _methods, _options, _sources
from headstart.cli.output import Interrupted, Json, print_json, table, tell
from headstart.cli.progress import Terminal

EPILOG = "Example: headstart tune photos/ --method lp-ft --trials 30 --budget 10m --workers 2 --out studies/mine"


def command(
    data: str = typer.Argument(None, metavar="DATA", show_default=False, help="A folder, a table, or hf:NAME."),
    method: str = typer.Option("auto", help="The method whose options are searched.", autocompletion=_methods),
    trials: int = typer.Option(30, min=1, help="How many trials the study has in all."),
    budget: str = typer.Option(
        None, metavar="TIME", show_default=False, help="How long this may take, fits included: 60s, 10m, 2h."
    ),
    source: str = typer.Option("auto", help="The pretrained model to reuse.", autocompletion=_sources),
    out: Path = typer.Option(
        None, show_default=False, help="The study's folder; the same command goes on with it. By default below runs/."
    ),
    workers: int = typer.Option(1, min=1, help="Processes that share the processor's threads."),
    space: list[str] = typer.Option(
        [],
        "--space",
        metavar="KEY=VALUES",
        help="What to search for an option: LOW..HIGH or A,B,C; see --list-space.",
        autocompletion=_options,
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="An option of every trial, not searched.", autocompletion=_options
    ),
    task: TaskName = typer.Option(None, help="What to predict; by default what the labels look like."),
    input: str = columns.Input,
    label: str = columns.Label,
    group: str = columns.Group,
    split: str = columns.Split,
    seed: int = typer.Option(0, min=0, help="Of the splits, the trials and the runs."),
    verdict: Verdict = typer.Option(Verdict.quick, help="Of the winner's run, as in headstart fit."),
    photos: bool = typer.Option(True, "--photos/--no-photos", help="Whether reports show photos."),
    list_space: bool = typer.Option(False, "--list-space", help="List what is searched by default, and stop."),
    as_json: bool = Json,
) -> None:
    """Search a method's options on DATA, fit the best, and judge it against the defaults."""
    if list_space:
        return _list_space(as_json)
    if data is None:
        raise typer.BadParameter("DATA is missing: give a folder or a table.", param_hint="DATA")
    from headstart.core.options import parse_options

    chosen = parse_options(set_)
    with Terminal() as progress:
        try:
            from headstart.recipes.tune import tune

            study = tune(
                data,
                source=source,
                method=method,
                trials=trials,
                budget=budget,
                space=space,
                out=out,
                workers=workers,
                task=task.value if task else None,
                input=input,
                label=label,
                group=group,
                split=split,
                seed=seed,
                verdict=verdict.value,
                options=chosen,
                photos=photos,
                progress=progress,
            )
        except KeyboardInterrupt:
            raise Interrupted("interrupted. Go on with the same command; what was tried is kept.") from None
    tell(study.summary(), as_json=as_json)
    if as_json:
        print_json({"study": str(study.path), **study.result})


def _list_space(as_json: bool) -> None:
    """What is searched unless --space or --set says otherwise."""
    from headstart.recipes.tuning.space import TABLE

    if as_json:
        return print_json([{"key": row.key, "values": row.values, "where": row.where} for row in TABLE])
    table(("option", "searched", "where"), [(row.key, row.values, row.where) for row in TABLE])
