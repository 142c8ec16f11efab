"""Options that name the columns of a table; the same in every command that reads one."""

from __future__ import annotations

from enum import StrEnum

import typer


class Standardise(StrEnum):
    source = "source"
    cohort = "per-cohort"


Input = typer.Option(
    None,
    "--input",
    metavar="COL",
    help="Column of a table with texts or files; two, with a comma: pairs; of numbers and categories: 'a,b,gene_*'.",
)
Label = typer.Option(None, "--label", metavar="COL", help="Column of the labels; several, with commas, for numbers.")
Group = typer.Option(None, "--group", metavar="COL", help="Column of what must stay together (a patient).")
Slice = typer.Option(
    None, "--slice", metavar="COL", help="Give every metric by the values of this column, or by group, domain or class."
)
Split = typer.Option(None, "--split", metavar="COL", help="Column of train, validation, test.")
By = typer.Option(
    Standardise.source, "--standardise", help="A table's numbers as the model was trained, or by these very rows."
)
