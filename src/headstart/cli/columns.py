"""Options that name the columns of a table; the same in every command that reads one."""

from __future__ import annotations

import typer

Input = typer.Option(
    None, "--input", metavar="COL", help="Column of a table with the texts, or the files; two, with a comma: pairs."
)
Label = typer.Option(None, "--label", metavar="COL", help="Column of the labels; several, with commas, for numbers.")
Group = typer.Option(None, "--group", metavar="COL", help="Column of what must stay together (a patient).")
Split = typer.Option(None, "--split", metavar="COL", help="Column of train, validation, test.")
