"""Fine-tuning of the last blocks only: the first ones see edges and textures that serve any target (Yosinski 2014)."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import require_positive, share_epochs
from headstart.nn.model import Model


@dataclass(frozen=True)
class Partial(Method):
    """blocks: how many of the encoder's blocks train, counted from the output.
    head: what training starts from, the probe's head or a new one of zeros.
    """

    name = "partial"
    paper = "Yosinski et al. 2014, arXiv:1411.1792"

    blocks: int = 3
    head: HeadStart = "probe"

    def __post_init__(self) -> None:
        require_positive(blocks=self.blocks)

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [6])
        ready_head(model, loop, self.head)
        loop.train(Phase("partial", epochs, blocks=self.blocks, learning_rate=2e-4, batchnorm="freeze"))
