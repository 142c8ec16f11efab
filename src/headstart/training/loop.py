"""One training loop for every method, task and modality; killed and resumed, it ends in the same weights."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from headstart.core.config import AugmentConfig, TrainConfig
from headstart.core.errors import ConfigError, InternalError, unknown_name
from headstart.core.method import Phase
from headstart.core.passages import Units
from headstart.core.progress import Progress, Silent
from headstart.core.task import Task
from headstart.core.types import Rows
from headstart.data.loader import Batches, prefetch
from headstart.data.transforms.mix import Mixup, mix, softened
from headstart.features.bank import FeatureBank
from headstart.features.extract import BATCH, extract, trusted_precision
from headstart.nn import freeze
from headstart.nn.depthwise import FastDepthwise
from headstart.nn.device import Precision, autocast, best_device, resolve_precision
from headstart.nn.encoder import Encoder
from headstart.nn.entrance import pooled_through
from headstart.nn.fuse import fused
from headstart.nn.memory import keep_freed_memory, release_freed_memory
from headstart.nn.model import Model
from headstart.nn.truncate import cut
from headstart.training import checkpoint
from headstart.training.activations import Activations, worthwhile
from headstart.training.objective import Objective, require_fitting
from headstart.training.optim import make_optimizer
from headstart.training.randomness import derive, permutation
from headstart.training.rates import largest_batch, range_test
from headstart.training.schedule import make_schedule

SAMPLE = 256
"""Items whose lengths stand for those of all."""

SplitName = Literal["train", "validation"]
LOWER_IS_BETTER = frozenset({"log_loss", "ece", "mse", "mae", "rmse", "hamming", "loss"})


@dataclass(frozen=True)
class Split:
    """What the loop may see of a part of the data: never the test part.

    targets: as `Task.encode` gives them. groups: (N,) or None. units: which rows a batch has together, if any.
    """

    batches: Batches
    targets: np.ndarray
    groups: np.ndarray | None = None
    units: Units | None = None

    def __len__(self) -> int:
        """Items that a batch is filled with."""
        return len(self.targets) if self.units is None else len(self.units)

    def rows(self, items: Sequence[int]) -> list[int]:
        """Of these items, in order."""
        found: list[int] = list(items) if self.units is None else self.units.every(items).tolist()
        return found


@dataclass
class _Progress:
    """Where a phase stands; everything that a checkpoint must hold beside tensors.

    best_score, best_step: with the start, step 0. trained_score: without it. stale: epochs since that was last passed;
    a start that is good, from a probe's head, is left behind for a while before anything better is reached.
    """

    step: int = 0
    trained_score: float = -math.inf
    best_score: float = -math.inf
    best_step: int = 0
    stale: int = 0
    stopped: bool = False
    seconds: float = 0.0
    running_loss: float = 0.0
    decided: dict[str, Any] = field(default_factory=dict)


class TrainingLoop:
    """Implements `headstart.core.method.Loop`.

    folder: where checkpoints go; what is found there is taken up. record: called with one flat row an epoch.
    precision: what `fitting_precision` gave; None asks it.
    bank: frozen features of the source's encoder, so that methods and baselines share one extraction.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        config: TrainConfig,
        train: Split,
        validation: Split,
        *,
        seed: int,
        folder: Path,
        record: Callable[[dict[str, Any]], None] | None = None,
        progress: Progress | None = None,
        device: torch.device | None = None,
        precision: Precision | None = None,
        bank: FeatureBank | None = None,
    ) -> None:
        keep_freed_memory()
        self.device = device or best_device()
        self.model = model.to(self.device).to(memory_format=torch.channels_last)
        self.task = task
        self.config = config
        self.parts: dict[SplitName, Split] = {"train": train, "validation": validation}
        self.folder = folder
        self.notes: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.parameters_trained = 0
        self.steps_done = 0
        self._seed = seed
        self._record = record or (lambda row: None)
        self._progress = progress or Silent()
        self._bank = bank
        self._names: list[str] = []
        self._activations: Activations | None = None
        require_fitting(task, config, model.encoder.input)
        self._balance = class_weights(task, train.targets) if config.class_weighting == "balanced" else None
        require_monitor(task, config, validation.targets, validation.units)
        self.precision = precision or fitting_precision(model.encoder, train.batches, config.precision, self.device)
        AcceleratorState._reset_state(True)
        mixed = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}[self.precision]
        self._accelerator = Accelerator(mixed_precision=mixed, cpu=self.device.type == "cpu")

    # -- what a method may ask for ---------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        return self._seed

    def note(self, name: str, value: Any) -> None:
        self.notes[name] = value

    def groups(self, split: SplitName) -> np.ndarray | None:
        return self.parts[split].groups

    def features(self, split: SplitName) -> tuple[Rows, np.ndarray]:
        part = self.parts[split]
        if self._bank is not None and self._bank.holds(self.model.encoder):
            return self._bank(split), part.targets
        rows = extract(
            self.model.encoder,
            part.batches.evaluations(),
            self._prepare,
            device=self.device,
            precision=self.precision,
        )
        return np.concatenate([np.zeros((0, self.model.encoder.width), np.float32), *rows]), part.targets

    def logits(self, batches: Batches) -> np.ndarray:
        """(N, K) float64 raw outputs of the model as it is now, on the evaluation view."""
        return self._logits(self._ready(batch) for batch in batches.evaluations())

    def _logits(self, inputs: Iterable[Tensor]) -> np.ndarray:
        self.model.eval()
        rows = []
        network: Encoder | None = self.model.encoder if self._activations else None
        with torch.inference_mode():
            for batch in inputs:
                network = network or fused(self.model.encoder, batch[:1])
                with autocast(self.device, self.precision):
                    rows.append(self.model.through(network, batch).double().cpu().numpy())
        return np.concatenate(rows) if rows else np.zeros((0, len(self.task.outputs)))

    def validate(self) -> float:
        score, _ = self._judge()
        return score

    def snapshots(self, phase: str) -> Sequence[tuple[float, dict[str, Tensor]]]:
        found = sorted(self.folder.glob(f"*-{phase}.epoch*.safetensors"))
        loaded = [checkpoint.load(path) for path in found]
        return [(facts["score"], self._on_device(tensors)) for tensors, facts in loaded]

    def step(self, name: str, change: Callable[[], None]) -> None:
        place = self._enter(name)
        if self._take_up(place):
            return
        started = time.perf_counter()
        torch.manual_seed(derive(self._seed, name))
        change()
        self.seconds += time.perf_counter() - started
        self._leave(place)

    def train(self, phase: Phase) -> None:
        place = self._enter(phase.name)
        if not self._take_up(place):
            if phase.epochs > 0:
                self._run(phase)
            self._leave(place)

    # -- one phase -------------------------------------------------------------------------------------------

    def _run(self, phase: Phase) -> None:
        config, train = self.config, self.parts["train"]
        self.model.dropout.p = config.dropout
        freeze.apply(self.model, self._settled(phase))
        state = _Progress()
        current = self._current()
        tensors: dict[str, Tensor] = {}
        others: dict[str, Any] = {}
        if current is not None:
            tensors, facts = current
            others, state = facts["optimizer"], _Progress(**facts["progress"])
            self._restore(facts)
            self.model.load_state_dict(_under("model.", tensors))
        else:
            state.decided = self._decide(phase)
        settings = self._settled(phase, state.decided)
        chosen = freeze.select(self.model, settings)
        self.parameters_trained = max(self.parameters_trained, sum(p.numel() for p in chosen.values()))
        optimizer = make_optimizer(self._optimizer_name(phase), self._parameter_groups(settings), config.momentum)
        if tensors:
            checkpoint.unpack_optimizer(optimizer, tensors, others)
        base_rates = [group["lr"] for group in optimizer.param_groups]
        prepared = self._accelerator.prepare_optimizer(optimizer)
        if self._accelerator.scaler is not None and "scaler" in others:
            self._accelerator.scaler.load_state_dict(json.loads(others["scaler"]))
        schedule = make_schedule(self._schedule_name(phase), config.warmup)
        objective = self._objective(settings)

        per_step = int(state.decided["batch_size"]) * config.accumulate
        per_epoch = max(1, math.ceil(len(train) / per_step))
        total = per_epoch * phase.epochs
        average = (
            _under("ema.", tensors)
            if tensors
            else {n: p.detach().clone() for n, p in chosen.items()}
            if config.ema
            else {}
        )
        average = self._on_device(average)
        best = self._on_device(_under("best.", tensors))
        keep_best = phase.keep_best and len(self.parts["validation"]) > 0
        freeze.apply(self.model, settings)
        self._activations = self._kept_activations(settings, phase.epochs)
        if not tensors and keep_best:
            state.best_score, _ = self._judge()
            best = self._weights()
        freeze.apply(self.model, settings)
        started = time.perf_counter() - state.seconds
        saved = time.perf_counter()
        fetches = (self._fetch(settings, step, per_epoch) for step in range(state.step, 0 if state.stopped else total))
        work = (fetch() for fetch in fetches) if self._activations else prefetch(fetches)
        with contextlib.closing(work):
            for pixels, targets in work:
                step = state.step
                torch.manual_seed(derive(self._seed, phase.name, "step", step))
                factor = schedule((step + 0.5) / total)
                for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
                    group["lr"] = rate * factor
                prepared.zero_grad(set_to_none=True)
                loss = 0.0
                for part in torch.arange(len(pixels)).chunk(config.accumulate):
                    share = len(part) / len(pixels)
                    loss += share * self._backward(
                        objective, pixels[part], targets[part], share, phase.name, step, int(part[0])
                    )
                if config.clip > 0:
                    self._accelerator.clip_grad_norm_(list(chosen.values()), config.clip)
                prepared.step()
                self.steps_done += 1
                state.step += 1
                state.running_loss += loss
                if not math.isfinite(loss):
                    raise ConfigError(
                        f"the loss became {loss} in phase '{phase.name}' at step {step}. "
                        f"Lower the learning rate (it was {max(base_rates):.2g}), "
                        f"for instance --set learning_rate={max(base_rates) / 10:.1g}."
                    )
                for name, shadow in average.items():
                    shadow.lerp_(chosen[name].detach(), 1 - min(config.ema, (1 + state.step) / (10 + state.step)))
                self._progress.advance(phase.name, state.step, total)
                if state.step % per_epoch == 0:
                    epoch = state.step // per_epoch
                    with self._averaged(chosen, average):
                        score, row = self._judge()
                        if keep_best and score > state.best_score:
                            best = self._weights()
                        if phase.snapshots:
                            self._snapshot(epoch, score)
                    freeze.apply(self.model, settings)
                    state.stale = 0 if score > state.trained_score else state.stale + 1
                    state.trained_score = max(score, state.trained_score)
                    if score > state.best_score:
                        state.best_score, state.best_step = score, state.step
                    entry = {
                        "phase": phase.name,
                        "epoch": epoch,
                        "step": self.steps_done,
                        "train_loss": state.running_loss / per_epoch,
                        **row,
                        "learning_rate": max(group["lr"] for group in optimizer.param_groups),
                    }
                    state.running_loss = 0.0
                    self.history.append(entry)
                    self._record(entry)
                    state.stopped = bool(config.early_stop) and state.stale >= config.early_stop and keep_best
                now = time.perf_counter()
                if now - saved >= config.checkpoint_seconds and state.step < total and not state.stopped:
                    state.seconds = now - started
                    self._save_current(state, optimizer, average, best)
                    saved = time.perf_counter()
                if state.stopped:
                    break
        if keep_best:
            self.model.load_state_dict(best)
        else:
            with torch.no_grad():
                for name, shadow in average.items():
                    chosen[name].copy_(shadow)
        self.seconds += time.perf_counter() - started
        for parameter in self.model.parameters():
            parameter.grad = None
        self._activations = None
        self.model.eval()
        release_freed_memory()

    def _backward(
        self, objective: Objective, pixels: Tensor, targets: Tensor, share: float, name: str, step: int, part: int
    ) -> float:
        batch = pixels.to(self.device) if self._activations else self._ready(pixels)
        aim = targets.to(self.device)
        augment, encoder = self.config.augment, self.model.encoder
        blend: Mixup | None = None
        if augment.mixup or augment.cutmix:
            seed = derive(self._seed, name, "mix", step, part)
            if encoder.entrance() is None:
                batch, aim = mix(batch, aim, len(self.task.outputs), augment, seed)
            else:  # tokens and categories cannot be blended: what is pooled of them can (Sun et al. 2020)
                blend = Mixup.drawn(len(batch), augment.mixup, seed, batch.device)
                aim = blend(softened(aim, len(self.task.outputs)).float())

        def run(inputs: Tensor) -> Tensor:
            blended = pooled_through(encoder, blend) if blend else contextlib.nullcontext()
            with self._accelerator.autocast(), FastDepthwise(), self._shortened(), blended:
                logits: Tensor = self.model(inputs)
            return logits.float()

        return objective.backward(run, batch, aim, lambda loss: self._accelerator.backward(loss * share))

    def _objective(self, settings: Phase) -> Objective:
        contract = self.model.encoder.input
        return Objective(self.task, self.config, self.model, contract, settings.penalty, self._balance)

    def _fetch(self, phase: Phase, step: int, per_epoch: int) -> Callable[[], tuple[Tensor, Tensor]]:
        epoch, offset = divmod(step, per_epoch)
        train = self.parts["train"]

        def fetch() -> tuple[Tensor, Tensor]:
            order = permutation(len(train), self._seed, phase.name, epoch)
            indices = train.rows(np.array_split(order, per_epoch)[offset].tolist())
            if self._activations:
                inputs = self._activations.training(epoch, indices)
            else:
                inputs = self._views(phase, epoch, indices)
            return inputs, torch.as_tensor(train.targets[indices])

        return fetch

    def _views(self, phase: Phase, epoch: int, indices: Sequence[int]) -> Tensor:
        """What an epoch of the phase sees of the training items at `indices`."""
        seeds = [derive(self._seed, phase.name, epoch, int(i)) for i in indices]
        return self.parts["train"].batches.training(indices, seeds, self._augment(phase))

    def _augment(self, phase: Phase) -> AugmentConfig:
        return self.config.augment if phase.augment else AugmentConfig(policy="none")

    # -- where the first blocks are frozen -------------------------------------------------------------------

    def _kept_activations(self, phase: Phase, epochs: int) -> Activations | None:
        """Activations at the end of the frozen part, where there is one and keeping them saves time.

        The model is in the modes of the phase. Inputs that are mixed or attacked must be seen whole.
        """
        config, model = self.config, self.model
        train, validation = self.parts["train"], self.parts["validation"]
        if config.augment.mixup or config.augment.cutmix or config.adversarial.attack != "none" or len(train) < 2:
            return None
        frozen = freeze.frozen_stages(model, phase)
        if train.units is not None or not frozen or not config.cached_views:  # words share what is read of a text
            return None
        ragged = any(train.batches.lengths([0]))
        some = np.unique(np.linspace(0, len(train) - 1, SAMPLE, dtype=int)) if ragged else np.arange(2)
        lengths = np.array(train.batches.lengths(some.tolist()))
        shortest, longest = some[np.argsort(lengths, kind="stable")[[0, -1]]].tolist()
        truncation = cut(model.encoder, frozen, self._ready(train.batches.evaluation([shortest, longest])))
        if truncation is None:
            return None

        def bottom(batch: Tensor) -> Tensor:
            with autocast(self.device, self.precision):
                return truncation.bottom(self._ready(batch))

        def view(number: int) -> Iterator[Tensor]:
            parts = np.array_split(np.arange(len(train)), range(BATCH, len(train), BATCH))
            return prefetch((lambda p=p: self._views(phase, number, p.tolist())) for p in parts)  # type: ignore[misc]

        views = config.cached_views if train.batches.modality.varies(self._augment(phase)) else 1
        share = lengths.mean() / lengths.max() if ragged else 1.0
        each = bottom(train.batches.evaluation([longest])).nbytes * share
        if not worthwhile(len(train), len(validation), epochs, views, each):
            return None
        return Activations(bottom, truncation.resumed, view, validation.batches.evaluations, views, BATCH)

    def _shortened(self) -> AbstractContextManager[None]:
        return self._activations.resumed() if self._activations else contextlib.nullcontext()

    # -- settings: the user's configuration over the phase's defaults ----------------------------------------

    def _settled(self, phase: Phase, decided: dict[str, Any] | None = None) -> Phase:
        config = self.config
        changes: dict[str, Any] = {}
        if config.batchnorm is not None:
            changes["batchnorm"] = config.batchnorm
        if config.weight_decay is not None:
            changes["weight_decay"] = config.weight_decay
        if config.layer_decay is not None:
            changes["layer_decay"] = config.layer_decay
        if decided is not None:
            changes["learning_rate"] = decided["learning_rate"]
            changes["head_learning_rate"] = decided["head_learning_rate"]
        return Phase(**{**phase.__dict__, **changes})

    def _decide(self, phase: Phase) -> dict[str, Any]:
        """What this phase needs to know that the configuration leaves open; settled once and kept in the checkpoint."""
        config = self.config
        size = config.batch_size
        if size == "auto":
            size = largest_batch(self.model, len(self.parts["train"]), self._trial(phase), most=self.task.batch)
        rate: float = phase.learning_rate
        if config.learning_rate == "auto":
            settings = self._settled(phase, {"learning_rate": 1.0, "head_learning_rate": config.head_learning_rate})
            rate = self._range_test(phase, settings, int(size))
            self.note(f"{phase.name}: learning rate by range test", rate)
        elif config.learning_rate is not None:
            rate = float(config.learning_rate)
        if config.head_learning_rate is not None:
            head: float | None = config.head_learning_rate
        elif phase.head_learning_rate is None or config.learning_rate is None:
            head = phase.head_learning_rate
        else:  # the user moved the rate: the head's keeps its ratio
            head = rate * phase.head_learning_rate / phase.learning_rate
        return {"batch_size": size, "learning_rate": rate, "head_learning_rate": head}

    def _parameter_groups(self, settings: Phase) -> list[dict[str, Any]]:
        decay = settings.weight_decay
        return freeze.parameter_groups(
            self.model,
            settings,
            learning_rate=settings.learning_rate,
            head_learning_rate=settings.head_learning_rate or settings.learning_rate,
            weight_decay=decay,
            head_weight_decay=decay if settings.head_weight_decay is None else settings.head_weight_decay,
            layer_decay=settings.layer_decay,
        )

    def _optimizer_name(self, phase: Phase) -> str:
        return self.config.optimizer or phase.optimizer

    def _schedule_name(self, phase: Phase) -> str:
        return self.config.schedule or phase.schedule or "cosine"

    def _trial(self, phase: Phase) -> Callable[[int], None]:
        """One forward and backward pass at a batch size, to see whether it fits in memory."""
        train = self.parts["train"]

        def attempt(size: int) -> None:
            pixels = train.batches.evaluation(train.rows([i % len(train) for i in range(size)]))
            freeze.apply(self.model, self._settled(phase))
            before = self._weights()
            with self._accelerator.autocast():
                loss = self.model(self._ready(pixels)).float().square().mean()
            loss.backward()
            self.model.zero_grad(set_to_none=True)
            self.model.load_state_dict(before)

        return attempt

    def _range_test(self, phase: Phase, settings: Phase, size: int) -> float:
        before = self._weights()
        freeze.apply(self.model, settings)
        optimizer = make_optimizer(self._optimizer_name(phase), self._parameter_groups(settings), self.config.momentum)
        objective = self._objective(settings)
        per_epoch = max(1, math.ceil(len(self.parts["train"]) / size))

        def once(step: int) -> float:
            torch.manual_seed(derive(self._seed, phase.name, "range", step))
            pixels, targets = self._fetch(settings, step, per_epoch)()
            optimizer.zero_grad(set_to_none=True)
            loss = self._backward(objective, pixels, targets, 1.0, phase.name, step, 0)
            optimizer.step()
            return loss

        try:
            return range_test(optimizer, once)
        finally:
            self.model.load_state_dict(before)
            self.model.zero_grad(set_to_none=True)

    # -- judging ---------------------------------------------------------------------------------------------

    def _judge(self) -> tuple[float, dict[str, float]]:
        """(score to compare by, row for the log) on validation data. Ties of the metric go to the lower loss."""
        part = self.parts["validation"]
        if not len(part):
            return 0.0, {}
        if self._activations:
            kept = self._activations.validation()
            with self._activations.resumed():
                logits = self._logits(batch.to(self.device) for batch in kept)
        else:
            logits = self.logits(part.batches)
        loss = float(self.task.loss(torch.as_tensor(logits), torch.as_tensor(part.targets)))
        found = self.task.metrics(part.targets, self.task.scores(logits), part.units)
        monitor = self.config.monitor or self.task.primary
        value = found[monitor] * direction(monitor)
        if not math.isfinite(value):
            value = -1e9
        return value - 1e-6 * min(loss, 1e3), {"validation_loss": loss, f"validation_{monitor}": found[monitor]}

    def _prepare(self, batch: Tensor) -> Tensor:
        return self.parts["train"].batches.prepare(batch)

    def _ready(self, batch: Tensor) -> Tensor:
        return self._prepare(batch.to(self.device, non_blocking=True))

    @contextlib.contextmanager
    def _averaged(self, chosen: dict[str, Any], average: dict[str, Tensor]) -> Iterator[None]:
        """The running average of the weights in place of the weights, for as long as the block lasts."""
        kept = {name: chosen[name].detach().clone() for name in average}
        with torch.no_grad():
            for name, shadow in average.items():
                chosen[name].copy_(shadow)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    chosen[name].copy_(value)

    # -- what is done stays done -----------------------------------------------------------------------------

    def _enter(self, name: str) -> Path:
        if name in self._names:
            raise InternalError(f"a method used the phase name '{name}' twice")
        self._names.append(name)
        return self.folder / f"{len(self._names) - 1:02d}-{name}.safetensors"

    def _take_up(self, place: Path) -> bool:
        if not place.exists():
            return False
        tensors, facts = checkpoint.load(place)
        self._restore(facts)
        self.model.load_state_dict(_under("model.", tensors))
        return True

    def _leave(self, place: Path) -> None:
        checkpoint.save(place, {f"model.{n}": t for n, t in self._state().items()}, self._facts())
        (self.folder / "current.safetensors").unlink(missing_ok=True)

    def _current(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        path = self.folder / "current.safetensors"
        if not path.exists():
            return None
        tensors, facts = checkpoint.load(path)
        return (tensors, facts) if facts["phase"] == self._names[-1] else None

    def _save_current(
        self, state: _Progress, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], best: dict[str, Tensor]
    ) -> None:
        packed, others = checkpoint.pack_optimizer(optimizer)
        if self._accelerator.scaler is not None:
            others["scaler"] = json.dumps(self._accelerator.scaler.state_dict())
        tensors = {
            **{f"model.{n}": t for n, t in self._state().items()},
            **{f"ema.{n}": t for n, t in average.items()},
            **{f"best.{n}": t for n, t in best.items()},
            **packed,
        }
        facts = {**self._facts(), "phase": self._names[-1], "progress": state.__dict__, "optimizer": others}
        checkpoint.save(self.folder / "current.safetensors", tensors, facts)

    def _snapshot(self, epoch: int, score: float) -> None:
        path = self.folder / f"{len(self._names) - 1:02d}-{self._names[-1]}.epoch{epoch:04d}.safetensors"
        checkpoint.save(path, self._state(), {"score": score})

    def _facts(self) -> dict[str, Any]:
        return {
            "notes": self.notes,
            "history": self.history,
            "seconds": self.seconds,
            "parameters_trained": self.parameters_trained,
            "steps_done": self.steps_done,
        }

    def _restore(self, facts: dict[str, Any]) -> None:
        self.notes = facts["notes"]
        self.history = facts["history"]
        self.seconds = facts["seconds"]
        self.parameters_trained = facts["parameters_trained"]
        self.steps_done = facts["steps_done"]

    def _state(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _on_device(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}


def fitting_precision(encoder: Encoder, batches: Batches, wanted: str, device: torch.device) -> Precision:
    """The number format to compute in: `wanted`, unless a few items show that the encoder's features suffer from it."""
    sample = batches.prepare(batches.evaluation(range(min(8, len(batches)))))
    return trusted_precision(encoder, sample, device, resolve_precision(wanted, device))


def direction(metric: str) -> int:
    """1 where larger is better, -1 where smaller is."""
    return -1 if metric in LOWER_IS_BETTER else 1


def require_monitor(task: Task, config: TrainConfig, targets: np.ndarray, units: Units | None = None) -> None:
    """Raises ConfigError where the metric that the user wants to be looked at is none of the task's.

    targets, units: of the validation items; without any there is nothing to look at.
    """
    if config.monitor is None or not len(targets):
        return
    known = task.metrics(targets, task.scores(np.zeros((len(targets), len(task.outputs)))), units)
    if config.monitor not in known:
        raise ConfigError(unknown_name("metric to monitor", config.monitor, known))


def class_weights(task: Task, targets: np.ndarray) -> Tensor:
    """(K,) weights inversely proportional to class frequency, mean one over the items ("balanced").

    For many labels: the weight of each label's positives is not changed, only labels among themselves.
    """
    outputs = len(task.outputs)
    counts = np.bincount(targets, minlength=outputs) if task.kind == "single" else targets.sum(axis=0)
    weights = counts.sum() / (outputs * np.maximum(counts, 1))
    return torch.as_tensor(weights, dtype=torch.float32)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
