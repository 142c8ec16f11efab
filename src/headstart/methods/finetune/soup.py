"""A greedy soup: the average of several fine-tuned networks (Wortsman et al. 2022b, algorithm 1).

Every run starts from the same probe, so the networks lie in one basin and their average is a network again. Ingredients
are the weights after every epoch of every run, and the probe itself. They are tried best first and kept while the
average of what is kept does not get worse on validation data, so the soup is never worse there than its best part.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headstart.core.method import Loop, Method, Phase
from headstart.methods.finetune.probe import ready_head
from headstart.methods.shared import require_positive, share_epochs
from headstart.nn.interpolate import average
from headstart.nn.model import Model


@dataclass(frozen=True)
class Soup(Method):
    """runs: how many fine-tunings from the probe, each with its own rate and its own order and views of the pictures.
    spread: each run's rate is this many times the one before; the middle one's is 2e-4.
    epochs: of each run.
    """

    name = "soup"
    paper = "Wortsman et al. 2022, arXiv:2203.05482"

    runs: int = 3
    spread: float = 2.0
    epochs: int = 3

    def __post_init__(self) -> None:
        require_positive(runs=self.runs, spread=self.spread, epochs=self.epochs)

    def fit(self, model: Model, loop: Loop) -> None:
        ready_head(model, loop, "probe")
        start = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        runs = [f"run-{i + 1}" for i in range(self.runs)]
        rates = [2e-4 * self.spread ** (i - (self.runs - 1) / 2) for i in range(self.runs)]
        epochs = share_epochs(loop.config.epochs, [self.epochs] * self.runs)
        for run, rate, passes in zip(runs, rates, epochs, strict=True):
            loop.step(f"before-{run}", lambda: _load(model, start))
            loop.train(Phase(run, passes, learning_rate=rate, batchnorm="freeze", keep_best=False, snapshots=True))

        def cook() -> None:
            _load(model, start)
            ingredients = [(loop.validate(), "probe", start)]
            for run in runs:
                found = enumerate(loop.snapshots(run), 1)
                ingredients += [(score, f"{run} epoch {epoch}", weights) for epoch, (score, weights) in found]
            ingredients.sort(key=lambda ingredient: -ingredient[0])
            best, first, weights = ingredients[0]
            kept, names = [weights], [first]
            for _, name, weights in ingredients[1:]:
                _load(model, average([*kept, weights]))
                score = loop.validate()
                if score >= best:
                    best, kept, names = score, [*kept, weights], [*names, name]
            _load(model, average(kept))
            loop.note("soup", {"kept": names, "tried": len(ingredients)})

        loop.step("soup", cook)


def _load(model: Model, weights: dict[str, Tensor]) -> None:
    model.load_state_dict(weights)
