"""How answers are explained: one file a modality."""

from __future__ import annotations

from headstart.core.registry import Registry
from headstart.recipes.explaining.base import Explainer

EXPLAINERS: Registry[Explainer] = Registry(
    "explanation",
    {
        "image": "headstart.recipes.explaining.image:explain_image",
    },
    group="headstart.explanations",
)
"""By modality."""
