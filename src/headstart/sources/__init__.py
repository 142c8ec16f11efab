"""Pretrained models that can be reused: libraries of architectures, packs of weights, files, earlier runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headstart.core.errors import SourceError, unknown_name
from headstart.core.registry import Registry

if TYPE_CHECKING:
    from headstart.core.card import Architecture, Input
    from headstart.core.source import Source
    from headstart.nn.encoder import Encoder
    from headstart.sources.library import Library

LIBRARIES: Registry[Library] = Registry(
    "library",
    {
        "headstart": "headstart.sources.own:LIBRARY",
        "spectrogram": "headstart.sources.spectrogram:LIBRARY",
        "timm": "headstart.sources.timm:LIBRARY",
        "torchvision": "headstart.sources.torchvision:LIBRARY",
        "transformers": "headstart.sources.transformers:LIBRARY",
        "words": "headstart.sources.words:LIBRARY",
    },
    group="headstart.libraries",
)

PACKS: Registry[Source] = Registry(
    "source",
    {
        "aisfx": "headstart.sources.packs.aisfx:AISFX",
        "e5-small-multilingual": "headstart.sources.packs.e5:E5_SMALL_MULTILINGUAL",
        "efficientnet-lite0": "headstart.sources.packs.efficientnet_lite:LITE0",
        "efficientnet-lite1": "headstart.sources.packs.efficientnet_lite:LITE1",
        "efficientnet-lite2": "headstart.sources.packs.efficientnet_lite:LITE2",
        "minilm-l3": "headstart.sources.packs.minilm:MINILM_L3",
        "minilm-l6": "headstart.sources.packs.minilm:MINILM_L6",
        "resemblyzer": "headstart.sources.packs.resemblyzer:RESEMBLYZER",
        "smollm2-135m": "headstart.sources.packs.smollm2:SMOLLM2_135M",
        "squeezenet1_1": "headstart.sources.packs.squeezenet:SQUEEZENET1_1",
        "use-multilingual": "headstart.sources.packs.use_multilingual:USE_MULTILINGUAL",
        "vgg16-craft": "headstart.sources.packs.vgg16_craft:VGG16_CRAFT",
        "whisper-tiny.en": "headstart.sources.packs.whisper:WHISPER_TINY_EN",
        "wordllama": "headstart.sources.packs.wordllama:WORDLLAMA",
    },
    group="headstart.sources",
)

_WEIGHT_FILES = (".safetensors", ".pth", ".pt", ".bin")
_FORMS = (
    "a source is a name of `headstart sources list`, 'timm:NAME', 'torchvision:NAME', 'transformers:OWNER/NAME', "
    "a weights file with its architecture ('FILE.safetensors@timm:resnet18'), or the folder of an earlier run"
)


def build(architecture: Architecture, input: Input) -> Encoder:
    """The encoder of an architecture with random weights, drawn from torch's current generator.

    Raises ConfigError for an unknown library, SourceError for an architecture that the library does not have.
    """
    return LIBRARIES[architecture.library].build(architecture, input)


def resolve(name: str) -> Source:
    """The source of a name, without loading it.

    name: a pack ("efficientnet-lite0"), "LIBRARY:NAME", "FILE@LIBRARY:NAME", the folder of a run or of its model,
    or a bare timm name ("resnet18.a1_in1k"). Raises SourceError naming the closest sources that exist.
    """
    if name in PACKS:
        return PACKS[name]
    if name in ("mlp", "resnet", "ft-transformer", "lstm"):
        return LIBRARIES["headstart"].source(name)
    file, at, architecture = name.rpartition("@")
    if at and (file.endswith(_WEIGHT_FILES) or Path(file).is_file()):
        from headstart.sources.local import LocalSource

        return LocalSource(Path(file), architecture)
    library, colon, rest = name.partition(":")
    if colon and library in LIBRARIES:
        return LIBRARIES[library].source(rest)
    if Path(name).is_dir():
        from headstart.sources.run import RunSource

        return RunSource(Path(name))
    if name.endswith(_WEIGHT_FILES):
        raise SourceError(f"{name!r} does not say which network its weights fit. Expected e.g. '{name}@timm:resnet18'.")
    if not colon and "/" not in name:
        from headstart.sources.timm import TimmSource, knows

        if knows(name):
            return TimmSource(name)
    raise SourceError(unknown_name("source", name, PACKS, f"In general, {_FORMS}."))
