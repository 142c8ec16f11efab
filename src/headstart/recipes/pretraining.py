"""Learning from items without labels, checkpointed as any training: what `headstart pretrain` does, and what `fit` does
first where `pretrain.epochs` says so."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from headstart.core.card import Input
from headstart.core.config import AugmentConfig, TrainConfig
from headstart.core.errors import ConfigError, DataError
from headstart.core.progress import Progress
from headstart.core.source import Source
from headstart.core.types import Interval
from headstart.data.dataset import Dataset, Finding
from headstart.data.loader import Batches
from headstart.data.modalities import MODALITIES
from headstart.data.splits import assign_splits
from headstart.data.survey import survey
from headstart.methods.pretrain import PRETEXTS
from headstart.methods.pretrain.pretext import Pretext, SelfSupervision, learn, read_output
from headstart.metrics.intervals import bootstrap
from headstart.metrics.resampling import Metrics
from headstart.nn.device import Precision
from headstart.nn.encoder import Encoder
from headstart.recipes.encode import weights_digest
from headstart.sources.adapted import Adapted
from headstart.training.loop import Split, TrainingLoop
from headstart.training.randomness import derive

HELD_OUT: Final = 0.1
MOST_HELD_OUT: Final = 1000
FIRST, AGAIN, ONWARD = 2e-3, 1e-3, 1e-4
"""Rates: of random weights, of what headstart pretrained, of a network that others did."""


@dataclass(frozen=True)
class Raw:
    """Items without labels, divided. groups: of the held-out items, or None. left_out: further items that are too much
    like one that validates or tests. findings: of the checks."""

    name: str
    train: Batches
    held_out: Batches
    groups: np.ndarray | None
    fingerprint: str
    left_out: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Pretrained:
    """What came of it. before, after, gain: mean loss on held-out items, and by how much it fell.

    before: of the network as it came, under an output layer that had learned to read it.

    history: rows of the loop. parameters: how many trained. precision: in which it was judged.
    """

    source: Adapted
    raw: Raw
    asks: str
    epochs: int
    before: Interval
    after: Interval
    gain: Interval
    history: Sequence[Mapping[str, Any]] = field(default_factory=list)
    parameters: int = 0
    precision: Precision = "float32"

    def to_json(self) -> dict[str, Any]:
        """As in `metrics.json`."""
        return {
            "objective": self.source.objective,
            "data": self.raw.name,
            "n": {"train": len(self.raw.train), "held_out": len(self.raw.held_out), "left_out": self.raw.left_out},
            "epochs": self.epochs,
            "before": self._told(self.before),
            "after": self._told(self.after),
            "gain": self.gain.to_json(),
            "loss_of": f"a {self.asks}",
        }

    def _told(self, loss: Interval) -> dict[str, dict[str, float]]:
        told = {"loss": loss.to_json()}
        if self.asks == "token":
            low, value, high = np.exp(np.minimum([loss.low, loss.value, loss.high], 100)).tolist()
            told["perplexity"] = Interval(value, low, high).to_json()
        return told


def objective_of(encoder: Encoder, name: str, source: str) -> type[Pretext]:
    """What the network is asked. name: of PRETEXTS, or "auto". Raises ConfigError where it can be asked nothing."""
    if name != "auto":
        if why := PRETEXTS[name].misfit(encoder):
            raise ConfigError(f"{source} cannot learn by {name}: it {why}. Use pretrain.objective=auto.")
        return PRETEXTS[name]
    for candidate in PRETEXTS.values():
        if not candidate.misfit(encoder):
            return candidate
    noun = MODALITIES[encoder.input.modality].noun
    raise ConfigError(
        f"{source} takes {noun}s in a way that nothing can be learned from without labels: that is built for texts "
        "(networks with a mask token, or that read from left to right) and for rows of tables. Leave out "
        "pretrain.epochs, or choose another source (headstart sources)."
    )


def gather(
    own: Dataset, contract: Input, *, seed: int, more: Sequence[Dataset] = (), away: Sequence[Dataset] = ()
) -> Raw:
    """Items to learn from, without their labels; a tenth, 1,000 at most, is held out.

    own: items that may be seen. more: further ones; those that are equal, or nearly equal, to an item of `away` are
    left out. Raises DataError for items that cannot be read, or of another modality.
    """
    for one in more:
        if one.modality != own.modality:
            raise DataError(
                f"{one.name} holds {MODALITIES[one.modality].plural}, and {own.name} "
                f"{MODALITIES[own.modality].plural}. Give pretrain.data more of the same kind."
            )
    parts = [own, *more, *(away if more else ())]
    renamed = [
        replace(i, id=f"{k}: {i.id}", label=None, split=None) for k, part in enumerate(parts) for i in part.items
    ]
    whole = replace(own, kind="none", items=tuple(renamed), targets=(), findings=())
    tuple(MODALITIES[contract.modality].fits(whole, contract))  # raises where a network cannot take them
    seen = survey(whole, contract, for_training=False)
    seen.require_sound()
    end_own, end = len(own), len(own) + sum(map(len, more))
    near_away = {i for group in seen.near_duplicate_groups if max(group) >= end for i in group}
    wanted = [i for i in range(end) if i < end_own or i not in near_away]
    place = {old: new for new, old in enumerate(wanted)}
    alike = [[place[i] for i in group if i in place] for group in seen.near_duplicate_groups]
    share = min(HELD_OUT, MOST_HELD_OUT / len(wanted))
    digests = [seen.digests[i] for i in wanted]
    divided = assign_splits(
        whole.take(wanted),
        digests,
        seed=seed,
        near_duplicate_groups=[group for group in alike if group],
        fractions=(1 - share, share / 2, share / 2),
    )
    held = divided.where(lambda item: item.split != "train")
    groups = [item.group for item in held.items]
    name = " and ".join(dict.fromkeys(part.name for part in (own, *more)))
    return Raw(
        name,
        Batches(divided.split("train"), seen.kept, contract),
        Batches(held, seen.kept, contract),
        np.array([g if g is not None else f"item {i}" for i, g in enumerate(groups)]) if any(groups) else None,
        divided.fingerprint(digests),
        end - len(wanted),
        seen.warnings,
    )


def pretrain_on(
    raw: Raw,
    source: Source,
    encoder: Encoder,
    train: TrainConfig,
    *,
    seed: int,
    folder: Path,
    record: Callable[[dict[str, Any]], None],
    progress: Progress,
) -> Pretrained:
    """Let a copy of `encoder`, the network of `source`, learn from the items. folder: of checkpoints; what is found
    there is taken up."""
    config, card = train.pretrain, source.card
    kind = objective_of(encoder, config.objective, card.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "output layer"))
        model = kind(copy.deepcopy(encoder))
    known = source.output_layer()
    known = known if known is not None and known.objective == kind.name else None
    if known is not None:
        model.take_up(known.tensors)
    elif model.new:
        model.begin(raw.train.prepare(batch) for batch in raw.train.evaluations())
    loop = TrainingLoop(
        model,
        SelfSupervision(kind.name, encoder.input.modality),
        _settings(train),
        *(Split(part, np.zeros((len(part), 1), np.float32)) for part in (raw.train, raw.held_out)),
        seed=derive(seed, "pretraining"),
        folder=folder,
        record=record,
        progress=progress,
    )
    progress.stage(f"pretraining: {kind.name}")
    if card.pretrained:
        read_output(model, loop)
    before = loop.logits(raw.held_out)
    rate = config.learning_rate or (ONWARD if card.pretrained and known is None else AGAIN if known else FIRST)
    learn(loop, config.epochs, rate)
    after = loop.logits(raw.held_out)
    model.cpu()
    was, now, gain = _judged(before, after, raw.groups, seed)
    adapted = Adapted(
        source, model.encoder, weights_digest(model.encoder), kind.name, raw.name, _on_cpu(model.output_layer())
    )
    return Pretrained(
        source=adapted,
        raw=raw,
        asks=kind.asks,
        epochs=config.epochs,
        before=was,
        after=now,
        gain=gain,
        history=loop.history,
        parameters=loop.parameters_trained,
        precision=loop.precision,
    )


def _settings(train: TrainConfig) -> TrainConfig:
    """Of the loop: what the user says of the method's training is not meant for this."""
    return TrainConfig(
        batch_size=train.pretrain.batch_size,
        precision=train.precision,
        checkpoint_seconds=train.checkpoint_seconds,
        cached_views=0,
        augment=AugmentConfig(policy="none"),
    )


def _judged(
    before: np.ndarray, after: np.ndarray, groups: np.ndarray | None, seed: int
) -> tuple[Interval, Interval, Interval]:
    """Mean loss before, after, and its fall. before, after: (N, 2), as a Pretext gives them."""

    def means(counts: np.ndarray) -> Metrics:
        first, second = ((part.T @ counts) for part in (before, after))
        was, now = (sums[0] / np.maximum(sums[1], 1) for sums in (first, second))
        return {"before": was, "after": now, "gain": was - now}

    found = bootstrap(means, len(before), groups=groups, seed=seed)
    return found["before"], found["after"], found["gain"]


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
