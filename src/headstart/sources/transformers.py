"""Hugging Face transformers: its networks of images, texts and sounds, from the hub or from a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from headstart.core import assets
from headstart.core.card import Architecture, Input, SourceCard, TextInput
from headstart.core.errors import SourceError, UserError, unknown_name
from headstart.core.extras import require
from headstart.core.source import Availability, Source
from headstart.nn.encoder import Encoder
from headstart.sources import huggingface_hub, readme, transformers_audio, transformers_image, transformers_text
from headstart.sources.catalog import hub_card
from headstart.sources.library import Library
from headstart.sources.measure import measure

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
README = "README.md"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
SENTENCES, POOLING = "sentence_bert_config.json", "1_Pooling/config.json"
"""What sentence-transformers adds to a folder: the length it was trained with, and how it pools."""

MODEL_TYPES = (*transformers_image.MODEL_TYPES, *transformers_text.MODEL_TYPES, *transformers_audio.MODEL_TYPES)


def the_library(purpose: str = "a source of Hugging Face transformers") -> Any:
    """The library itself, silent. Raises MissingExtra without it."""
    library = require("transformers", "transformers", purpose)
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


def build(architecture: Architecture, input: Input) -> Encoder:
    """The encoder with random weights.

    architecture.name: the model type; its options: the whole configuration, and of a text network what TextTransformer
    takes.
    """
    library = the_library()
    if architecture.name not in MODEL_TYPES:
        raise SourceError(unknown_name("transformers model type", architecture.name, MODEL_TYPES))
    options = {name: value for name, value in architecture.options.items() if name not in transformers_text.OPTIONS}
    config = library.AutoConfig.for_model(architecture.name, **options)
    if architecture.name == transformers_audio.WHISPER:
        return _encoder(transformers_audio.whisper_encoder(library, config), architecture, input).eval()
    return _encoder(library.AutoModel.from_config(config), architecture, input).eval()


def _encoder(network: Any, architecture: Architecture, input: Any) -> Encoder:
    if architecture.name in transformers_text.MODEL_TYPES:
        return transformers_text.TextTransformer(network, architecture, input)
    if architecture.name in transformers_audio.MODEL_TYPES:
        return transformers_audio.AudioTransformer(network, architecture, input)
    return transformers_image.ImageTransformer(network, architecture, input)


def describe(name: str) -> tuple[Architecture, Input]:
    """Architecture and preprocessing of a folder, or of a hub repository."""
    library, source = the_library(), f"transformers:{name}"
    folder = _file(name, CONFIG).parent
    config = library.AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type not in MODEL_TYPES:
        raise SourceError(f"{source}: {unknown_name('transformers model type', config.model_type, MODEL_TYPES)}")
    options = {k: v for k, v in json.loads(config.to_json_string()).items() if k not in _UNRELATED}
    input: Input
    if config.model_type in transformers_text.MODEL_TYPES:
        options["pooling"] = _pooling(name) or transformers_text.usual_pooling(config.model_type)
        input = _text_input(name, config)
        options["segments"] = _tells_texts_apart(assets.read(input.tokenizer))
    elif config.model_type in transformers_audio.MODEL_TYPES:
        input = transformers_audio.input_of(config, json.loads(_file(name, PROCESSOR).read_bytes()))
    else:
        _file(name, PROCESSOR)
        processor = library.AutoImageProcessor.from_pretrained(folder, local_files_only=True).to_dict()
        input = transformers_image.input_of(processor)
    return Architecture(library="transformers", name=config.model_type, options=options), input


_UNRELATED = frozenset(
    {"model_type", "transformers_version", "architectures", "dtype", "torch_dtype", "id2label", "label2id"}
)


def _text_input(name: str, config: Any) -> TextInput:
    said = _optional(name, SENTENCES).get("max_seq_length")
    length = transformers_text.length_of(config, _optional(name, TOKENIZER_CONFIG), said)
    return TextInput(tokenizer=assets.keep(_file(name, TOKENIZER).read_bytes()), length=length)


def _tells_texts_apart(tokenizer: bytes) -> bool:
    """Whether the network was given the number of the text of each token: its tokenizer says so of pairs."""
    said = json.loads(tokenizer).get("post_processor") or {}
    return said.get("type") == "BertProcessing" or '"type_id": 1' in json.dumps(said)


def _pooling(name: str) -> str | None:
    """How sentence-transformers pools this network; None where it does not say, or in a way that we do not have."""
    said = _optional(name, POOLING)
    ways = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "last": "pooling_mode_lasttoken"}
    return next((way for way, key in ways.items() if said.get(key)), None)


def _optional(name: str, file: str) -> dict[str, Any]:
    """The content of a JSON file that need not be there, or {}."""
    try:
        found = json.loads(_file(name, file).read_bytes())
    except (UserError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _readme(name: str) -> Path | None:
    try:
        return _file(name, README)
    except UserError:
        return None


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
        stated = readme.read(_readme(self.model))
        return SourceCard(
            name=f"transformers:{self.model}",
            modality=input.modality,
            architecture=architecture,
            input=input,
            license=stated.license,
            trained_on=stated.trained_on,
            languages=stated.languages if input.modality == "text" else "",
            origin=self.model if Path(self.model).is_dir() else f"https://huggingface.co/{self.model}",
            parameters=parameters,
            size_bytes=4 * parameters,
            width=width,
        )

    def availability(self) -> Availability:
        if Path(self.model).is_dir():
            return Availability(True, self.model)
        return huggingface_hub.availability(self.model, WEIGHTS)

    def load(self) -> Encoder:
        library = the_library()
        architecture, input = describe(self.model)
        folder = _file(self.model, WEIGHTS).parent
        with torch.random.fork_rng(devices=[]):
            network, info = library.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
            )
        missing = [name for name in info["missing_keys"] if not name.startswith(("pooler.", "masked_spec_embed"))]
        if missing or info["mismatched_keys"]:
            raise SourceError(
                f"source 'transformers:{self.model}': its weights do not fit its configuration; missing: "
                f"{', '.join(sorted(missing)[:4]) or 'none'}; of another shape: {len(info['mismatched_keys'])}."
            )
        return _encoder(network, architecture, input).eval()


LIBRARY = Library(build=build, source=TransformersSource, describe=describe)
