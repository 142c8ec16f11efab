"""What a model's authors say of it in the front matter of its README.md, as the Hugging Face hub defines it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

NOT_STATED = "not stated"
MOST = 200
"""Letters of an answer: it is one line of a card."""


@dataclass(frozen=True)
class Stated:
    """Each "not stated" where its authors do not say."""

    license: str = NOT_STATED
    languages: str = NOT_STATED
    trained_on: str = NOT_STATED


def read(path: Path | None) -> Stated:
    """path: of a README.md, None where there is none. What cannot be read states nothing."""
    front = _front(path) if path is not None else {}
    license = _words(front.get("license"))
    named = _words(front.get("license_name")) or _words(front.get("license_link"))
    base, data = _words(front.get("base_model")), _words(front.get("datasets"))
    trained_on = " on ".join(part for part in (f"{base}, trained further" if base else "", data) if part)
    return Stated(
        license=(named if license == "other" else license) or license or NOT_STATED,
        languages=_words(front.get("language")) or NOT_STATED,
        trained_on=trained_on or NOT_STATED,
    )


def _front(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        if lines and lines[0].strip() == "---":
            found = yaml.safe_load("\n".join(_until_rule(lines[1:])))
            return found if isinstance(found, dict) else {}
    return {}


def _until_rule(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.strip() == "---":
            return
        yield line


def _words(value: Any) -> str:
    """One line: of a list its items; it cannot end a code span in a card."""
    if value is False:  # the language code of Norwegian, to YAML
        value = "no"
    parts = [_words(part) for part in value] if isinstance(value, list) else [str(value or "")]
    line = ", ".join(" ".join(part.split()) for part in parts if part.strip()).replace("`", "'")
    return line if len(line) <= MOST else line[: MOST - 1] + "…"
