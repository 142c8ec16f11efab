"""An L1 penalty on the way from the pretrained weights: most weights stay where they are, a few move (Li et al. 2018,
section 3: L1-SP). Towards zero instead, it is the lasso and prunes what the target does not need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headstart.core.method import Loop, Method, Phase
from headstart.losses.penalties import l1
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import require_not_negative, share_epochs, starting_point
from headstart.nn.model import Model


@dataclass(frozen=True)
class L1(Method):
    """strength: of the penalty, a weight's unit.
    towards: the source's weights ("start"), or "zero"; a new head is always drawn to zero.
    head: what training starts from, the probe's head or a new one of zeros.
    """

    name = "l1"
    paper = "Li et al. 2018, arXiv:1802.01483"

    strength: float = 1e-5
    towards: Literal["start", "zero"] = "start"
    head: HeadStart = "probe"

    def __post_init__(self) -> None:
        require_not_negative(strength=self.strength)

    def fit(self, model: Model, loop: Loop) -> None:
        start = starting_point(model) if self.towards == "start" else None
        (epochs,) = share_epochs(loop.config.epochs, [4])
        ready_head(model, loop, self.head)
        loop.train(
            Phase(
                "l1",
                epochs,
                learning_rate=2e-4,
                weight_decay=0.0,
                batchnorm="freeze",
                penalty=lambda now: l1(now, self.strength, start),
            )
        )
