"""`headstart rank`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from headstart.cli import columns
from headstart.cli.fit import TaskName
from headstart.cli.output import Json, print_json, size, table, tell
from headstart.cli.progress import Terminal

EPILOG = "Example: headstart rank photos/ --budget 60s"


def _sources(incomplete: str) -> list[str]:
    from headstart.sources import PACKS

    return [name for name in PACKS if name.startswith(incomplete)]


def _scores(incomplete: str) -> list[str]:
    from headstart.ranking import SCORERS

    return [name for name in SCORERS if name.startswith(incomplete)]


def command(
    data: str = typer.Argument(..., metavar="DATA", help="A folder, a table, or hf:NAME."),
    source: list[str] = typer.Option(
        [],
        "--source",
        metavar="NAME",
        help="Rank this one; may be given several times. By default all on this machine.",
        autocompletion=_sources,
    ),
    budget: str = typer.Option(None, metavar="TIME", help="How long it may take: 60s, 10m.", show_default=False),
    score: str = typer.Option("probe", help="What to rank by.", autocompletion=_scores),
    task: TaskName = typer.Option(None, help="What to predict; by default what the labels look like."),
    input: str = columns.Input,
    label: str = columns.Label,
    group: str = columns.Group,
    split: str = columns.Split,
    seed: int = typer.Option(0, min=0, help="The same seed takes the same items; fit splits by it, too."),
    as_json: bool = Json,
) -> None:
    """Which source suits DATA, and what it costs. Looks at training items only; fits nothing."""
    with Terminal() as progress:
        from headstart.recipes.rank import rank

        found = rank(
            data,
            sources=source or None,
            budget=budget,
            score=score,
            task=task.value if task else None,
            input=input,
            label=label,
            group=group,
            split=split,
            seed=seed,
            progress=progress,
        )
    titles = ("source", score, "95 %", "items", "against best", "", "features", "epoch", "memory", "size", "licence")
    table(titles, [_row(row, row is found[0]) for row in found], as_json=as_json)
    for line in (_verdict(found.rows), *found.notes, *_absent(found.absent)):
        tell(line, as_json=as_json)
    if as_json:
        print_json(list(found))


def _row(row: Mapping[str, Any], best: bool) -> tuple[str, ...]:
    gap = row["gap"]
    against = "best" if best else f"{gap['value']:+.3f} {_interval(gap)}{', tied' if row['tied'] else ''}"
    return (
        row["source"],
        f"{row['score']:.3f}",
        _interval(row),
        str(row["items"]),
        against,
        "Pareto" if row["pareto"] else "",
        f"{row['seconds_features']:.1f} s",
        f"{row['seconds_epoch']:.1f} s",
        size(row["memory_mb"] * 1e6),
        "" if row["parameters"] is None else f"{row['parameters'] / 1e6:.1f} M",
        row["license"],
    )


def _interval(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None or row["high"] is None else f"[{row['low']:.3f}, {row['high']:.3f}]"


def _verdict(rows: tuple[dict[str, Any], ...]) -> str:
    """One line that says which to take."""
    best, *others = rows
    tied = [row for row in others if row["tied"]]
    if not tied:
        return f"{best['source']} is {'best beyond chance' if others else 'the only one that was looked at'}."
    cheapest = min((best, *tied), key=lambda row: row["seconds"])
    names = ", ".join(row["source"] for row in tied)
    return f"{best['source']} is best, but {names} may be as good; the cheapest of them is {cheapest['source']}."


def _absent(absent: tuple[dict[str, str], ...]) -> list[str]:
    """A line for each way to get a source."""
    ways: dict[str, list[str]] = {}
    for row in absent:
        ways.setdefault(row["how"], []).append(row["source"])
    return [f"not on this machine: {', '.join(names)} ({how})." for how, names in ways.items()]
