"""An earlier run of headstart as a source: its encoder, with what is known of where that came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from headstart.core import assets
from headstart.core.card import Architecture, SourceCard, input_from_json
from headstart.core.errors import SourceError
from headstart.core.source import Availability, Output, Source
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.sources import build
from headstart.sources.weights import fit_weights, from_safetensors, head_of, read_bytes

DESCRIPTION, SEAL, WEIGHTS, LABELS = "model.json", "model.sha256", "model.safetensors", "labels.json"
FORMAT, PRETRAINED_FORMAT = 1, 3
OUTPUT = "output."
"""What the tensors of an output layer are called in the file of a pretrained network."""
_SHOWN = 8
"""So many outputs are named on the card."""


@dataclass(frozen=True)
class RunSource(Source):
    """folder: of a run, or of the model in it."""

    folder: Path

    @property
    def _model(self) -> Path:
        inner = self.folder / "model"
        return inner if (inner / DESCRIPTION).is_file() else self.folder

    @cached_property
    def _described(self) -> dict[str, Any]:
        """model.json, after its seal was checked."""
        file = self._model / DESCRIPTION
        if not file.is_file():
            raise SourceError(
                f"{self.folder} is no source: it has no {DESCRIPTION}. Expected the folder of a finished run, or its "
                f"model/. For a folder of transformers use 'transformers:{self.folder}'."
            )
        data = read_bytes(file, str(self.folder))
        seal = read_bytes(self._model / SEAL, str(self.folder)).decode(errors="replace").split()
        if not seal or seal[0] != hashlib.sha256(data).hexdigest():
            raise SourceError(f"{file} is damaged or was changed: it does not match {SEAL}. It is refused; fit again.")
        found = json.loads(data)
        if found.get("kind") == "ensemble":
            members = ", ".join(str(self._model / member["folder"]) for member in found["members"])
            raise SourceError(
                f"{self.folder} holds an ensemble, which has no one encoder to reuse. Take one of its members as the "
                f"source: {members}."
            )
        if found.get("format") not in (FORMAT, PRETRAINED_FORMAT):
            raise SourceError(
                f"{file} is of format {found.get('format')!r}; this headstart reads {FORMAT} and {PRETRAINED_FORMAT}."
            )
        assets.look_in(self._model / assets.FOLDER)
        return dict(found)

    @cached_property
    def card(self) -> SourceCard:
        found = self._described
        try:
            before = SourceCard.model_validate(found["source"])
            if found["format"] == PRETRAINED_FORMAT:
                update = {"name": str(self.folder), "origin": f"{self.folder}, from {before.name} ({before.origin})"}
                return before.model_copy(update={**update, "sha256": found["files"][WEIGHTS]})
            labels = read_bytes(self._model / LABELS, str(self.folder), found["files"][LABELS])
            outputs = [str(name) for name in json.loads(labels)]
            more = ", ..." if len(outputs) > _SHOWN else ""
            then = f"{found['task']['name']} ({', '.join(outputs[:_SHOWN])}{more})"
            return before.model_copy(
                update={
                    "name": str(self.folder),
                    "architecture": Architecture.model_validate(found["architecture"]),
                    "input": input_from_json(found["input"]),
                    "width": int(found["width"]),
                    "sha256": found["files"][WEIGHTS],
                    "trained_on": f"{before.trained_on}, then {then}" if before.pretrained else then,
                    "pretrained": True,
                    "origin": f"{self.folder}, from {before.name} ({before.origin})",
                    "size_bytes": (self._model / WEIGHTS).stat().st_size,
                    "source_accuracy": None,
                }
            )
        except (KeyError, TypeError, ValidationError, OSError) as error:
            raise SourceError(f"{self._model / DESCRIPTION} does not describe a model: {error}") from None

    def availability(self) -> Availability:
        file = self._model / WEIGHTS
        return Availability(file.is_file(), str(file) if file.is_file() else f"{file} is missing; fit again")

    def load(self) -> Encoder:
        tensors = self._tensors()
        with torch.random.fork_rng(devices=[]):
            encoder = build(self.card.architecture, self.card.input)
        inside = {n.removeprefix("encoder."): t for n, t in tensors.items() if n.startswith("encoder.")}
        fit_weights(encoder, inside, self.card.name)
        return encoder

    def output_layer(self) -> Output | None:
        if self._described["format"] != PRETRAINED_FORMAT:
            return None
        tensors = {n.removeprefix(OUTPUT): t for n, t in self._tensors().items() if n.startswith(OUTPUT)}
        return Output(str(self._described["objective"]), tensors)

    def classifier(self) -> Callable[[Features], Tensor] | None:
        if self._described["format"] == PRETRAINED_FORMAT:
            return None
        tensors = self._tensors()
        return head_of(tensors["head.weight"], tensors["head.bias"])

    def _tensors(self) -> dict[str, Tensor]:
        file = self._model / WEIGHTS
        return from_safetensors(read_bytes(file, self.card.name, self.card.sha256), file, self.card.name)
