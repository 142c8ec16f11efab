"""What is minimised: the task's loss, a surrogate of its metric, penalties on weights, and worst-case inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headstart.core.card import AudioInput, ImageInput, Input
from headstart.core.config import TrainConfig
from headstart.core.errors import ConfigError
from headstart.core.task import Task
from headstart.data.modalities import MODALITIES
from headstart.data.modalities.base import Modality
from headstart.losses.adversarial import fgsm, freelb, pgd
from headstart.losses.penalties import elastic_net
from headstart.losses.soft_metrics import metric_term
from headstart.nn.entrance import entered, values_of
from headstart.nn.model import Model


@dataclass(frozen=True)
class Objective:
    """(1 - w) L(x) + w L(x_adversarial) + penalties, where L = task loss + alpha (1 - soft metric).

    penalty: of the method's phase. weight: (K,) class weights or None. contract: of the input, for an attack's region.
    """

    task: Task
    config: TrainConfig
    model: Model
    contract: Input
    penalty: Callable[[Model], Tensor] | None = None
    weight: Tensor | None = None

    @property
    def modality(self) -> Modality[Any, Any]:
        return MODALITIES[self.contract.modality]

    def __post_init__(self) -> None:
        require_fitting(self.task, self.config, self.contract)

    def backward(
        self, run: Callable[[Tensor], Tensor], batch: Tensor, targets: Tensor, backward: Callable[[Tensor], None]
    ) -> float:
        """Leave the gradients of a batch in the weights; the loss of the real inputs, penalties included.

        run: prepared inputs (B, ...) -> logits (B, K). backward: called with each scalar whose gradient is to be added.
        """
        settings, encoder = self.config.adversarial, self.model.encoder
        share = settings.weight if settings.attack != "none" else 0.0
        loss = (1 - share) * self._data_term(run(batch), targets) + self._penalties(batch.device)
        backward(loss)
        total = float(loss.detach())
        if share:
            real = values_of(encoder, batch)
            region = self.modality.region(batch, self.contract, settings.epsilon)

            def loss_of(values: Tensor) -> Tensor:
                return self._data_term(entered(encoder, run, batch, values), targets)

            if settings.attack == "freelb":
                hard = freelb(real, loss_of, lambda part: backward(share * part), region, settings.steps, settings.step)
            else:
                if settings.attack == "fgsm":
                    moved = fgsm(real, loss_of, region)
                else:
                    moved = pgd(real, loss_of, region, settings.steps, settings.step)
                hard = loss_of(moved)
                backward(share * hard)
            total += share * float(hard.detach())
        return total

    def _data_term(self, logits: Tensor, targets: Tensor) -> Tensor:
        weight = None if self.weight is None else self.weight.to(logits.device)
        loss = self.task.loss(logits, targets, weight=weight, smoothing=self.config.label_smoothing)
        if self.config.metric_term != "none":
            probabilities = logits.softmax(1) if self.task.kind == "single" else logits.sigmoid()
            loss = loss + self.config.metric_alpha * metric_term(self.config.metric_term, probabilities, targets)
        return loss

    def _penalties(self, device: torch.device) -> Tensor:
        total = torch.zeros((), device=device)
        if self.config.l1 or self.config.l2:
            total = total + elastic_net(self.model, self.config.l1, self.config.l2)
        if self.penalty is not None:
            total = total + self.penalty(self.model)
        return total


def require_fitting(task: Task, config: TrainConfig, contract: Input) -> None:
    """Raise ConfigError for options that a task or its items have no use for."""
    if task.kind == "number" and config.metric_term != "none":
        raise ConfigError(
            f"metric_term={config.metric_term} needs classes, the task predicts numbers. Use metric_term=none."
        )
    if task.kind == "number" and config.class_weighting == "balanced":
        raise ConfigError(
            "class_weighting=balanced needs classes, the task predicts numbers. Use class_weighting=none."
        )
    if contract.by_word and config.adversarial.attack != "none":
        raise ConfigError(
            f"adversarial.attack={config.adversarial.attack} moves whole texts, and here each word of a text "
            "is predicted. Use adversarial.attack=none."
        )
    if contract.by_word and config.augment.mixup:
        raise ConfigError(
            "augment.mixup blends whole texts, and here each word of a text is predicted. Use augment.mixup=0."
        )
    flat = isinstance(contract, ImageInput) or (isinstance(contract, AudioInput) and contract.mel)
    if config.augment.cutmix and not flat:
        raise ConfigError(
            "augment.cutmix pastes a part of one picture or spectrogram into another, and these items are of the "
            f"modality {contract.modality}, without either. Use augment.mixup, which blends anything."
        )
