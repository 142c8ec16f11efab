"""The page about what a network learned without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.core.card import SourceCard
from headstart.data.dataset import Finding
from headstart.evaluation.report import view
from headstart.evaluation.report.write import write_page


def write_pretrained(
    path: Path,
    *,
    title: str,
    run: str,
    source: SourceCard,
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    findings: Sequence[Finding],
    recipe: str,
) -> None:
    """Write one HTML file that needs nothing else, in the manner of `write_report`.

    title: the data's name. run: the folder as the user wrote it. source: what was pretrained. metrics: as in
    `metrics.json`, cost included. history: rows of the loop. findings: of the checks. recipe: the text of recipe.yaml.
    """
    values = {
        "title": title,
        "run": run,
        "source": source,
        "pretraining": view.pretraining(metrics["pretraining"]),
        "curves": view.curves(history),
        "findings": findings,
        "seconds": view.seconds(metrics["cost"]["seconds"]),
        "memory": f"{metrics['cost']['peak_memory_mb']:,.0f} MB",
        "parameters": f"{metrics['cost']['parameters_trained']:,}",
        "recipe": recipe,
    }
    write_page(path, "pretrained.html", values)
