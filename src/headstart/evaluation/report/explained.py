"""The page about why a model answered as it did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.evaluation.explanation import Explanation
from headstart.evaluation.report.evidence import shown
from headstart.evaluation.report.write import write_page


def write_explanations(path: Path, explained: Sequence[Explanation], *, model: str) -> None:
    """Write one HTML file that needs nothing else, in the manner of `write_report`. model: as the user wrote it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(path, "explain.html", {"model": model, "rows": [shown(one) for one in explained]})
