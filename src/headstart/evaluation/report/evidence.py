"""What a page shows of an explanation."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from headstart.evaluation.blocks import share
from headstart.evaluation.explanation import Columns, Explanation, Seen, Words, answer_of, promise_of


def shown(one: Explanation, true: str | None = None) -> dict[str, Any]:
    """What `explained.html` names. true: the label that the item has, where that is known."""
    evidence = one.evidence
    picture = None if evidence is None else evidence.picture()
    return {
        "one": one,
        "true": true,
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
