"""Sources: what can be reused, and what of it is on this machine.

headstart sources
headstart sources install efficientnet-lite1
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headstart.core.progress import Progress, Silent
from headstart.sources import catalog


def list_sources() -> list[dict[str, Any]]:
    """The card of every known source, with `"here"` (on this machine) and `"how"` (where, or how to bring it)."""
    return [entry.to_json() for entry in catalog.entries()]


def show_source(name: str) -> dict[str, Any]:
    """The same for any one source. Raises SourceError for a name that nothing has."""
    return catalog.show(name).to_json()


def install_sources(names: Iterable[str], *, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Bring packs to this machine; gives their rows. Raises SourceError, or OfflineError without a package index."""
    wanted = list(names)
    catalog.install(wanted, (progress or Silent()).say)
    return [show_source(name) for name in wanted]
