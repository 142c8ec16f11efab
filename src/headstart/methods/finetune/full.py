"""The textbook's fine-tuning: a new head on the source, and every weight trains from the first step."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import share_epochs
from headstart.nn.model import Model


@dataclass(frozen=True)
class Full(Method):
    """head: what training starts from, a new head of zeros or the probe's (that is what lp-ft does)."""

    name = "full"

    head: HeadStart = "zero"

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [5])
        ready_head(model, loop, self.head)
        loop.train(Phase("full", epochs, learning_rate=2e-4, head_learning_rate=2e-3, batchnorm="freeze"))
