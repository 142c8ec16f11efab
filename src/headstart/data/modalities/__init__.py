"""What an item can be: one file a modality. Everything else in headstart asks these, and knows no pixel and no word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.core.registry import Registry

if TYPE_CHECKING:
    from headstart.data.modalities.base import Modality

MODALITIES: Registry[Modality[Any, Any]] = Registry(
    "modality",
    {
        "audio": "headstart.data.modalities.audio:AUDIO",
        "image": "headstart.data.modalities.image:IMAGE",
        "table": "headstart.data.modalities.table:TABLE",
        "text": "headstart.data.modalities.text:TEXT",
    },
    group="headstart.modalities",
)
