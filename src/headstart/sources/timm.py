"""Image networks of timm: any of its architectures, and its pretrained weights from the Hugging Face hub."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from timm.models import group_parameters
from torch import Tensor, nn

from headstart.core.card import Architecture, ImageInput, Input, SourceCard
from headstart.core.errors import SourceError, unknown_name
from headstart.core.source import Availability, Source
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.sources import huggingface_hub
from headstart.sources.catalog import hub_card
from headstart.sources.library import Library, closest
from headstart.sources.measure import measure
from headstart.sources.stages import Stage, Stages, by_structure, join_small, named

WEIGHTS = "model.safetensors"


class TimmEncoder(Encoder):
    """A timm network without its classifier.

    network: made with `num_classes=0`. Its maps are given as (B, C, H, W) also where the network works channels-last.
    """

    def __init__(self, network: Any, architecture: Architecture, input: Input) -> None:
        super().__init__()
        self.network = network
        self.architecture = architecture
        self.input = input
        self.width = int(getattr(network, "head_hidden_size", None) or network.num_features)
        self._stages = Stages(network, stages(network))

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 3, H, W) -> pooled (B, D); maps, one of (B, C, H, W), or tokens (B, T, D), class token first."""
        last = self.network.forward_features(batch)
        maps: tuple[Tensor, ...] = ()
        if isinstance(last, Tensor) and last.ndim == 4:
            channels_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
            maps = (last.permute(0, 3, 1, 2) if channels_last else last,)
            last = maps[0].permute(0, 2, 3, 1) if channels_last else last  # what is pooled depends on the map
        pooled = self.network.forward_head(last, pre_logits=True)
        return Features(pooled, tokens=last if isinstance(last, Tensor) and last.ndim == 3 else None, maps=maps)

    def stages(self) -> tuple[str, ...]:
        return self._stages.names

    def stage_of(self, name: str) -> int:
        return self._stages.of(name.removeprefix("network").removeprefix("."))


def stages(network: Any) -> list[Stage]:
    """The stages of a timm network by its own coarse group matcher; a last convolution is a stage of its own."""
    if not hasattr(network, "group_matcher"):
        return by_structure(network)
    groups: dict[int, list[str]] = group_parameters(network, network.group_matcher(coarse=True))
    found: list[Stage] = []
    for number in sorted(groups):
        for names in _by_child(groups[number]) if number else [groups[number]]:
            found.append(Stage(f"{number}", tuple(names)))
    first, *others = join_small(network, found)
    return named([replace(first, name="stem"), *others])


def _by_child(names: list[str]) -> list[list[str]]:
    """Parameter names by the network's child that holds them."""
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.partition(".")[0], []).append(name)
    return list(parts.values())


def knows(name: str) -> bool:
    """Whether timm has an architecture of this name, with or without a weights tag."""
    return bool(timm.is_model(name))


def build(architecture: Architecture, input: Input) -> TimmEncoder:
    """The encoder with random weights. architecture.options go to `timm.create_model`."""
    _check(architecture.name)
    network = timm.create_model(architecture.name, **{"num_classes": 0, **architecture.options})
    return TimmEncoder(network, architecture, input).eval()


def _check(name: str) -> None:
    if not knows(name):
        close = closest(name, timm.list_models())
        raise SourceError(unknown_name("timm model", name, close, "All of them: timm.list_models()."))


def input_of(config: dict[str, Any]) -> ImageInput:
    """The preprocessing contract of a timm pretrained configuration."""
    resolved = resolve_data_config(pretrained_cfg=config)
    crop = int(resolved["input_size"][-1])
    return ImageInput(
        resize=math.floor(crop / resolved["crop_pct"]),
        crop=crop,
        interpolation="bilinear" if resolved["interpolation"] == "bilinear" else "bicubic",
        mean=resolved["mean"],
        std=resolved["std"],
    )


def describe(name: str) -> tuple[Architecture, ImageInput]:
    """Architecture and preprocessing of a timm name, with or without a weights tag."""
    architecture = Architecture(library="timm", name=name)
    _check(name)
    config = timm.get_pretrained_cfg(name)
    return architecture, input_of(config.to_dict() if config else {})


@dataclass(frozen=True)
class TimmSource(Source):
    """timm's own pretrained weights of a model, e.g. TimmSource("resnet18.a1_in1k")."""

    model: str

    @cached_property
    def card(self) -> SourceCard:
        return hub_card(f"timm:{self.model}") or _card(self.model, self._config)

    @cached_property
    def _config(self) -> dict[str, Any]:
        found = timm.get_pretrained_cfg(self.model) if knows(self.model) else None
        if found is None or not (found.hf_hub_id or found.url):
            close = closest(self.model, timm.list_pretrained())
            raise SourceError(
                unknown_name("pretrained timm model", self.model, close, "All of them: timm.list_pretrained().")
            )
        config: dict[str, Any] = found.to_dict()
        return config

    @property
    def _repository(self) -> str:
        return str(self._config.get("hf_hub_id") or f"timm/{self.model}")

    def availability(self) -> Availability:
        return huggingface_hub.availability(self._repository, WEIGHTS)

    def load(self) -> Encoder:
        return TimmEncoder(self._pretrained(num_classes=0), self.card.architecture, self.card.input)

    def classifier(self) -> Callable[[Features], Tensor] | None:
        head = self._pretrained().get_classifier()
        return (lambda features: head(features.pooled)) if isinstance(head, nn.Linear) else None

    def _pretrained(self, **options: Any) -> Any:
        """The network with weights; timm itself fits the file to the architecture."""
        file = huggingface_hub.fetch(self._repository, WEIGHTS, f"timm:{self.model}")
        overlay = {"file": str(file), "custom_load": False}
        options = {**self.card.architecture.options, **options}
        with torch.random.fork_rng(devices=[]):
            return timm.create_model(self.model, pretrained=True, pretrained_cfg_overlay=overlay, **options).eval()


def _card(model: str, config: dict[str, Any]) -> SourceCard:
    architecture, input = describe(model)
    parameters, width = measure(architecture, input)
    return SourceCard(
        name=f"timm:{model}",
        modality="image",
        architecture=architecture,
        input=input,
        license=config.get("license") or "not stated",
        trained_on=trained_on(config.get("tag") or ""),
        origin=f"https://huggingface.co/{config.get('hf_hub_id') or f'timm/{model}'}",
        parameters=parameters,
        size_bytes=4 * parameters,
        width=width,
        paper=config.get("paper_ids") if isinstance(config.get("paper_ids"), str) else None,
    )


_DATA = {
    "in1k": "ImageNet-1k",
    "in12k": "ImageNet-12k",
    "in21k": "ImageNet-21k",
    "in22k": "ImageNet-22k",
    "lvd142m": "LVD-142M, no labels",
    "lvd1689m": "LVD-1689M, no labels",
    "laion2b": "LAION-2B image-text pairs",
    "openai": "WebImageText image-text pairs",
    "webli": "WebLI image-text pairs",
}


def trained_on(tag: str) -> str:
    """What a timm weights tag says of the training data: "fb_in22k_ft_in1k" -> "ImageNet-22k, then ImageNet-1k"."""
    named = [_DATA[part] for part in tag.split("_") if part in _DATA]
    return ", then ".join(named) or (f"see the weights tag {tag!r}" if tag else "not stated")


LIBRARY = Library(build=build, source=TimmSource, describe=describe)
