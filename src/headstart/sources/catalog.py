"""What can be reused, listed without importing torch or any library of models."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.card import SourceCard
from headstart.core.source import Availability


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue."""

    card: SourceCard
    availability: Availability


def hub_card(name: str) -> SourceCard | None:
    return None


def available_packs() -> tuple[list[str], list[str]]:
    return [], []
