"""The model folder: which files it has, what is in them, how they are hashed. `save` writes it, `load` reads it.

    model.json             architecture, task, source, and the sha256 of every file below
    model.sha256           the sha256 of model.json, as `sha256sum -c` reads it
    model.safetensors      weights: "encoder.<name>", "head.weight", "head.bias"
    preprocessing.json     the preprocessing contract and its digest
    labels.json            the names of the outputs, in order
    probes.safetensors     stored inputs (n, ...), such as uint8 pictures, and the logits (n, K) float32 they must give
    assets/HASH            what preprocessing needs beside its contract (a tokenizer), if anything, by its sha256
    card.md                the model card

An ensemble has, instead of weights and a contract of its own, members that are each such a folder and could be used
alone:

    model.json             kind "ensemble": how members are combined, their weights, and the sha256 of each one's
                           model.json (so of everything in it) and of every file below
    model.sha256           as above
    members/0, 1, ...      a model folder each; the stored inputs of all are views of the same items
    labels.json, card.md   as above
    probes.safetensors     the logits (n, K) float32 that the members' stored inputs must give together

A network that was pretrained without labels predicts nothing yet, and is a source:

    model.json             kind "pretrained", as the first
    model.safetensors      weights: "encoder.<name>", "output.<name>" of the layer that answered while it learned
    probes.safetensors     stored inputs (n, ...) and the features "pooled" (n, D) float32 they must give
    model.sha256, preprocessing.json, assets/HASH, card.md     as above

The hashes show damage and careless edits. They are no signature: who can rewrite the whole folder can rewrite them too.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from headstart.core.card import Architecture, Frozen, Input, SourceCard

FORMAT, ENSEMBLE_FORMAT, PRETRAINED_FORMAT = 1, 2, 3
"""A single model is still written so that the first headstart reads it; an ensemble is what the second can read."""

DESCRIPTION = "model.json"
SEAL = "model.sha256"
WEIGHTS = "model.safetensors"
PREPROCESSING = "preprocessing.json"
LABELS = "labels.json"
PROBES = "probes.safetensors"
CARD = "card.md"
MEMBERS = "members"
ASSETS = "assets"
LISTED = (WEIGHTS, PREPROCESSING, LABELS, PROBES, CARD)
"""The files whose hashes are in model.json."""
LISTED_OF_ENSEMBLE = (LABELS, PROBES, CARD)

TOLERANCE = 1e-3
"""Largest difference of a probe's logit, as a share of the largest stored logit (at least 1): far above what another
processor's rounding does, far below what a changed weight or operator does."""

Precision = Literal["float32", "bfloat16", "float16"]


class Description(Frozen):
    """model.json."""

    format: Literal[1] = 1
    headstart: str
    architecture: Architecture
    input: Input
    width: int = Field(ge=1)
    task: dict[str, Any]
    temperature: float = Field(1.0, gt=0)
    precision: Precision = "float32"
    source: SourceCard
    files: dict[str, str]


class MemberEntry(Frozen):
    """folder: of the member, below the ensemble's. sha256: of its model.json."""

    folder: str = Field(pattern=rf"^{MEMBERS}/[0-9]+$")
    weight: float
    sha256: str


class EnsembleDescription(Frozen):
    """model.json of an ensemble."""

    format: Literal[2] = 2
    kind: Literal["ensemble"] = "ensemble"
    headstart: str
    combine: Literal["logits", "probabilities"]
    members: tuple[MemberEntry, ...] = Field(min_length=2)
    task: dict[str, Any]
    temperature: float = Field(1.0, gt=0)
    files: dict[str, str]


class PretrainedDescription(Frozen):
    """model.json of a network that was pretrained without labels. objective: by which."""

    format: Literal[3] = 3
    kind: Literal["pretrained"] = "pretrained"
    headstart: str
    architecture: Architecture
    input: Input
    width: int = Field(ge=1)
    objective: str
    source: SourceCard
    files: dict[str, str]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def seal(description: bytes) -> bytes:
    """The content of model.sha256."""
    return f"{sha256(description)}  {DESCRIPTION}\n".encode()


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def writing(folder: Path) -> Path:
    """Where a model is written before it has proven itself."""
    return folder.with_name(f".{folder.name}.writing")


def previous(folder: Path) -> Path:
    """Where the model that is being replaced stays until the new one is in its place."""
    return folder.with_name(f".{folder.name}.previous")
