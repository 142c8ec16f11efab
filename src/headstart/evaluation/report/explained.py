"""The page about why a model answered as it did."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from headstart.evaluation.blocks import share
from headstart.evaluation.explanation import Columns, Explanation, Seen, Words, answer_of, promise_of
from headstart.evaluation.report.write import write_page


def write_explanations(path: Path, explained: Sequence[Explanation], *, model: str) -> None:
    """Write one HTML file that needs nothing else, in the manner of `write_report`. model: as the user wrote it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(path, "explain.html", {"model": model, "rows": [_row(one) for one in explained]})


def _row(one: Explanation) -> dict[str, Any]:
    evidence = one.evidence
    picture = None if evidence is None else evidence.picture()
    return {
        "one": one,
        "label": answer_of(one),
        "promise": promise_of(one),
        "photo": _jpeg(evidence) if isinstance(evidence, Seen) else None,
        "texts": [evidence.pieces(part) for part in range(len(evidence.texts))] if isinstance(evidence, Words) else [],
        "columns": _columns(evidence) if isinstance(evidence, Columns) else [],
        "picture": None if picture is None else base64.b64encode(picture).decode(),
    }


def _columns(evidence: Columns) -> list[tuple[str, Any, float, float]]:
    """Name, value, score and share of the strongest, strongest first."""
    strength = share([score for _, _, score in evidence.rows]).tolist()
    rows = [(*row, part) for row, part in zip(evidence.rows, strength, strict=True)]
    return sorted(rows, key=lambda row: -abs(row[3]))


def _jpeg(seen: Seen) -> str:
    out = io.BytesIO()
    Image.fromarray(seen.view).save(out, "JPEG", quality=85)
    return base64.b64encode(out.getvalue()).decode()
