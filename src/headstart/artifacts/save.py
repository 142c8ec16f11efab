"""Writing a model folder: beside, proven, then put in place, so that what is found there is whole."""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from headstart import __version__
from headstart.artifacts import layout
from headstart.artifacts.card import CardFacts, render, render_pretrained
from headstart.artifacts.load import load_model, probe_logits
from headstart.core import assets
from headstart.core.card import Input, SourceCard
from headstart.core.errors import ArtifactError, ConfigError, ShapeError
from headstart.core.source import Output
from headstart.core.task import Task
from headstart.core.types import Features
from headstart.data.modalities import MODALITIES
from headstart.metrics.pooling import Pool, pool
from headstart.nn.device import Precision
from headstart.nn.encoder import Encoder
from headstart.nn.model import Model
from headstart.sources.run import OUTPUT, RunSource


@dataclass(frozen=True)
class Member:
    """One model of an ensemble, whole by itself.

    contract: how its items are prepared; members may differ. precision: in which it was judged and is to be used.
    probes: (n, ...) evaluation views of its own contract, of the same items in every member.
    weight: in the combination. temperature: divides its logits of a single label before they are combined.
    facts: what its own card tells; None takes the ensemble's, without the numbers.
    """

    model: Model
    contract: Input
    source: SourceCard
    probes: Tensor
    precision: Precision = "float32"
    weight: float = 1.0
    temperature: float = 1.0
    facts: CardFacts | None = None


def save_model(
    folder: Path,
    *,
    model: Model,
    task: Task,
    contract: Input,
    source: SourceCard,
    temperature: float = 1.0,
    precision: Precision = "float32",
    probes: Tensor,
    facts: CardFacts,
) -> None:
    """Write a model that proves itself; a model that is there already is replaced only by one that did.

    temperature: of the calibrated probabilities. precision: in which the model was judged and is to be used.
    probes: (n, ...) evaluation views, one or more, as `Batches.evaluation` gives them. facts: what the card tells.

    The model itself is left as it is. Raises ArtifactError where its outputs are not finite, where the folder read
    back does not reproduce them, or where it cannot be written; whatever was in `folder` before is then still there.
    """
    only = Member(model, contract, source, probes, precision, temperature=temperature)
    with _beside(folder) as beside:
        _write_single(beside, only, task, facts)
        _require_proof(beside)
        _put(beside, folder)


def save_ensemble(
    folder: Path,
    *,
    members: Sequence[Member],
    combine: Pool,
    task: Task,
    temperature: float = 1.0,
    facts: CardFacts,
) -> None:
    """Write several models that answer as one, each proving itself and all together; otherwise as `save_model`.

    members: two or more, of `task`. combine: "logits" for the weighted sum of logits, as of a head over concatenated
    features whose slices are the members' heads; "probabilities" for the weighted mean of probabilities, where weights
    count relative to their sum. temperature: of the whole, on top of the members' own.

    Raises ConfigError for fewer than two members or weights that cannot be used, else as `save_model`.
    """
    weights = _weights_of(members, combine)
    counts = {len(member.probes) for member in members}
    if len(counts) > 1:
        raise ShapeError(f"members must be probed with views of the same items, got {sorted(counts)} of them.")
    with _beside(folder) as beside:
        entries, logits = [], []
        for number, (member, weight) in enumerate(zip(members, weights, strict=True)):
            place = beside / layout.MEMBERS / str(number)
            place.mkdir(parents=True)
            plain = replace(facts, name=f"{facts.name}, member {number}", metrics=_without_numbers(facts))
            raw = _write_single(place, member, task, member.facts or plain)
            logits.append(raw / member.temperature if task.kind == "single" else raw)
            sha = layout.sha256((place / layout.DESCRIPTION).read_bytes())
            entries.append({"folder": f"{layout.MEMBERS}/{number}", "weight": weight, "sha256": sha})
        whole = pool(logits, weights, combine, task.kind).astype(np.float32)
        description = {
            "headstart": __version__,
            "combine": combine,
            "members": entries,
            "task": task.to_json(),
            "temperature": temperature,
        }
        card = render(
            task=task,
            sources=[member.source for member in members],
            contracts=[member.contract for member in members],
            facts=facts,
            joined=_joined(combine, weights, task),
        )
        files = {
            layout.LABELS: layout.to_json(list(task.outputs)),
            layout.PROBES: safetensors.torch.save({"logits": torch.from_numpy(whole)}),
            layout.CARD: card.encode(),
        }
        _write_all(beside, files, description, layout.EnsembleDescription)
        _require_proof(beside)
        _put(beside, folder)


