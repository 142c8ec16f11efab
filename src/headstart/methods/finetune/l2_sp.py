"""L2-SP: the penalty pulls towards the pretrained weights instead of zero (Li et al. 2018).

loss + alpha/2 ||w_S - w0_S||^2 + beta/2 ||w_head||^2, S the encoder's weights (eq. 2). Running statistics are no
weights and stay out of it; ordinary weight decay is off.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.method import Loop, Method, Phase
from headstart.losses.penalties import l2_sp
from headstart.methods.finetune.probe import HeadStart, ready_head
from headstart.methods.shared import require_not_negative, share_epochs, starting_point
from headstart.nn.model import Model


@dataclass(frozen=True)
class L2SP(Method):
    """alpha: strength of the pull of the encoder towards the source's weights.
    beta: strength of the pull of the head towards zero.
    head: what training starts from, the probe's head or a new one of zeros.
    """

    name = "l2-sp"
    paper = "Li et al. 2018, arXiv:1802.01483"

    alpha: float = 0.1
    beta: float = 0.01
    head: HeadStart = "probe"

    def __post_init__(self) -> None:
        require_not_negative(alpha=self.alpha, beta=self.beta)

    def fit(self, model: Model, loop: Loop) -> None:
        start = starting_point(model)
        (epochs,) = share_epochs(loop.config.epochs, [4])
        ready_head(model, loop, self.head)
        loop.train(
            Phase(
                "l2-sp",
                epochs,
                learning_rate=2e-4,
                weight_decay=0.0,
                batchnorm="freeze",
                penalty=lambda now: l2_sp(now, start, self.alpha, self.beta),
            )
        )
