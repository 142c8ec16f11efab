"""Layer-wise learning-rate decay: every block learns a little slower than the one above it (Clark et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.errors import ConfigError
from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import share_epochs
from headstart.nn.model import Model


@dataclass(frozen=True)
class LayerDecay(Method):
    """decay: each block's rate is that of the block above it times this.
    head: what training starts from, the probe's head or a new one of zeros.
    """

    name = "llrd"
    paper = "Clark et al. 2020, arXiv:2003.10555"

    decay: float = 0.75
    head: HeadStart = "probe"

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise ConfigError(f"method.decay={self.decay}: expected a number above 0 and at most 1.")

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [4])
        ready_head(model, loop, self.head)
        loop.train(Phase("all", epochs, learning_rate=2e-4, layer_decay=self.decay, batchnorm="freeze"))
