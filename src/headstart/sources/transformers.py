"""Image networks of Hugging Face transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.core.card import Architecture, ImageInput, SourceCard
from headstart.core.errors import SourceError, unknown_name
from headstart.core.extras import require
from headstart.core.source import Availability, Source
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.sources import huggingface_hub
from headstart.sources.catalog import hub_card
from headstart.sources.library import Library
from headstart.sources.measure import measure
from headstart.sources.stages import Stages, by_structure

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"

MODEL_TYPES = (
    "beit",
    "convnext",
    "convnextv2",
    "deit",
    "dinov2",
    "dinov2_with_registers",
    "resnet",
    "swin",
    "swinv2",
    "vit",
)


class TransformersEncoder(Encoder):
    """A transformers image backbone. A tanh pooler that no checkpoint of a classifier trains is left out."""

    def __init__(self, network: Any, architecture: Architecture, input: ImageInput) -> None:
        super().__init__()
        pooler = getattr(network, "pooler", None)
        if pooler is not None and any(isinstance(m, nn.Linear) for m in pooler.modules()):
            network.pooler = None
        self.network = network
        self.architecture = architecture
        self.input = input
        sizes = getattr(network.config, "hidden_sizes", None)
        self.width = int(sizes[-1] if sizes else network.config.hidden_size)
        self._stages = Stages(network, by_structure(network))

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 3, H, W) -> pooled (B, D), the class token where nothing pools; tokens (B, T, D) or one map."""
        output = self.network(pixel_values=batch)
        last = output.last_hidden_state
        pooled = last[:, 0] if output.pooler_output is None else output.pooler_output.flatten(1)
        return Features(pooled, maps=(last,)) if last.ndim == 4 else Features(pooled, tokens=last)

    def stages(self) -> tuple[str, ...]:
        return self._stages.names

    def stage_of(self, name: str) -> int:
        return self._stages.of(name.removeprefix("network").removeprefix("."))


def _library() -> Any:
    library = require("transformers", "transformers", "a source of Hugging Face transformers")
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


def build(architecture: Architecture, input: ImageInput) -> TransformersEncoder:
    """The encoder with random weights. architecture.name: the model type; its options: the whole configuration."""
    library = _library()
    if architecture.name not in MODEL_TYPES:
        raise SourceError(unknown_name("transformers image model type", architecture.name, MODEL_TYPES))
    config = library.AutoConfig.for_model(architecture.name, **architecture.options)
    return TransformersEncoder(library.AutoModel.from_config(config), architecture, input).eval()


def describe(name: str) -> tuple[Architecture, ImageInput]:
    """Architecture and preprocessing of a folder, or of a hub repository."""
    library, source = _library(), f"transformers:{name}"
    folder = _file(name, CONFIG).parent
    config = library.AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type not in MODEL_TYPES:
        raise SourceError(f"{source}: {unknown_name('transformers image model type', config.model_type, MODEL_TYPES)}")
    _file(name, PROCESSOR)
    processor = library.AutoImageProcessor.from_pretrained(folder, local_files_only=True).to_dict()
    options = {k: v for k, v in json.loads(config.to_json_string()).items() if k not in _UNRELATED}
    return Architecture(library="transformers", name=config.model_type, options=options), input_of(processor)


_UNRELATED = frozenset(
    {"model_type", "transformers_version", "architectures", "dtype", "torch_dtype", "id2label", "label2id"}
)


def input_of(processor: Mapping[str, Any]) -> ImageInput:
    """The contract of an image processor's configuration. One that squashes to a square is taken to crop it."""
    size = processor["size"]
    short = int(size.get("shortest_edge") or min(size["height"], size["width"]))
    crop = processor.get("crop_size") if processor.get("do_center_crop") else None
    share = processor.get("crop_pct")
    return ImageInput(
        resize=int(short / share) if share and short < 384 else short,
        crop=int(crop["height"]) if crop else short,
        interpolation="bilinear" if processor.get("resample") == 2 else "bicubic",
        mean=tuple(processor["image_mean"]),
        std=tuple(processor["image_std"]),
    )


def _file(name: str, file: str) -> Path:
    """A file of a folder, or of a hub repository."""
    folder = Path(name)
    if not folder.is_dir():
        return huggingface_hub.fetch(name, file, f"transformers:{name}")
    if not (folder / file).is_file():
        raise SourceError(
            f"source 'transformers:{name}': the folder has no {file}. Expected what save_pretrained writes."
        )
    return folder / file


@dataclass(frozen=True)
class TransformersSource(Source):
    """A repository of the hub ("google/vit-base-patch16-224") or a folder that `save_pretrained` wrote."""

    model: str

    @cached_property
    def card(self) -> SourceCard:
        return hub_card(f"transformers:{self.model}") or self._card()

    def _card(self) -> SourceCard:
        architecture, input = describe(self.model)
        parameters, width = measure(architecture, input)
        local = Path(self.model).is_dir()
        return SourceCard(
            name=f"transformers:{self.model}",
            modality="image",
            architecture=architecture,
            input=input,
            license="not stated" if local else "see its page on the hub",
            trained_on="not stated" if local else "see its page on the hub",
            origin=self.model if local else f"https://huggingface.co/{self.model}",
            parameters=parameters,
            size_bytes=4 * parameters,
            width=width,
        )

    def availability(self) -> Availability:
        if Path(self.model).is_dir():
            return Availability(True, self.model)
        return huggingface_hub.availability(self.model, WEIGHTS)

    def load(self) -> Encoder:
        library = _library()
        architecture, input = describe(self.model)
        folder = _file(self.model, WEIGHTS).parent
        with torch.random.fork_rng(devices=[]):
            network, info = library.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
            )
        missing = [name for name in info["missing_keys"] if not name.startswith("pooler.")]
        if missing or info["mismatched_keys"]:
            raise SourceError(
                f"source 'transformers:{self.model}': its weights do not fit its configuration; missing: "
                f"{', '.join(sorted(missing)[:4]) or 'none'}; of another shape: {len(info['mismatched_keys'])}."
            )
        return TransformersEncoder(network, architecture, input).eval()


LIBRARY = Library(build=build, source=TransformersSource, describe=describe)
