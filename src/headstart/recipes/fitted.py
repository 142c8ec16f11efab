"""What a method, or the planner, ended with: one network or several that answer together, ready to be judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from headstart.core.card import SourceCard
from headstart.core.method import Choice
from headstart.data.dataset import Role
from headstart.features.bank import FeatureBank
from headstart.nn.device import Precision
from headstart.nn.linear import chunks
from headstart.nn.model import Model
from headstart.recipes.prepare import Part
from headstart.training.loop import TrainingLoop


@dataclass(frozen=True)
class Member:
    """One network of a model. parts: the target's, as this network is shown them. precision: it was judged in."""

    model: Model
    source: SourceCard
    parts: Mapping[Role, Part]
    precision: Precision


@dataclass(frozen=True)
class Fitted:
    """method: what it is called. members: their logits are summed where there are several.

    logits: (N, K) by part; "test" is looked at here for the first time. history, notes, parameters_trained: of the loop
    that trained it. choices: what else was tried.
    """

    method: str
    members: tuple[Member, ...]
    logits: Mapping[Role, np.ndarray]
    history: list[dict[str, Any]] = field(default_factory=list)
    notes: Mapping[str, Any] = field(default_factory=dict)
    parameters_trained: int = 0
    choices: tuple[Choice, ...] = ()

    @property
    def source_name(self) -> str:
        return " + ".join(member.source.name for member in self.members)


def final_logits(loop: TrainingLoop, bank: FeatureBank, role: Role, part: Part) -> np.ndarray:
    """(N, K) of the loop's model as it is now; from the bank's features where the encoder is still the source's."""
    if bank.holds(loop.model.encoder):
        with torch.inference_mode():
            head = loop.model.head.cpu().float()
            rows = [head(torch.from_numpy(part)).double().numpy() for _, part in chunks(bank(role))]
            loop.model.to(loop.device)
        return np.concatenate(rows) if rows else np.zeros((0, loop.model.head.out_features))
    return loop.logits(part.batches)
