"""BitFit: only biases, the affine weights of norms, and the head train (Ben Zaken et al. 2022).

Convolutional networks keep their biases in their norms, so "bias" here is every vector of the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import share_epochs
from headstart.nn.freeze import PREFIX
from headstart.nn.model import Model


@dataclass(frozen=True)
class BitFit(Method):
    """head: what training starts from, the probe's head or a new one of zeros."""

    name = "bitfit"
    paper = "Ben Zaken et al. 2022, arXiv:2106.10199"

    head: HeadStart = "probe"

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [6])
        ready_head(model, loop, self.head)
        loop.train(
            Phase(
                "bitfit",
                epochs,
                parameters=_is_bias_or_head,
                learning_rate=1e-3,
                weight_decay=0.0,
                batchnorm="freeze",
            )
        )


def _is_bias_or_head(name: str, parameter: nn.Parameter) -> bool:
    return not name.startswith(PREFIX) or name.endswith("bias") or parameter.ndim == 1
