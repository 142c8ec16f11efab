"""Where data is found from anywhere, and where a run goes for which nobody named a folder."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path


def absolute(data: str | Path) -> str:
    """A path as it is found from anywhere; names such as `hf:NAME` as they are."""
    text = str(data)
    return text if text.startswith("hf:") else str(Path(text).absolute())


def fresh_folder(name: str) -> Path:
    """`runs/<data>-<date>-<time>`, with a number behind where two begin in one second."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).name).strip("-.") or "run"
    base = Path("runs") / f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"
    return next(
        path for path in (base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 1000))) if not path.exists()
    )
