"""What the transfer is held against: the same splits and kind of head, without the knowledge that was carried over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.progress import Progress
from headstart.core.source import Source
from headstart.core.types import Rows
from headstart.features.bank import FeatureBank
from headstart.methods import make_method
from headstart.methods.finetune.probe import in_output_units
from headstart.nn import boosting
from headstart.nn.encoder import Encoder
from headstart.nn.linear import Scaling, fit_linear
from headstart.nn.settle import settle_statistics
from headstart.recipes.encode import feature_bank
from headstart.recipes.models import make_loop, new_model
from headstart.recipes.prepare import Target
from headstart.recipes.recipe import Recipe
from headstart.sources import build
from headstart.training.randomness import derive

SETTLED_ON = 32
"""Items whose statistics the random network's batch norms take."""
SCRATCH_FEWEST_EPOCHS = 10
SCRATCH_MOST_EPOCHS = 200


@dataclass(frozen=True)
class Baseline:
    """name: as in `metrics.json`. scores: (N, K) on the test part. validation: its primary metric there.

    encoded: items that went through an encoder for it.
    """

    name: str
    description: str
    scores: np.ndarray
    validation: float
    seconds: float
    encoded: int = 0


def probe_baseline(target: Target, bank: FeatureBank, seed: int) -> Baseline:
    """The source's frozen features under a logistic regression: the transfer that anyone has for the asking."""
    return _linear("probe", "frozen features of the source, logistic regression", target, bank, seed)


def no_transfer_baselines(
    target: Target, source: Source, seed: int, *, random_network: bool = True
) -> tuple[Baseline, ...]:
    """What the same head makes of plain features (raw pixels, counts of words), what boosted trees make of a table's,
    and the head of the source's own network with random weights (where `random_network`; of pictures at half the
    resolution, a quarter of the cost).
    """
    modality, features = target.parts["train"].batches.modality, _plain(target)
    about = modality.about_plain(target.contract)
    trees = modality.trees and boosting.installed()
    hint = " (boosted trees, too, with headstart[tables])" if modality.trees and not trees else ""
    description = f"logistic regression on {about.words}{hint}"
    plain = [_linear(about.name, description, target, features.__getitem__, seed, about.scaling)]
    if trees:
        plain.append(_boosted(about.words, target, features, seed))
    if not random_network:
        return tuple(plain)
    bank = _random_network(target, source, seed)
    untrained = _linear(
        "random_network",
        "frozen features of the same network with random weights, logistic regression",
        target,
        bank,
        seed,
    )
    return (*plain, replace(untrained, encoded=bank.encoded))


def best_of(name: str, baselines: tuple[Baseline, ...]) -> Baseline:
    """The one that is best on validation data, under another name."""
    best = max(baselines, key=lambda b: b.validation)
    return replace(best, name=name, seconds=sum(b.seconds for b in baselines))


def scratch_baseline(
    recipe: Recipe, target: Target, source: Source, folder: Path, budget: float, progress: Progress
) -> tuple[Baseline, int]:
    """The same network from random weights, trained for as long as the transfer took (at least ten epochs); its epochs.

    budget: seconds. recipe.scratch_epochs, where it is set, goes before the clock.
    """
    started = time.perf_counter()
    model = new_model(source, target, recipe.seed, pretrained=False)
    epochs = recipe.scratch_epochs
    if epochs is None:
        epochs = _affordable_epochs(model, target, budget)
    config = recipe.train.model_copy(
        update={
            "epochs": epochs,
            "learning_rate": None,
            "head_learning_rate": None,
            "weight_decay": None,
            "optimizer": None,
            "layer_decay": None,
            "batchnorm": None,
            "early_stop": 0,
        }
    )
    loop = make_loop(model, target, config, recipe.seed, folder / "checkpoints" / "scratch", progress=progress)
    make_method("scratch", {}).fit(model, loop)
    logits = loop.logits(target.parts["test"].batches)
    baseline = Baseline(
        "scratch",
        f"the same network trained from random weights, {epochs} epochs",
        target.task.scores(logits),
        loop.validate(),
        time.perf_counter() - started,
    )
    return baseline, epochs


def _random_network(target: Target, source: Source, seed: int) -> FeatureBank:
    """Features of the source's own network before it learned anything."""
    card, train = source.card, target.parts["train"]
    first = range(min(SETTLED_ON, len(train)))

    def smaller(batch: Tensor) -> Tensor:
        return train.batches.modality.smaller(train.batches.prepare(batch))

    def load() -> Encoder:
        torch.manual_seed(derive(seed, "random weights"))
        encoder = build(card.architecture, card.input)
        settle_statistics(encoder, smaller(train.batches.evaluation(first)))
        return encoder

    about = {"weights": f"random, seed {seed}", "settled on": [train.digests[i] for i in first], "view": "half size"}
    return feature_bank(source, target.parts, load=load, prepare=smaller, about=about)


def _linear(
    name: str,
    description: str,
    target: Target,
    features: Callable[[str], Rows],
    seed: int,
    scaling: Scaling = "each",
) -> Baseline:
    started = time.perf_counter()
    train, task = target.parts["train"], target.task
    fitted = fit_linear(
        features("train"),
        in_output_units(task, train.targets),
        task.kind,
        len(task.outputs),
        groups=train.groups,
        scaling=scaling,
        seed=seed,
    )

    return _judged(name, description, target, lambda role: fitted.logits(features(role)), started)


def _boosted(words: str, target: Target, features: Mapping[str, np.ndarray], seed: int) -> Baseline:
    started = time.perf_counter()
    train, task = target.parts["train"], target.task
    wanted = in_output_units(task, train.targets)
    logits = boosting.fit_boosted(features["train"], wanted, task.kind, len(task.outputs), seed)
    description = f"gradient boosting (LightGBM, {boosting.ROUNDS} rounds) on {words}"
    return _judged("boosted trees", description, target, lambda role: logits(features[role]), started)


def _judged(
    name: str, description: str, target: Target, logits: Callable[[str], np.ndarray], started: float
) -> Baseline:
    task, validation = target.task, target.parts["validation"]
    value = 0.0
    if len(validation):
        value = task.metrics(validation.targets, task.scores(logits("validation")), validation.units)[task.primary]
    return Baseline(name, description, task.scores(logits("test")), value, time.perf_counter() - started)


def _plain(target: Target) -> dict[str, np.ndarray]:
    """(N, D) features of each part that owe nothing to a source."""
    first, *others = (
        [part.batches.item(i) for i in range(len(part))]
        for part in (target.parts[role] for role in ("train", "validation", "test"))
    )
    batches = target.parts["train"].batches
    found = batches.modality.plain(first, others, batches.contract)
    return dict(zip(("train", "validation", "test"), found, strict=True))


def _affordable_epochs(model: nn.Module, target: Target, budget: float) -> int:
    """Epochs of full training that fit in `budget` seconds, by timing one step of 16 items."""
    train = target.parts["train"]
    batch = train.batches.prepare(train.batches.evaluation([i % len(train) for i in range(16)])).to(
        next(model.parameters()).device
    )
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seconds = float("inf")
    model.train()
    for _ in range(2):
        started = time.perf_counter()
        model(batch).square().mean().backward()
        seconds = min(seconds, time.perf_counter() - started)
    model.zero_grad(set_to_none=True)
    model.load_state_dict(state)
    epochs = budget / (seconds * len(train) / 16)
    return int(min(max(epochs, SCRATCH_FEWEST_EPOCHS), SCRATCH_MOST_EPOCHS))
