"""Reading a model folder. Nothing in it is trusted before its hash was checked, nor used before it proved itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor

from headstart import __version__
from headstart.artifacts import layout
from headstart.core import assets
from headstart.core.card import Input, SourceCard, digest_of, input_from_json
from headstart.core.errors import ArtifactError, UserError
from headstart.core.task import Task
from headstart.data.modalities import MODALITIES
from headstart.metrics.pooling import Pool, pool
from headstart.nn.device import Precision, autocast, best_device, resolve_precision
from headstart.nn.encoder import Encoder
from headstart.nn.fuse import fused
from headstart.nn.model import Model
from headstart.sources import build
from headstart.tasks import from_json


@dataclass(frozen=True)
class LoadedModel:
    """A model that reproduced its stored outputs.

    folder: where it was read from. contract: how items are prepared. temperature: divides the logits of a
    single-label task before they become probabilities. device, precision: of the forward pass.
    """

    folder: Path
    model: Model = field(repr=False)
    task: Task
    contract: Input
    temperature: float
    source: SourceCard
    device: torch.device
    precision: Precision

    def logits(self, batch: Tensor | np.ndarray) -> np.ndarray:
        """(B, ...) evaluation views, as `Batches.evaluation` gives them -> (B, K) float64 raw outputs.

        Raises ShapeError for a batch of another shape or type.
        """
        views = torch.as_tensor(batch)
        modality = MODALITIES[self.contract.modality]
        modality.require(views, self.contract)
        with torch.inference_mode(), autocast(self.device, self.precision):
            ready = modality.prepare(views.to(self.device), self.contract)
            logits = self.model.answer(self._encoder(ready).pooled)
        rows: np.ndarray = logits.double().cpu().numpy()
        return rows

    @cached_property
    def _encoder(self) -> Encoder:
        """The network as it is run for the features that a model is judged by."""
        modality = MODALITIES[self.contract.modality]
        noise = modality.noise(self.contract, 1).to(self.device)
        return fused(self.model.encoder, modality.prepare(noise, self.contract))

    def scores(self, batch: Tensor | np.ndarray) -> np.ndarray:
        """(B, ...) evaluation views -> (B, K) probabilities, or numbers in the user's units."""
        return self.scores_of(self.logits(batch))

    def scores_of(self, logits: np.ndarray) -> np.ndarray:
        """(N, K) raw outputs of this model -> (N, K) scores."""
        return self.task.scores(self.tempered(logits))

    def tempered(self, logits: np.ndarray) -> np.ndarray:
        """(N, K) raw outputs -> those whose softmax is calibrated; others than of a single label stay as they are."""
        return logits / self.temperature if self.task.kind == "single" else logits

    @property
    def members(self) -> tuple[LoadedModel, ...]:
        """The networks that a batch goes through: this one."""
        return (self,)

    def combine(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """Raw outputs (N, K) of each member -> raw outputs (N, K) of the whole."""
        (own,) = logits
        return own

    @property
    def sources(self) -> tuple[SourceCard, ...]:
        return (self.source,)


@dataclass(frozen=True)
class LoadedEnsemble:
    """Several models that answer as one, and together reproduced their stored outputs.

    Whatever reads `members`, makes each one's batches by its own contract and hands their raw outputs to `combine` and
    then to `scores_of` serves a single model and an ensemble alike.

    members: two or more, of one task. weights: of each. how: "logits" takes the weighted sum of the members' logits
    (each divided by the member's temperature), "probabilities" that of their probabilities; for numbers both are the
    weighted sum. temperature: of the whole, divides what `combine` gives for a single label.
    """

    folder: Path
    members: tuple[LoadedModel, ...]
    weights: tuple[float, ...]
    how: Pool
    task: Task
    temperature: float

    def combine(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """Raw outputs (N, K) of each member, in their order -> raw outputs (N, K) of the whole, as logits."""
        each = [member.tempered(z) for member, z in zip(self.members, logits, strict=True)]
        return pool(each, self.weights, self.how, self.task.kind)

    def scores_of(self, logits: np.ndarray) -> np.ndarray:
        """(N, K) raw outputs of the whole -> (N, K) scores."""
        return self.task.scores(logits / self.temperature if self.task.kind == "single" else logits)

    @property
    def sources(self) -> tuple[SourceCard, ...]:
        """Of the members, each once."""
        return tuple({member.source.name: member.source for member in self.members}.values())


Loaded = LoadedModel | LoadedEnsemble
Described = layout.Description | layout.EnsembleDescription


def load_model(
    path: Path | str, *, device: torch.device | str | None = None, precision: Literal["auto"] | Precision | None = None
) -> Loaded:
    """The model of a run folder, or of its `model/`: a LoadedModel, or a LoadedEnsemble where it is several.

    device: None takes the best there is. precision: None takes the one that the model was judged in (each member its
    own), "auto" the fastest one here.

    Raises ArtifactError naming the file that is absent, damaged or was changed, or saying by how much the stored
    outputs were missed.
    """
    folder = locate(Path(path))
    found = _read_description(folder)
    where = torch.device(device) if device is not None else best_device()
    if isinstance(found, layout.EnsembleDescription):
        return _load_ensemble(folder, found, where, precision)
    return _load_single(folder, found, where, precision)[0]


def _load_single(
    folder: Path, found: layout.Description, where: torch.device, precision: Literal["auto"] | Precision | None
) -> tuple[LoadedModel, np.ndarray]:
    """The model, and the logits (n, K) that it gave for its stored inputs."""
    files = {name: _verified(folder, name, found.files) for name in layout.LISTED}
    contract, task = _contract(folder, found, files), _task(folder, found, files)
    for name in contract.assets:
        if assets.know(_verified(folder, f"{layout.ASSETS}/{name}", found.files)) != name:
            raise _changed(folder, f"{layout.ASSETS}/{name} is not what its name says")
    model = _network(folder, found, task, files[layout.WEIGHTS])
    logits = _prove(folder, model, contract, files[layout.PROBES])
    model.to(where).to(memory_format=torch.channels_last)
    if precision is None:  # float16 exists on CUDA alone
        precision = "float32" if found.precision == "float16" and where.type != "cuda" else found.precision
    loaded = LoadedModel(
        folder=folder,
        model=model,
        task=task,
        contract=contract,
        temperature=found.temperature,
        source=found.source,
        device=where,
        precision=resolve_precision(precision, where),
    )
    return loaded, logits


def _load_ensemble(
    folder: Path, found: layout.EnsembleDescription, where: torch.device, precision: Literal["auto"] | Precision | None
) -> LoadedEnsemble:
    files = {name: _verified(folder, name, found.files) for name in layout.LISTED_OF_ENSEMBLE}
    task = _task(folder, found, files)
    members, logits = [], []
    for entry in found.members:
        place = folder / entry.folder
        described = _read_description(place)
        if layout.sha256(_bytes(place, layout.DESCRIPTION)) != entry.sha256:
            raise _changed(folder, f"{entry.folder} is not the member that was saved with it")
        if isinstance(described, layout.EnsembleDescription):
            raise ArtifactError(f"{place} is an ensemble within an ensemble. Expected a single model as a member.")
        member, answers = _load_single(place, described, where, precision)
        if member.task != task:
            raise _changed(folder, f"{entry.folder} and {layout.DESCRIPTION} state different tasks")
        members.append(member)
        logits.append(answers)
    weights = tuple(entry.weight for entry in found.members)
    whole = LoadedEnsemble(folder, tuple(members), weights, found.combine, task, found.temperature)
    stored = _tensors(folder, layout.PROBES, files[layout.PROBES])["logits"].numpy()
    terms = [member.tempered(answers) for member, answers in zip(members, logits, strict=True)]
    scale = max(float(np.abs(each).max()) for each in (stored, *terms))
    _require_equal(folder, whole.combine(logits), stored, scale=scale)
    return whole


def locate(path: Path) -> Path:
    """The model folder that `path` means. Raises ArtifactError where there is none."""
    if (path / layout.DESCRIPTION).is_file() or (path / layout.SEAL).is_file() or (path / layout.WEIGHTS).is_file():
        return path
    inner = path / "model"
    run = (path / "recipe.yaml").is_file()
    if inner.is_dir() and (not run or (path / "metrics.json").is_file()):
        return inner
    if not path.exists():
        raise ArtifactError(f"there is no model at {path}: no such folder. Expected a run folder or its model/.")
    if layout.previous(inner).is_dir():
        raise ArtifactError(
            f"{path} has no model/: replacing it was cut short. The model before is whole; "
            f"bring it back with: mv {layout.previous(inner)} {inner}"
        )
    if run:
        raise ArtifactError(f"{path} is a run that was not finished. Go on with: headstart resume {path}")
    raise ArtifactError(f"{path} is neither a run folder nor a model folder: it has no {layout.DESCRIPTION}.")


def describe(path: Path) -> Described:
    """model.json of a run or model folder, checked against its seal; nothing else is read."""
    return _read_description(locate(path))


def _read_description(folder: Path) -> Described:
    data = _bytes(folder, layout.DESCRIPTION)
    try:
        raw = json.loads(data)
        number = raw["format"]
    except (ValueError, TypeError, KeyError):
        raw, number = None, None
    if number == layout.PRETRAINED_FORMAT:
        raise ArtifactError(
            f"{folder} holds a network that was pretrained without labels, so it predicts nothing yet. Fit it to "
            f"labelled data: headstart fit DATA --source {folder}"
        )
    if isinstance(number, int) and number > layout.ENSEMBLE_FORMAT:
        raise ArtifactError(
            f"{folder} is of format {number}, written by headstart {raw.get('headstart')}; "
            f"headstart {__version__} reads up to format {layout.ENSEMBLE_FORMAT}. "
            "Upgrade with: pip install --upgrade headstart"
        )
    if _bytes(folder, layout.SEAL) != layout.seal(data):
        raise _changed(folder, f"{layout.DESCRIPTION} (it does not match {layout.SEAL})")
    kind = layout.EnsembleDescription if number == layout.ENSEMBLE_FORMAT else layout.Description
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ArtifactError(f"{folder / layout.DESCRIPTION} does not fit: {field}: {first['msg']}.") from None


def _verified(folder: Path, name: str, hashes: dict[str, str]) -> bytes:
    """The bytes of a file, whose hash was checked: what was hashed is what is read."""
    if name not in hashes:
        raise ArtifactError(f"{folder / layout.DESCRIPTION} states no hash for {name}: the model is incomplete.")
    data = _bytes(folder, name)
    if layout.sha256(data) != hashes[name]:
        raise _changed(folder, name)
    return data


def _bytes(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"the model in {folder} is incomplete: {name} is missing. Save it again.") from None
    except OSError as error:
        raise ArtifactError(f"{folder / name} cannot be read: {error.strerror}.") from error


def _changed(folder: Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"the model in {folder} was changed after it was saved, or is damaged: {what}. "
        "It is refused. Take an unchanged copy, or fit again."
    )


def _contract(folder: Path, found: layout.Description, files: dict[str, bytes]) -> Input:
    stored = json.loads(files[layout.PREPROCESSING])
    try:  # a model of an earlier version lacks fields that have a default now
        agree = input_from_json(stored["input"]) == found.input and digest_of(stored["input"]) == stored["digest"]
    except (KeyError, TypeError, ValueError):
        agree = False
    if not agree:
        raise _changed(folder, f"{layout.PREPROCESSING} and {layout.DESCRIPTION} state different preprocessing")
    return found.input


def _task(folder: Path, found: Described, files: dict[str, bytes]) -> Task:
    task = from_json(found.task)
    if json.loads(files[layout.LABELS]) != list(task.outputs):
        raise _changed(folder, f"{layout.LABELS} and {layout.DESCRIPTION} state different labels")
    return task


def _network(folder: Path, found: layout.Description, task: Task, weights: bytes) -> Model:
    with torch.random.fork_rng(devices=[]):
        try:
            model = Model(build(found.architecture, found.input), len(task.outputs))
        except UserError as error:
            raise ArtifactError(f"the network of {folder} cannot be built here: {error}") from error
    if model.encoder.width != found.width:
        raise ArtifactError(
            f"the network of {folder} was {found.width} wide when it was saved and is {model.encoder.width} wide as "
            f"{found.architecture.library} builds it here. Install the version it was saved with."
        )
    tensors = _tensors(folder, layout.WEIGHTS, weights)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise ArtifactError(f"{folder / layout.WEIGHTS} does not fit its network: {detail}") from None
    return model.eval()


def _tensors(folder: Path, name: str, data: bytes) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise ArtifactError(f"{folder / name} is no readable safetensors file: {error}.") from None
    return tensors


def _prove(folder: Path, model: Model, contract: Input, probes: bytes) -> np.ndarray:
    """The self-check: the stored inputs must give the stored outputs. Gives the outputs (n, K)."""
    stored = _tensors(folder, layout.PROBES, probes)
    expected, given = stored["logits"].numpy(), probe_logits(model, contract, stored["inputs"])
    _require_equal(folder, given, expected, scale=float(np.abs(expected).max()))
    return given


def _require_equal(folder: Path, given: np.ndarray, expected: np.ndarray, *, scale: float) -> None:
    """Raise ArtifactError where outputs (n, K) miss the stored ones by more than the tolerance allows at this scale."""
    if given.shape != expected.shape:
        raise _changed(folder, f"{layout.PROBES} holds outputs {expected.shape}, the model gives {given.shape}")
    difference = np.abs(given - expected).max(axis=1)
    allowed = layout.TOLERANCE * max(1.0, scale)
    missed = ~(difference <= allowed)  # NaN is a miss too
    if missed.any():
        worst = int(np.nan_to_num(difference, nan=np.inf).argmax())
        raise ArtifactError(
            f"the model in {folder} does not reproduce its stored outputs: {missed.sum()} of {len(expected)} probes "
            f"differ, probe {worst} by {difference[worst]:.3g} where {allowed:.3g} is allowed. Its files are "
            "unchanged, so something computes differently here than where it was saved. "
            f"Now: torch {torch.__version__}; then: see Provenance in its {layout.CARD}. "
            "Install those versions, or fit again."
        )


def probe_logits(model: Model, contract: Input, inputs: Tensor) -> np.ndarray:
    """(n, K) float32 logits of the probes, computed on the CPU in float32."""
    with torch.inference_mode():
        rows: np.ndarray = model(MODALITIES[contract.modality].prepare(inputs, contract)).numpy()
    return rows.astype(np.float32)
