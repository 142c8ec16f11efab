"""Checkpoints: safetensors for tensors, JSON for the rest, whole or absent.

A checkpoint is one file: its JSON part rides in the safetensors header, so that tensors and counters can never be from
different moments. It is written beside its place, flushed to the disk and renamed over the old one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from headstart.core.errors import ArtifactError


def save(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write atomically. Raises OSError where the disk is full; the previous checkpoint is then still whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        save_file(whole, beside, metadata={"facts": json.dumps(facts)})
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    except SafetensorError as error:  # safetensors reports a full disk in its own exception
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors on the CPU, facts). Raises ArtifactError naming the file where it is damaged."""
    try:
        with safe_open(path, framework="pt") as opened:
            facts = json.loads((opened.metadata() or {})["facts"])
            return {name: opened.get_tensor(name) for name in opened.keys()}, facts  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError(
            f"checkpoint {path} cannot be read ({error}). Delete it to restart from the one before, "
            f"or run `headstart fit` again with --overwrite."
        ) from error


def pack_optimizer(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of the optimiser's state by "optimizer.<index>.<name>", and what is not a tensor."""
    tensors: dict[str, Tensor] = {}
    others: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            key = f"optimizer.{index}.{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                others[key] = value
    return tensors, others


def unpack_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], others: dict[str, Any]) -> None:
    """Put back what `pack_optimizer` gave; learning rates are a function of the step and are not stored."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *others.items()]:
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
