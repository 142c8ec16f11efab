"""Text networks among those of Hugging Face transformers: encoders that read both ways, and decoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from headstart.core.card import Architecture, TextInput
from headstart.core.errors import ConfigError, unknown_name
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.nn.pooling import POOLINGS, pool, real_tokens
from headstart.sources.stages import Stage, Stages

DECODERS = ("gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3")
MODEL_TYPES = (
    "albert",
    "bert",
    "camembert",
    "distilbert",
    "electra",
    "ernie",
    "modernbert",
    "mpnet",
    "roberta",
    "roformer",
    "xlm-roberta",
    *DECODERS,
)
OPTIONS = ("pooling", "segments")
"""Of an architecture, beside the network's own configuration."""

LENGTH = 256
"""Tokens that are seen of a text where nothing says otherwise: longer ones cost more than they tell."""


def usual_pooling(model_type: str) -> str:
    """The last token has seen the whole text in a decoder; elsewhere the mean needs no training to mean something."""
    return "last" if model_type in DECODERS else "mean"


class TextTransformer(Encoder):
    """A transformers text network.

    architecture.options: its configuration, "pooling" ("mean", "cls", "last"), and "segments": whether it is told which
    of two texts a token belongs to, as it is where nothing is said and it has vectors for that.

    A tanh pooler, trained to tell whether one sentence follows another, is left out. Padding is written over with the
    network's own padding token, from which some networks count positions.
    """

    def __init__(self, network: Any, architecture: Architecture, input: TextInput) -> None:
        super().__init__()
        if getattr(network, "pooler", None) is not None:
            network.pooler = None
        config = network.config
        config.use_cache = False
        self.network = network
        self.architecture = architecture
        self.input = input
        self.width = int(config.hidden_size)
        self.causal = architecture.name in DECODERS
        self._pooling = architecture.options.get("pooling", usual_pooling(architecture.name))
        if self._pooling not in POOLINGS:
            raise ConfigError(unknown_name("pooling", str(self._pooling), POOLINGS))
        self._pad = getattr(config, "pad_token_id", None) or 0
        self._segments = getattr(config, "type_vocab_size", 0) > 1 and architecture.options.get("segments", True)
        self._stages = Stages(network, layers_in_order(network))

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 2, T) int64, ids and segments -> pooled (B, D), tokens (B, T, D).

        A text without any token is read as one padding token.
        """
        real = real_tokens(batch)
        seen = real.clone()
        seen[:, 0] |= ~real.any(1)
        segments = {"token_type_ids": batch[:, 1].clamp(min=0)} if self._segments else {}
        ids = batch[:, 0].masked_fill(~real, self._pad)
        tokens = self.network(input_ids=ids, attention_mask=seen.long(), **segments).last_hidden_state
        return Features(pool(tokens, seen, self._pooling), tokens=tokens)

    def vocabulary(self) -> nn.Embedding:
        found: nn.Embedding = self.network.get_input_embeddings()
        return found

    def stages(self) -> tuple[str, ...]:
        return self._stages.names

    def stage_of(self, name: str) -> int:
        inner = name.removeprefix("network").removeprefix(".")
        return 0 if inner == "rotary_emb" else self._stages.of(inner)  # positions, registered behind the layers


def layers_in_order(network: nn.Module) -> list[Stage]:
    """The embeddings, then every layer. What follows the layers (a normalisation) goes with the last of them."""
    lists = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.ModuleList)]
    path, layers = max(lists, key=lambda item: sum(p.numel() for p in item[1].parameters()))
    stages: list[list[str]] = [[] for _ in range(len(layers) + 1)]
    for name, _ in network.named_parameters():
        if name.startswith(f"{path}."):
            stages[int(name.removeprefix(f"{path}.").partition(".")[0]) + 1].append(name)
        else:
            first = not stages[1] or isinstance(network.get_submodule(name.rpartition(".")[0]), nn.Embedding)
            stages[0 if first else -1].append(name)
    names = ["embeddings", *(f"{path}.{i}" for i in range(len(layers)))]
    return [Stage(name, tuple(parameters)) for name, parameters in zip(names, stages, strict=True)]


def length_of(config: Any, limits: Mapping[str, Any], said: int | None) -> int:
    """Tokens at most: what its authors say, else LENGTH, and never more than it has positions for.

    config: of the network. limits: the tokenizer's configuration. said: the length that sentence-transformers saved.
    """
    positions = getattr(config, "max_position_embeddings", None) or 8192
    if config.model_type in ("roberta", "camembert", "xlm-roberta", "mpnet"):
        positions -= 2  # they are counted from the one after the padding's
    return int(min(said or LENGTH, positions, limits.get("model_max_length") or positions))
