"""A frozen encoder with a head trained by gradient descent: as the probe, but on augmented pictures."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import share_epochs
from headstart.nn.model import Model


@dataclass(frozen=True)
class Head(Method):
    """head: what training starts from, the probe's head or a new one of zeros."""

    name = "head"

    head: HeadStart = "probe"

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [10])
        ready_head(model, loop, self.head)
        loop.train(Phase("head", epochs, blocks=0, learning_rate=1e-3))
