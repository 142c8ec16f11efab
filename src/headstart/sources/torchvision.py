"""Classification networks of torchvision, and its pretrained weights."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, get_type_hints

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.convnext import LayerNorm2d
from torchvision.transforms import InterpolationMode

from headstart.core.card import Architecture, ImageInput, Input, SourceCard
from headstart.core.errors import SourceError, unknown_name
from headstart.core.source import Availability, Source
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.sources.catalog import hub_card, torch_cache
from headstart.sources.library import Library, closest
from headstart.sources.measure import measure
from headstart.sources.reach import require_host
from headstart.sources.stages import Stages, by_structure
from headstart.sources.weights import fit_weights, head_of, read_tensors

_CHAINS = (
    models.AlexNet,
    models.ConvNeXt,
    models.DenseNet,
    models.EfficientNet,
    models.MNASNet,
    models.MobileNetV2,
    models.MobileNetV3,
    models.RegNet,
    models.ResNet,
    models.ShuffleNetV2,
    models.SqueezeNet,
    models.SwinTransformer,
    models.VGG,
)
"""Networks whose children, in order, are layers up to a feature map, then pooling, then a head."""
_HEADS = ("classifier", "fc", "head")
_SPINES = frozenset({"features", "layers", "trunk_output", "classifier"})


class TorchvisionEncoder(Encoder):
    """A torchvision network without its last linear layer; parameters keep torchvision's names below "network.".

    layers: keep only so many of `network.features` and pool what they give.
    """

    def __init__(self, network: Any, architecture: Architecture, input: Input, layers: int | None) -> None:
        super().__init__()
        self.architecture = architecture
        self.input = input
        self.network = network
        self._head = next(name for name in _HEADS if hasattr(network, name))
        old = getattr(network, self._head)
        if layers is None:
            self.width = _inputs(old)
            setattr(network, self._head, _without_last(old))
        else:
            network.features = network.features[:layers]
            network.avgpool = nn.AdaptiveAvgPool2d(1)
            setattr(network, self._head, nn.Sequential())
            self.width = [m.out_channels for m in network.features.modules() if isinstance(m, nn.Conv2d)][-1]
        children = [name for name, _ in network.named_children()]
        self._chain = tuple(takewhile(lambda name: name not in (self._head, "avgpool"), children))
        self._stages = Stages(network, by_structure(network, _SPINES))

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, 3, H, W) -> pooled (B, D); maps, one of (B, C, H, W)."""
        last = batch
        for name in self._chain:
            last = getattr(self.network, name)(last)
        if isinstance(self.network, models.DenseNet):
            last = nn.functional.relu(last)
        pool = getattr(self.network, "avgpool", None)
        pooled = pool(last) if pool is not None else last.mean((2, 3), keepdim=True)
        head = getattr(self.network, self._head)
        if not (len(head) and isinstance(head[0], LayerNorm2d)):
            pooled = pooled.flatten(1)
        return Features(head(pooled), maps=(last,))

    def stages(self) -> tuple[str, ...]:
        return self._stages.names

    def stage_of(self, name: str) -> int:
        return self._stages.of(name.removeprefix("network").removeprefix("."))


def _without_last(head: nn.Module) -> nn.Sequential:
    """What a head computes before its last linear layer, without the dropout in front of that."""
    layers = list(head) if isinstance(head, nn.Sequential) else []
    linear = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
    kept = layers[: linear[-1]] if linear else []
    while kept and isinstance(kept[-1], nn.Dropout):
        kept.pop()
    return nn.Sequential(*kept)


