"""Linear probing, then fine-tuning (Kumar et al. 2022).

From a new head the first gradients tear at features that were good; from the probe's head they are small, and the
features move only where it helps. Little data wants small rates, and the source's batch-norm statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import ready_head
from headstart.methods.shared import share_epochs
from headstart.nn.model import Model


@dataclass(frozen=True)
class LPFT(Method):
    """Takes no options of its own."""

    name = "lp-ft"
    paper = "Kumar et al. 2022, arXiv:2202.10054"

    def fit(self, model: Model, loop: Loop) -> None:
        (epochs,) = share_epochs(loop.config.epochs, [4])
        ready_head(model, loop, "probe")
        loop.train(Phase("fine-tune", epochs, learning_rate=2e-4, batchnorm="freeze"))
