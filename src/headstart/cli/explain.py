"""`headstart explain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headstart.cli.output import Json, print_json, tell
from headstart.cli.progress import Terminal

if TYPE_CHECKING:
    from headstart.evaluation.explanation import Explanation

EPILOG = "Example: headstart explain runs/mine photo.jpg --out why.html"


def command(
    model: Path = typer.Argument(..., metavar="MODEL", help="A run folder, or its model/."),
    inputs: list[str] = typer.Argument(..., metavar="INPUT...", help="Files, folders of them, or texts."),
    target: str = typer.Option(None, "--target", metavar="LABEL", help="Explain this label, not the one it gives."),
    method: str = typer.Option("auto", "--method", help="auto, grad-cam, integrated-gradients or occlusion."),
    out: Path = typer.Option(None, "--out", metavar="FILE.html", help="Write one page that shows all of them."),
    pictures: Path = typer.Option(None, "--pictures", metavar="FOLDER", help="Write a PNG of each into this folder."),
    as_json: bool = Json,
) -> None:
    """Show what in an input an answer rests on: the place in a picture or recording, the words of a text."""
    with Terminal() as progress:
        from headstart.recipes.explain import explain

        found = explain(model, inputs, target=target, method=method, out=out, pictures=pictures, progress=progress)
    for one in found:
        tell(words(one), as_json=as_json)
    for written in (out, pictures):
        if written is not None:
            tell(f"written: {written}", as_json=as_json)
    if as_json:
        print_json([one.to_json() for one in found])


def words(one: Explanation) -> str:
    """The answer, what is explained and how; then where it is or which words they are."""
    from headstart.evaluation.explanation import answer_of, promise_of

    head = f"{one.input}: {answer_of(one)}\n  why {one.target} ({promise_of(one)}):"
    if one.evidence is None:
        return f"{head} {one.refused}."
    return "\n".join([head, *(f"  | {line}" for line in one.evidence.lines())])
