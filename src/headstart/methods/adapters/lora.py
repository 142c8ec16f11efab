"""LoRA: low-rank changes to frozen layers, merged into them in the end (Hu et al. 2022).

A layer W becomes W + alpha/rank * B A with B zero at first, and only A, B and the head train. Merged, the network has
the source's architecture and costs nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from headstart.core.errors import ConfigError
from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import require_positive, share_epochs
from headstart.nn import lora
from headstart.nn.freeze import PREFIX
from headstart.nn.model import Model


@dataclass(frozen=True)
class LoRA(Method):
    """rank: of each change.
    alpha: its scale is alpha over rank.
    dropout: on the input of each adapter, while training.
    blocks: how many of the encoder's blocks are adapted, counted from the output; all if left out.
    head: what training starts from, the probe's head or a new one of zeros.
    """

    name = "lora"
    paper = "Hu et al. 2022, arXiv:2106.09685"

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    blocks: int | None = None
    head: HeadStart = "probe"

    def __post_init__(self) -> None:
        require_positive(rank=self.rank, alpha=self.alpha, blocks=1 if self.blocks is None else self.blocks)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"method.dropout={self.dropout}: expected a number from 0 to below 1.")

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [5])
        ready_head(model, loop, self.head)
        # Wrapping and merging change the structure, not what is checkpointed: a resumed run does both again.
        lora.inject(model.encoder, self.rank, self.alpha, self.dropout, self.blocks, loop.seed)
        loop.train(
            Phase(
                "lora",
                epochs,
                parameters=_is_adapter_or_head,
                learning_rate=5e-4,
                weight_decay=0.0,
                batchnorm="freeze",
            )
        )
        lora.merge(model.encoder)


def _is_adapter_or_head(name: str, parameter: nn.Parameter) -> bool:
    return not name.startswith(PREFIX) or "lora_" in name