def save_pretrained(
    folder: Path,
    *,
    encoder: Encoder,
    output: Output,
    source: SourceCard,
    probes: Tensor,
    metrics: Mapping[str, Any],
) -> None:
    """Write a network that was pretrained without labels, and predicts nothing yet, so that it is a source.

    output: the layer that answered while it learned. source: its card. probes: (n, ...) evaluation views, one or more.
    metrics: as in `metrics.json`, for the card. Raises as `save_model`.
    """
    contract, inputs = encoder.input, probes.contiguous()
    MODALITIES[contract.modality].require(inputs, contract)
    pooled = _pooled(encoder, inputs)
    if not pooled.isfinite().all():
        raise ArtifactError("the network is not saved: its features are not finite numbers. Lower the learning rate.")
    tensors = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    tensors |= {f"{OUTPUT}{name}": tensor for name, tensor in output.tensors.items()}
    description = {
        "headstart": __version__,
        "architecture": encoder.architecture.model_dump(mode="json"),
        "input": contract.model_dump(mode="json"),
        "width": encoder.width,
        "objective": output.objective,
        "source": source.model_dump(mode="json"),
    }
    files = {
        layout.WEIGHTS: safetensors.torch.save({n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}),
        layout.PREPROCESSING: layout.to_json({"input": contract.model_dump(mode="json"), "digest": contract.digest()}),
        layout.PROBES: safetensors.torch.save({"inputs": inputs, "pooled": pooled}),
        layout.CARD: render_pretrained(source, contract, metrics).encode(),
    }
    files |= {f"{layout.ASSETS}/{name}": assets.read(name) for name in contract.assets}
    with _beside(folder) as beside:
        _write_all(beside, files, description, layout.PretrainedDescription)
        again = _pooled(RunSource(beside).load(), inputs)
        if not torch.allclose(again, pooled, rtol=layout.TOLERANCE, atol=layout.TOLERANCE):
            raise ArtifactError(
                "the network is not saved, because what was written does not prove itself: read back, its features "
                f"differ by {float((again - pooled).abs().max()):.3g}."
            )
        _put(beside, folder)


def _pooled(encoder: Encoder, views: Tensor) -> Tensor:
    """(n, D) float32 features of evaluation views, on the CPU."""
    on_cpu = copy.deepcopy(encoder).to(torch.device("cpu"), torch.float32).eval()
    with torch.no_grad():
        features: Features = on_cpu(MODALITIES[encoder.input.modality].prepare(views, encoder.input))
        return features.pooled.contiguous()


def _weights_of(members: Sequence[Member], combine: Pool) -> list[float]:
    """As they are stored: of sum one for probabilities."""
    weights = [float(member.weight) for member in members]
    if len(weights) < 2:
        raise ConfigError(f"an ensemble has two members or more, got {len(weights)}. Save one model with save_model.")
    if combine == "logits" and np.isfinite(weights).all():
        return weights
    if not np.isfinite(weights).all() or min(weights) < 0 or not sum(weights):
        raise ConfigError(f"weights of probabilities are 0 or larger and not all 0, got {weights}.")
    return [weight / sum(weights) for weight in weights]


def _joined(combine: Pool, weights: Sequence[float], task: Task) -> str:
    what = "answers" if task.kind == "number" else combine
    shown = ", ".join(f"{weight:.3g}" for weight in weights)
    return f"It is {len(weights)} models that answer together: the sum of their {what}, weighted {shown}."


def _without_numbers(facts: CardFacts) -> dict[str, object]:
    return {key: facts.metrics[key] for key in ("method", "n") if key in facts.metrics}


def _write_single(folder: Path, member: Member, task: Task, facts: CardFacts) -> np.ndarray:
    """Write the files of one model; gives the logits (n, K) of its probes."""
    model, contract = member.model, member.contract
    inputs, logits = _probe(model, contract, member.probes)
    description = {
        "headstart": __version__,
        "architecture": model.encoder.architecture.model_dump(mode="json"),
        "input": contract.model_dump(mode="json"),
        "width": model.encoder.width,
        "task": task.to_json(),
        "temperature": member.temperature,
        "precision": member.precision,
        "source": member.source.model_dump(mode="json"),
    }
    files = {
        layout.WEIGHTS: safetensors.torch.save(_weights(model)),
        layout.PREPROCESSING: layout.to_json({"input": contract.model_dump(mode="json"), "digest": contract.digest()}),
        layout.LABELS: layout.to_json(list(task.outputs)),
        layout.PROBES: safetensors.torch.save({"inputs": inputs, "logits": torch.from_numpy(logits)}),
        layout.CARD: render(task=task, sources=[member.source], contracts=[contract], facts=facts).encode(),
    }
    files |= {f"{layout.ASSETS}/{name}": assets.read(name) for name in contract.assets}
    _write_all(folder, files, description, layout.Description)
    return logits


def _write_all(
    folder: Path,
    files: dict[str, bytes],
    description: dict[str, object],
    kind: type[layout.Description] | type[layout.EnsembleDescription] | type[layout.PretrainedDescription],
) -> None:
    """Write the files, then what describes and hashes them, then its seal."""
    hashes = {name: layout.sha256(data) for name, data in files.items()}
    described = kind.model_validate({**description, "files": hashes}).model_dump(mode="json")
    files = {**files, layout.DESCRIPTION: layout.to_json(described)}
    for name, data in files.items():
        _write(folder / name, data)
    _write(folder / layout.SEAL, layout.seal(files[layout.DESCRIPTION]))


def _require_proof(folder: Path) -> None:
    """Raise ArtifactError unless what was written is whole and reproduces its outputs."""
    try:
        load_model(folder, device="cpu")
    except ArtifactError as error:
        raise ArtifactError(
            f"the model is not saved, because what was written does not prove itself: {error}"
        ) from error


def _probe(model: Model, contract: Input, probes: Tensor) -> tuple[Tensor, np.ndarray]:
    """The probes (n, ...) and the logits (n, K) that a copy of the model gives for them on the CPU."""
    MODALITIES[contract.modality].require(probes, contract)
    if not len(probes):
        raise ShapeError("a model proves itself on one probe at least, got none.")
    inputs = probes.contiguous()
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
    path.parent.mkdir(parents=True, exist_ok=True)
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
