"""`headstart predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headstart.cli import columns
from headstart.cli.output import Json, print_json
from headstart.cli.progress import Terminal

if TYPE_CHECKING:
    from headstart.recipes.predict import Prediction

EPILOG = "Example: headstart predict runs/mine new.jpg more_photos/"


def command(
    model: Path = typer.Argument(..., metavar="MODEL", help="A run folder, or its model/."),
    inputs: list[str] = typer.Argument(..., metavar="INPUT...", help="Files, folders of them, texts, or tables."),
    top: int = typer.Option(1, min=1, help="How many labels to show of each item."),
    batch_size: int = typer.Option(32, min=1, help="Items at a time."),
    standardise: columns.Standardise = columns.By,
    as_json: bool = Json,
) -> None:
    """Label items with a fitted model: the label and its probability, a line each, as they are done."""
    with Terminal() as progress:
        from headstart.recipes.predict import stream

        answers = stream(model, inputs, batch_size=batch_size, standardise=standardise.value, progress=progress)
        if as_json:
            return print_json([answer.to_json() for answer in answers])
        for answer in answers:
            print(f"{answer.input}\t{words(answer, top)}")


def words(answer: Prediction, top: int) -> str:
    """`dog 0.98`; the `top` likeliest labels or answers; the labels that are called; the entities; or the numbers."""
    if isinstance(answer.label, str | dict):
        likeliest = sorted(answer.scores.items(), key=lambda pair: -pair[1])[:top]
        best = [(name or "no answer", score) for name, score in likeliest]
    elif isinstance(answer.label, list) and answer.label and isinstance(answer.label[0], dict):
        best = [(f"{one['text']} {one.get('type', one.get('tag'))}", one["probability"]) for one in answer.label]
    elif isinstance(answer.label, list):
        best = [(name, answer.scores[name]) for name in answer.label]
    else:
        return "  ".join(f"{name} {value:.6g}" for name, value in answer.scores.items())
    return "  ".join(f"{name} {score:.3f}" for name, score in best) or "none"
