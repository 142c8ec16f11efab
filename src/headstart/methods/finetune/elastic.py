"""The elastic net on the way from the pretrained weights: L1 keeps most weights in place, L2 keeps the others near
(Zou and Hastie 2005, around a starting point as in Li et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headstart.core.method import Loop, Method, Phase
from headstart.losses.penalties import elastic_net
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import require_not_negative, share_epochs, starting_point
from headstart.nn.model import Model


@dataclass(frozen=True)
class Elastic(Method):
    """l1: strength of the sum of absolute ways.
    l2: strength of half the sum of squared ways.
    towards: the source's weights ("start"), or "zero"; a new head is always drawn to zero.
    head: what training starts from, the probe's head or a new one of zeros.
    """

    name = "elastic"
    paper = "Zou and Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x"

    l1: float = 5e-6
    l2: float = 0.05
    towards: Literal["start", "zero"] = "start"
    head: HeadStart = "probe"

    def __post_init__(self) -> None:
        require_not_negative(l1=self.l1, l2=self.l2)

    def fit(self, model: Model, loop: Loop) -> None:
        start = starting_point(model) if self.towards == "start" else None
        (epochs,) = share_epochs(loop.config.epochs, [4])
        ready_head(model, loop, self.head)
        loop.train(
            Phase(
                "elastic",
                epochs,
                learning_rate=2e-4,
                weight_decay=0.0,
                batchnorm="freeze",
                penalty=lambda now: elastic_net(now, self.l1, self.l2, start),
            )
        )
