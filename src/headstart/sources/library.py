"""What a library of architectures offers. Third parties add theirs by the entry-point group "headstart.libraries"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.core.card import Architecture, ImageInput
    from headstart.core.source import Source
    from headstart.nn.encoder import Encoder


@dataclass(frozen=True)
class Library:
    """build: an encoder with random weights. source: the library's own pretrained weights of a name, not yet loaded."""

    build: Callable[[Architecture, ImageInput], Encoder]
    source: Callable[[str], Source]
