"""A recurrent network for texts: nothing is pretrained for it but what headstart itself made of some texts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headstart.core import assets
from headstart.core.card import Architecture, SourceCard, TextInput
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Source
from headstart.sources import build

if TYPE_CHECKING:
    from headstart.nn.encoder import Encoder

NETWORKS: Final = ("lstm",)
VOCABULARY: Final = 8000
"""Tokens of a tokenizer that is made for it, at most."""
NO_TEXTS: Final = TextInput(tokenizer=hashlib.sha256(b"").hexdigest(), length=256)
"""The contract of a network that has met no texts yet, and so has no tokens."""


@dataclass(frozen=True)
class RecurrentNetwork(Source):
    """An architecture with random weights, one of NETWORKS. input: with a tokenizer of its texts; none until it
    has some."""

    name: str
    input: TextInput = NO_TEXTS

    @property
    def card(self) -> SourceCard:
        return SourceCard(
            name=self.name,
            modality="text",
            architecture=Architecture(
                library="headstart",
                name=self.name,
                options={"vocabulary": 0 if self.input == NO_TEXTS else _tokens_of(self.input)},
            ),
            input=self.input,
            license="Apache-2.0",
            trained_on="nothing (random weights)",
            origin="headstart",
            paper="Merity et al. 2018, arXiv:1708.02182",
            notes="Random weights: there is nothing to transfer until it was pretrained (headstart pretrain).",
            pretrained=False,
        )

    def availability(self) -> Availability:
        return Availability(True, "made from nothing")

    def load(self) -> Encoder:
        """Random weights, the same every time."""
        card = self.card
        if self.input == NO_TEXTS:
            raise SourceError(f"{self.name} takes the tokens of texts and has none yet. Pretrain it on some first.")
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(card.architecture, card.input)


def _tokens_of(contract: TextInput) -> int:
    """How many tokens a tokenizer tells apart."""
    found = json.loads(assets.read(contract.tokenizer))
    added = (token["id"] for token in found["added_tokens"])
    return 1 + max(int(number) for number in (*found["model"]["vocab"].values(), *added))
