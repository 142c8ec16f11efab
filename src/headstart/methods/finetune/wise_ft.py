"""WiSE-FT: fine-tune, then go part of the way back (Wortsman et al. 2022a).

The line from the source with its probe's head to the fine-tuned network holds networks that are often better than both
ends. The point on it is chosen on validation data.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import ready_head
from headstart.methods.shared import require_positive, share_epochs
from headstart.nn.interpolate import interpolate
from headstart.nn.model import Model


@dataclass(frozen=True)
class WiSEFT(Method):
    """points: the line is looked at in so many steps, both ends included."""

    name = "wise-ft"
    paper = "Wortsman et al. 2022, arXiv:2109.01903"

    points: int = 10

    def __post_init__(self) -> None:
        require_positive(points=self.points)

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [4])
        ready_head(model, loop, "probe")
        start = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        loop.train(Phase("fine-tune", epochs, learning_rate=2e-4, batchnorm="freeze", keep_best=False))

        def mix() -> None:
            end = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            scores: dict[float, float] = {}
            for i in range(self.points + 1):
                share = i / self.points
                model.load_state_dict(interpolate(start, end, share))
                scores[share] = loop.validate()
            # Where validation cannot tell, the middle is the safest guess (section 4 of the paper).
            best = max(scores, key=lambda share: (scores[share], -abs(share - 0.5)))
            model.load_state_dict(interpolate(start, end, best))
            loop.note("wise-ft", {"share of the fine-tuned network": best, "curve": list(scores.items())})

        loop.step("mix", mix)
