"""No transfer: the same architecture from random weights, by a recipe of its own (longer, faster, more decay).

The honest opponent of every method here. The random weights come from the recipe, which sees `pretrained = False`.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.method import Loop, Method, Phase
from headstart.methods.shared import share_epochs
from headstart.nn.model import Model


@dataclass(frozen=True)
class Scratch(Method):
    """Takes no options of its own."""

    name = "scratch"
    pretrained = False

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [60])
        loop.train(Phase("scratch", epochs, learning_rate=2e-3, weight_decay=0.05, batchnorm="train"))
