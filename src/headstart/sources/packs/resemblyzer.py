"""Resemblyzer's speaker encoder: a recurrent network that tells voices apart (Wan et al. 2018)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from headstart.core.card import Architecture, AudioInput, Mel, SourceCard
from headstart.sources.packs.pack import ENCODER, Origin, Pack

if TYPE_CHECKING:
    from torch import Tensor

NAME = "resemblyzer"
_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
_LAYER = re.compile(r"lstm\.(\w+)_l(\d)")


def convert(data: bytes) -> dict[str, Tensor]:
    """`lstm.X_lN` -> `lstm.N.X_l0`; the scale of its similarities is left out."""
    from headstart.sources.weights import from_checkpoint

    tensors = from_checkpoint(data, "the package's checkpoint", NAME)
    named = {_LAYER.sub(r"lstm.\2.\1_l0", name): tensor for name, tensor in tensors.items()}
    return {f"{ENCODER}network.{name}": tensor for name, tensor in named.items() if not name.startswith("similarity_")}


RESEMBLYZER = Pack(
    SourceCard(
        name=NAME,
        modality="audio",
        architecture=Architecture(library="headstart", name="resemblyzer"),
        input=AudioInput(
            rate=16_000,
            seconds=5.0,
            any_length=True,
            level="speech",
            mel=Mel(bands=40, window=400, hop=160, edges="zeros", log="none"),
        ),
        license="Apache-2.0",
        trained_on="LibriSpeech, VoxCeleb1 and VoxCeleb2: who speaks",
        origin="https://pypi.org/project/resemblyzer/0.1.4/",
        sha256=_SHA256,
        parameters=1_423_616,
        size_bytes=17_090_379,
        width=256,
        paper="arXiv:1710.10467",
        notes="Hears who speaks rather than what is said.",
    ),
    Origin(
        distribution="resemblyzer",
        version="0.1.4",
        archive="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
        file="resemblyzer/pretrained.pt",
        size=17_090_379,
        sha256=_SHA256,
    ),
    convert,
)