def _inputs(head: nn.Module) -> int:
    """D of what the last layer of a head takes."""
    last = [m for m in head.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    return last.in_features if isinstance(last, nn.Linear) else last.in_channels


def build(architecture: Architecture, input: Input) -> TorchvisionEncoder:
    """The encoder with random weights. architecture.options: "layers" as TorchvisionEncoder has it; the others go to
    torchvision's builder."""
    options = dict(architecture.options)
    layers = options.pop("layers", None)
    _check(architecture.name)
    if get_type_hints(models.get_model_builder(architecture.name))["return"] not in _CHAINS:
        raise SourceError(
            f"torchvision's {architecture.name!r} is not a plain chain of layers, which headstart needs. "
            f"timm has its kind too: see timm.list_models('{architecture.name[:3]}*') and use 'timm:NAME'."
        )
    with torch.device("cpu" if layers is None else "meta"):
        network = models.get_model(architecture.name, weights=None, **options)
    encoder = TorchvisionEncoder(network, architecture, input, layers)
    if layers is not None:
        encoder.apply(_draw)
    return encoder.eval()


def _draw(module: nn.Module) -> None:
    """Give a layer made on the meta device its memory and torchvision's initialisation of VGG."""
    if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
        module.to_empty(device="cpu").reset_parameters()
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check(name: str) -> None:
    known = models.list_models(models)
    if name not in known:
        raise SourceError(unknown_name("torchvision model", name, closest(name, known)))


def weights_of(name: str) -> Any:
    """torchvision's weights of "resnet18" (its default ones) or "resnet50.IMAGENET1K_V1". Raises SourceError."""
    model, _, tag = name.partition(".")
    _check(model)
    weights = models.get_model_weights(model)
    if tag and tag not in weights.__members__:
        raise SourceError(unknown_name(f"weights of torchvision's {model}", tag, weights.__members__))
    return weights[tag] if tag else weights.DEFAULT


def describe(name: str) -> tuple[Architecture, ImageInput]:
    """Architecture and preprocessing of "resnet18" or "resnet50.IMAGENET1K_V1"."""
    preset = weights_of(name).transforms()
    return Architecture(library="torchvision", name=name.partition(".")[0]), ImageInput(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        interpolation="bicubic" if preset.interpolation is InterpolationMode.BICUBIC else "bilinear",
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


@dataclass(frozen=True)
class TorchvisionSource(Source):
    """torchvision's own weights of a model: TorchvisionSource("resnet18"), or "resnet50.IMAGENET1K_V1"."""

    model: str

    @cached_property
    def card(self) -> SourceCard:
        return hub_card(f"torchvision:{self.model}") or self._card()

    def _card(self) -> SourceCard:
        architecture, input = describe(self.model)
        parameters, width = measure(architecture, input)
        meta = self._weights.meta
        return SourceCard(
            name=f"torchvision:{self.model}",
            modality="image",
            architecture=architecture,
            input=input,
            license="BSD-3-Clause",
            trained_on="ImageNet-1k",
            origin=self._weights.url,
            parameters=parameters,
            size_bytes=round(meta["_file_size"] * 2**20),
            width=width,
            source_accuracy=meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100,
        )

    @property
    def _weights(self) -> Any:
        return weights_of(self.model)

    @property
    def _file(self) -> Path:
        return Path(str(torch.hub.get_dir()), "checkpoints", self._weights.url.rpartition("/")[2])

    def availability(self) -> Availability:
        return torch_cache(self._weights.url)

    def load(self) -> Encoder:
        architecture, input = self.card.architecture, self.card.input
        tensors = self._tensors()
        with torch.random.fork_rng(devices=[]):
            encoder = build(architecture, input)
        fit_weights(encoder.network, tensors, self.card.name)
        return encoder

    def classifier(self) -> Callable[[Features], Tensor] | None:
        tensors = self._tensors()
        weight = [n for n, t in tensors.items() if n.startswith(_HEADS) and n.endswith(".weight") and t.ndim > 1][-1]
        return head_of(tensors[weight], tensors[f"{weight.removesuffix('.weight')}.bias"])

    def _tensors(self) -> dict[str, Tensor]:
        """Read after the hash in the file's name was checked; fetched first where it is absent."""
        file, url = self._file, self._weights.url
        prefix = re.search(r"-([0-9a-f]{8,})\.", file.name)
        if not file.is_file():
            require_host(url, self.card.name)
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(
                    url, str(file), hash_prefix=prefix and prefix[1], progress=sys.stderr.isatty()
                )
            except (OSError, RuntimeError) as error:
                raise SourceError(f"source {self.card.name!r}: {url} could not be fetched: {error}.") from None
        return read_tensors(file, self.card.name, sha256=prefix[1] if prefix else None)


LIBRARY = Library(build=build, source=TorchvisionSource, describe=describe)
