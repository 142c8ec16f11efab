"""Gradual unfreezing from the top, with discriminative rates and slanted triangles (ULMFiT, Howard and Ruder 2018).

The blocks are parted into groups. The first phase trains the top group, each later phase one group more; in every phase
a group's rate is that of the group above divided by 2.6 (section 3.2 of the paper), rising shortly and falling long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from headstart.core.errors import ConfigError
from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import require_positive, share_epochs
from headstart.nn.freeze import weighted_blocks
from headstart.nn.model import Model


@dataclass(frozen=True)
class Gradual(Method):
    """groups: into how many parts the blocks are unfrozen, one after the other.
    factor: how much lower the rate is from a group to the one below it.
    last_epochs: epochs of the last phase, in which everything trains; every other phase has one.
    head: what training starts from: the probe's head, or a new one that first trains alone for an epoch.
    """

    name = "gradual"
    paper = "Howard and Ruder 2018, arXiv:1801.06146"

    groups: int = 4
    factor: float = 2.6
    last_epochs: int = 3
    head: HeadStart = "probe"

    def __post_init__(self) -> None:
        require_positive(groups=self.groups, last_epochs=self.last_epochs)
        if self.factor < 1:
            raise ConfigError(f"method.factor={self.factor}: expected 1 or more.")

    def fit(self, model: Model, loop: Loop) -> None:
        blocks = len(weighted_blocks(model))
        groups = min(self.groups, blocks)
        unfrozen = [math.ceil(blocks * i / groups) for i in range(1, groups + 1)]
        if self.head == "zero":
            unfrozen = [0, *unfrozen]
        ready_head(model, loop, self.head)
        epochs = share_epochs(loop.config.epochs, [1] * (len(unfrozen) - 1) + [self.last_epochs])
        for count, passes in zip(unfrozen, epochs, strict=True):
            loop.train(
                Phase(
                    f"top-{count}",
                    passes,
                    blocks=count,
                    learning_rate=2e-4,
                    head_learning_rate=5e-4,
                    layer_decay=self.factor ** (-groups / blocks),
                    schedule="slanted",
                    batchnorm="freeze",
                )
            )
