"""The linear probe: frozen features, and the best linear head for them (Alain and Bengio 2017).

Nothing of the encoder changes. Seconds where fine-tuning takes minutes, and hard to beat with little data: every other
method is judged against it, and most of them start from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from headstart.core.config import TrainConfig
from headstart.core.errors import ConfigError
from headstart.core.method import Loop, Method
from headstart.core.task import Task
from headstart.nn.linear import fit_linear, softening
from headstart.nn.model import Model

HeadStart = Literal["probe", "zero"]


@dataclass(frozen=True)
class Probe(Method):
    """folds: parts of the training data that judge the strength of the penalty in turn.
    criterion: what they judge it by; accuracy is what counts, log_loss says more with few items.
    """

    name = "probe"
    paper = "Alain and Bengio 2017, arXiv:1610.01644"

    folds: int = 5
    criterion: Literal["log_loss", "accuracy"] = "log_loss"

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ConfigError(f"method.folds={self.folds}: expected 2 or more.")

    def fit(self, model: Model, loop: Loop) -> None:
        probe_head(model, loop, self.folds, self.criterion)


def probe_head(
    model: Model,
    loop: Loop,
    folds: int = 5,
    criterion: Literal["log_loss", "accuracy"] = "log_loss",
    soft: bool = False,
) -> None:
    """Put the best linear head for the encoder as it is now on the model; the step is named "probe".

    folds, criterion: as of `Probe`. soft: divided by its `softening`, it decides as before, less surely.
    """

    def change() -> None:
        features, targets = loop.features("train")
        wanted, weights = in_output_units(loop.task, targets), balance(loop.config, loop.task, targets)
        fit = fit_linear(
            features,
            wanted,
            loop.task.kind,
            len(loop.task.outputs),
            groups=loop.groups("train"),
            weights=weights,
            folds=folds,
            criterion=criterion,
            seed=loop.seed,
        )
        by = softening(fit, features, wanted, loop.task.kind, weights) if soft else 1.0
        with torch.no_grad():
            model.head.weight.copy_(torch.from_numpy(fit.weight / by))
            model.head.bias.copy_(torch.from_numpy(fit.bias / by))
        loop.note("probe", {"C": fit.strength, "criterion": criterion, "curve": list(fit.curve.items())})

    loop.step("probe", change)


def ready_head(model: Model, loop: Loop, head: HeadStart) -> None:
    """The head that fine-tuning starts from: a soft probe's, or the new one as it is.

    The best probe has all but memorised a few hundred items; it leaves no gradient worth having, and what is left bends
    the features to no end. Made as unsure of its own items as it is of new ones, it is right as often, and leaves the
    encoder something to do.
    """
    if head == "probe":
        probe_head(model, loop, soft=True)


def in_output_units(task: Task, targets: np.ndarray) -> np.ndarray:
    """Targets as the head should give them: numbers in the units of the network's outputs, labels unchanged."""
    if task.kind != "number":
        return targets
    shape = (1, len(task.outputs))
    origin = task.scores(np.zeros(shape))
    scaled: np.ndarray = (targets - origin) / (task.scores(np.ones(shape)) - origin)
    return scaled


def balance(config: TrainConfig, task: Task, targets: np.ndarray) -> np.ndarray | None:
    """(N,) weights that give every class the same say, where the user asked for that."""
    if config.class_weighting != "balanced" or task.kind != "single":
        return None
    counts = np.bincount(targets, minlength=len(task.outputs))
    weights: np.ndarray = len(targets) / (np.count_nonzero(counts) * counts[targets])
    return weights
