"""How answers are explained: one file a modality."""

from __future__ import annotations

from headstart.core.registry import Registry
from headstart.recipes.explaining.base import Explainer

EXPLAINERS: Registry[Explainer] = Registry(
    "explanation",
    {
        "audio": "headstart.recipes.explaining.audio:explain_sound",
        "image": "headstart.recipes.explaining.image:explain_image",
        "table": "headstart.recipes.explaining.table:explain_row",
        "text": "headstart.recipes.explaining.text:explain_text",
    },
    group="headstart.explanations",
)
"""By modality."""
