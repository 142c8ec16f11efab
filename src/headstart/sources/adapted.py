"""A source whose network has gone on to learn, without labels, before it is reused."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from headstart.core.card import SourceCard
from headstart.core.source import Availability, Output, Source
from headstart.nn.encoder import Encoder


@dataclass(frozen=True)
class Adapted(Source):
    """source: what it was. encoder: what it is now; it is never changed. sha256: over its weights.

    objective: how it learned. trained_on: from what, in words. output: the tensors of its output layer.
    """

    source: Source
    encoder: Encoder
    sha256: str
    objective: str
    trained_on: str
    output: Mapping[str, Tensor]

    @property
    def card(self) -> SourceCard:
        before = self.source.card
        now = f"{self.trained_on} ({self.objective})"
        return before.model_copy(
            update={
                "architecture": self.encoder.architecture,
                "width": self.encoder.width,
                "sha256": self.sha256,
                "trained_on": f"{before.trained_on}, then {now}" if before.pretrained else now,
                "pretrained": True,
                "notes": "",
                "source_accuracy": None,
            }
        )

    def availability(self) -> Availability:
        return Availability(True, "in memory")

    def load(self) -> Encoder:
        return copy.deepcopy(self.encoder)

    def output_layer(self) -> Output:
        return Output(self.objective, self.output)
