"""Writing a model folder: beside, proven, then put in place, so that what is found there is whole."""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from headstart import __version__
from headstart.artifacts import layout
from headstart.artifacts.card import CardFacts, render
from headstart.artifacts.load import load_model, probe_logits
from headstart.core.card import ImageInput, SourceCard
from headstart.core.errors import ArtifactError, ShapeError
from headstart.core.task import Task
from headstart.data.transforms.image import to_tensor
from headstart.nn.device import Precision
from headstart.nn.model import Model


def save_model(
    folder: Path,
    *,
    model: Model,
    task: Task,
    contract: ImageInput,
    source: SourceCard,
    temperature: float = 1.0,
    precision: Precision = "float32",
    probes: np.ndarray,
    facts: CardFacts,
) -> None:
    """Write a model that proves itself; a model that is there already is replaced only by one that did.

    temperature: of the calibrated probabilities. precision: in which the model was judged and is to be used.
    probes: (n, crop, crop, 3) uint8 evaluation views, one or more. facts: what the card tells.

    The model itself is left as it is. Raises ArtifactError where its outputs are not finite, where the folder read
    back does not reproduce them, or where it cannot be written; whatever was in `folder` before is then still there.
    """
    inputs, logits = _probe(model, contract, probes)
    description = {
        "format": layout.FORMAT,
        "headstart": __version__,
        "architecture": model.encoder.architecture.model_dump(mode="json"),
        "input": contract.model_dump(mode="json"),
        "width": model.encoder.width,
        "task": task.to_json(),
        "temperature": temperature,
        "precision": precision,
        "source": source.model_dump(mode="json"),
    }
    files = {
        layout.WEIGHTS: safetensors.torch.save(_weights(model)),
        layout.PREPROCESSING: layout.to_json({"input": contract.model_dump(mode="json"), "digest": contract.digest()}),
        layout.LABELS: layout.to_json(list(task.outputs)),
        layout.PROBES: safetensors.torch.save({"inputs": inputs, "logits": torch.from_numpy(logits)}),
        layout.CARD: render(task=task, source=source, contract=contract, facts=facts).encode(),
    }
    description["files"] = {name: layout.sha256(data) for name, data in files.items()}
    files[layout.DESCRIPTION] = layout.to_json(layout.Description.model_validate(description).model_dump(mode="json"))
    files[layout.SEAL] = layout.seal(files[layout.DESCRIPTION])
    with _beside(folder) as beside:
        for name, data in files.items():
            _write(beside / name, data)
        try:
            load_model(beside, device="cpu")
        except ArtifactError as error:
            raise ArtifactError(
                f"the model is not saved, because what was written does not prove itself: {error}"
            ) from error
        _put(beside, folder)


def _probe(model: Model, contract: ImageInput, probes: np.ndarray) -> tuple[Tensor, np.ndarray]:
    """The probes as (n, 3, crop, crop) and the logits (n, K) that a copy of the model gives for them on the CPU."""
    if probes.dtype != np.uint8 or probes.ndim != 4 or probes.shape[1:] != (contract.crop, contract.crop, 3):
        raise ShapeError(
            f"expected uint8 probes of shape (n, {contract.crop}, {contract.crop}, 3), "
            f"got {probes.dtype} {probes.shape}."
        )
    if not len(probes):
        raise ShapeError("a model proves itself on one probe at least, got none.")
    inputs = to_tensor(probes).contiguous()
    on_cpu = copy.deepcopy(model).to(torch.device("cpu"), torch.float32).eval()
    logits = probe_logits(on_cpu, contract, inputs)
    if not np.isfinite(logits).all():
        raise ArtifactError("the model is not saved: its outputs are not finite numbers. Lower the learning rate.")
    return inputs, logits


def _weights(model: Model) -> dict[str, Tensor]:
    """Every weight and statistic, each in memory of its own."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A fresh folder next to `folder`, gone afterwards whatever happens."""
    beside = layout.writing(folder)
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        yield beside
    except OSError as error:
        free = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = " Free some space on that disk and save again."
        raise ArtifactError(f"the model cannot be written to {folder}: {error.strerror or error}.{free}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _put(beside: Path, folder: Path) -> None:
    """Move a proven model to its place. The one that was there is removed last."""
    old = layout.previous(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    try:
        beside.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
