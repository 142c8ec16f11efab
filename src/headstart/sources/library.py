"""What a library of architectures offers. Third parties add theirs by the entry-point group "headstart.libraries"."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.core.card import Architecture, Input
    from headstart.core.source import Source
    from headstart.nn.encoder import Encoder


@dataclass(frozen=True)
class Library:
    """build: an encoder with random weights, from the contract of its modality.

    source: the library's own pretrained weights of a name, not yet loaded.
    describe: architecture and preprocessing of a name, whatever weights it will get.
    """

    build: Callable[[Architecture, Any], Encoder]
    source: Callable[[str], Source]
    describe: Callable[[str], tuple[Architecture, Input]]


def closest(name: str, known: Collection[str]) -> list[str]:
    """The few of very many known names that a message about an unknown one should show."""
    return difflib.get_close_matches(name, known, n=6, cutoff=0.3) or sorted(known)[:6]
