"""Masked language modelling (Devlin et al. 2019): words of a text are hidden, and asked for.

15 % of the words, each whole, are chosen; of their tokens 80 % become the mask token, 10 % a random one, and 10 % stay.
The output layer is BERT's: a dense layer, GELU, a normalisation, and the network's own table of token vectors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.core import assets
from headstart.core.card import TextInput
from headstart.data.tokens import mask_id, special_ids, tokenizer
from headstart.methods.pretrain.pretext import Pretext, per_item, vocabulary_of
from headstart.nn.encoder import Encoder
from headstart.nn.pooling import real_tokens

CHOSEN: Final = 0.15
HIDDEN, SWAPPED = 0.8, 0.1
_WORD_BEGINS: Final = ("\u2581", "\u0120")
"""How SentencePiece and byte-level tokenizers mark the token that a word begins with."""


class MaskedTokens(Pretext):
    """For networks that read both ways and have a mask token."""

    name: ClassVar[str] = "masked-tokens"
    asks: ClassVar[Literal["token", "row"]] = "token"
    paper: ClassVar[str] = "Devlin et al. 2019, arXiv:1810.04805"

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        table = vocabulary_of(encoder)
        nn.init.normal_(self.head.weight, std=encoder.width**-0.5)
        self.norm = nn.LayerNorm(table.embedding_dim)
        self.bias = nn.Parameter(torch.zeros(table.num_embeddings))
        contract = encoder.input
        assert isinstance(contract, TextInput)
        mask = mask_id(contract)
        assert mask is not None
        self._mask = mask
        self._known = tokenizer(contract).get_vocab_size()
        self.register_buffer("_special", _table(special_ids(contract), table.num_embeddings), persistent=False)
        self.register_buffer("_begins", word_begins(contract, table.num_embeddings), persistent=False)

    @staticmethod
    def answers(encoder: Encoder) -> int:
        return vocabulary_of(encoder).embedding_dim

    @staticmethod
    def misfit(encoder: Encoder) -> str:
        if not isinstance(encoder.input, TextInput) or encoder.vocabulary() is None:
            return "has no vocabulary of tokens"
        if encoder.causal:
            return "reads texts from left to right, and is asked for the next token instead"
        return "" if mask_id(encoder.input) is not None else "has no mask token"

    def begin(self, batches: Iterable[Tensor]) -> None:
        self.bias.data.copy_(log_frequencies(batches, self.bias))

    def ask(self, encoder: Encoder, batch: Tensor, generator: torch.Generator | None) -> Tensor:
        ids, real = batch[:, 0], real_tokens(batch)
        chosen = self._whole_words(ids, generator) & real & ~self._of("_special")[ids]
        draw = torch.rand(ids.shape, generator=generator, device=ids.device)
        other = torch.randint(self._known, ids.shape, generator=generator, device=ids.device)
        shown = torch.where(chosen & (draw < HIDDEN), self._mask, ids)
        shown = torch.where(chosen & (draw >= 1 - SWAPPED), other, shown)
        tokens = encoder(torch.stack([shown, batch[:, 1]], dim=1)).tokens
        assert tokens is not None
        answers = self.norm(functional.gelu(self.head(tokens[chosen])))
        logits = functional.linear(answers, vocabulary_of(self.encoder).weight, self.bias)
        losses = functional.cross_entropy(logits.float(), ids[chosen], reduction="none")
        return per_item(losses, chosen.nonzero()[:, 0], len(batch))

    def _whole_words(self, ids: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, T) bool, true for the tokens of the words that were chosen."""
        word = self._of("_begins")[ids].cumsum(1)
        drawn = torch.rand((len(ids), ids.shape[1] + 1), generator=generator, device=ids.device) < CHOSEN
        return drawn.gather(1, word)

    def _of(self, name: str) -> Tensor:
        found: Tensor = self.get_buffer(name)
        return found


def word_begins(contract: TextInput, size: int) -> Tensor:
    """(size,) bool, true for tokens with which a word begins: all of them where the tokenizer marks no words."""
    found = tokenizer(contract)
    names = {i: token for token, i in found.get_vocab().items()}
    model = json.loads(assets.read(contract.tokenizer))["model"]
    inside = model.get("continuing_subword_prefix") or ""
    marked = any(token.startswith(_WORD_BEGINS) for token in names.values())
    special = special_ids(contract)

    def begins(i: int) -> bool:
        token = names.get(i, "")
        if inside:
            return not token.startswith(inside)
        return not marked or token.startswith(_WORD_BEGINS) or i in special

    return torch.tensor([begins(i) for i in range(size)])


def log_frequencies(batches: Iterable[Tensor], like: Tensor) -> Tensor:
    """(V,) log of the share of each token in texts, had each been met once more: with it an output layer has only to
    learn what the context tells."""
    counts = torch.ones(len(like), dtype=torch.float64)
    for batch in batches:
        counts += torch.bincount(batch[:, 0][real_tokens(batch)].cpu(), minlength=len(like))
    return (counts / counts.sum()).log().to(like)


def _table(ids: Iterable[int], size: int) -> Tensor:
    """(size,) bool, true at `ids`."""
    found = torch.zeros(size, dtype=torch.bool)
    found[[i for i in ids if i < size]] = True
    return found
