"""Reading weights without running code, and fitting them to an encoder without guessing."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from headstart.core.errors import SourceError, some
from headstart.core.types import Features

_WRAPPERS = ("state_dict", "model", "model_state", "model_state_dict")
_HEAD = re.compile(r"(^|\.)(fc|head|heads|head_dist|classifier|last_linear|logits|aux\d?|AuxLogits)(\.|$)")


def read_bytes(path: Path, source: str, sha256: str | None = None) -> bytes:
    """The content of a file, whose hash starts as `sha256` says: what is hashed is what is returned.

    Raises SourceError where it is absent, unreadable or another file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"source {source!r}: {path} cannot be read: {error.strerror or error}.") from None
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and not found.startswith(sha256):
        raise SourceError(
            f"source {source!r}: {path} is damaged or was changed: expected sha256 {sha256}, got {found}. "
            "It was not read. Delete it and fetch it again."
        )
    return data


def read_tensors(path: Path, source: str, sha256: str | None = None) -> dict[str, Tensor]:
    """The state dict in a .safetensors file, or in a torch checkpoint read with `weights_only=True`, on the CPU."""
    data = read_bytes(path, source, sha256)
    if path.suffix == ".safetensors":
        return from_safetensors(data, path, source)
    return from_checkpoint(data, path, source)


def from_safetensors(data: bytes, path: Path, source: str) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise SourceError(f"source {source!r}: {path} is no readable safetensors file: {error}.") from None
    return tensors


def from_checkpoint(data: bytes, path: Path | str, source: str) -> dict[str, Tensor]:
    """The tensors of a torch checkpoint, out of a wrapper ("state_dict", "model", ...), names without "module."."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of a pickle protocol that torch itself does not write
            found: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(
            f"source {source!r}: {path} is no torch checkpoint of plain tensors: {reason} "
            "Code inside a checkpoint is never run. Save its state dict: torch.save(model.state_dict(), FILE)."
        ) from None
    while isinstance(found, Mapping) and (
        inner := next((k for k in _WRAPPERS if isinstance(found.get(k), Mapping)), "")
    ):
        found = found[inner]
    tensors = {str(k): v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, Mapping) else {}
    if not tensors:
        raise SourceError(
            f"source {source!r}: {path} holds no state dict. Expected a mapping from parameter names to tensors."
        )
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def fit_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load `tensors` into `network`. Only an old head may be left over, and nothing may be missing.

    Raises SourceError naming what is missing, left over or of another shape.
    """
    wanted = network.state_dict()
    extra = [name for name in tensors if name not in wanted and not _HEAD.search(name)]
    missing = [name for name in wanted if name not in tensors and not name.endswith("num_batches_tracked")]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    problems = [
        f"{label} {some(names)}"
        for label, names in (("missing:", missing), ("not of this network:", extra), ("of another shape:", shapes))
        if names
    ]
    if problems:
        raise SourceError(
            f"source {source!r}: the weights do not fit the network; {'; '.join(problems)}. "
            "Name the architecture that they were trained with."
        )
    network.load_state_dict({name: tensors.get(name, tensor) for name, tensor in wanted.items()})


def head_of(weight: Tensor, bias: Tensor) -> Callable[[Features], Tensor]:
    """The last layer of a classifier, from Features to (B, K) logits.

    weight: (K, D) of a linear layer on what is pooled, or (K, C, 1, 1) of SqueezeNet's convolution of the map, whose
    positive scores are averaged over positions.
    """
    if weight.ndim == 2:
        return lambda features: nn.functional.linear(features.pooled, weight, bias)
    return lambda features: nn.functional.conv2d(features.maps[-1], weight, bias).relu().mean((2, 3))
