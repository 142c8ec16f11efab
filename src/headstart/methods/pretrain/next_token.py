"""Language modelling: after each token of a text the network is asked for the next one (Radford et al. 2018; with a
recurrent network Merity et al. 2018).

The output layer is a dense layer, which changes nothing at first where it can, and the network's own table of token
vectors: a network that was trained so, with one table for both, is asked exactly what it knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.methods.pretrain.masked_tokens import log_frequencies
from headstart.methods.pretrain.pretext import Pretext, per_item, vocabulary_of
from headstart.nn.encoder import Encoder
from headstart.nn.pooling import real_tokens


class NextToken(Pretext):
    """For networks that read from left to right."""

    name: ClassVar[str] = "next-token"
    asks: ClassVar[Literal["token", "row"]] = "token"
    paper: ClassVar[str] = "Howard and Ruder 2018, arXiv:1801.06146"

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        table = vocabulary_of(encoder)
        self.bias = nn.Parameter(torch.zeros(table.num_embeddings))
        self.new = encoder.width != table.embedding_dim
        if self.new:
            nn.init.normal_(self.head.weight, std=encoder.width**-0.5)
        else:
            nn.init.eye_(self.head.weight)

    @staticmethod
    def answers(encoder: Encoder) -> int:
        return vocabulary_of(encoder).embedding_dim

    @staticmethod
    def misfit(encoder: Encoder) -> str:
        if encoder.vocabulary() is None:
            return "has no vocabulary of tokens"
        return "" if encoder.causal else "reads texts both ways, and would see the token that it is asked for"

    def begin(self, batches: Iterable[Tensor]) -> None:
        self.bias.data.copy_(log_frequencies(batches, self.bias))

    def ask(self, encoder: Encoder, batch: Tensor, generator: torch.Generator | None) -> Tensor:
        real = real_tokens(batch)[:, 1:]
        tokens = encoder(batch).tokens
        assert tokens is not None
        answers = self.head(tokens[:, :-1][real])
        logits = functional.linear(answers, vocabulary_of(self.encoder).weight, self.bias)
        losses = functional.cross_entropy(logits.float(), batch[:, 0, 1:][real], reduction="none")
        return per_item(losses, real.nonzero()[:, 0], len(batch))
