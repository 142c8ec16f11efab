"""aiSFX: a network that sorts the sounds of effects libraries (Ma and Lerch 2022): doors, weather, engines, animals."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from headstart.core.card import Architecture, AudioInput, Mel, SourceCard
from headstart.sources.packs.pack import ENCODER, Origin, Pack

if TYPE_CHECKING:
    from torch import Tensor

_SHA256 = "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5"
_SCALE = 9.457798957824707 * math.log(10)
"""Its spectrograms are log10(10 000 x + 1) / 9.4578, which is (ln(x + 1 / 10 000) + 4 ln 10) / (9.4578 ln 10)."""


def convert(data: bytes) -> dict[str, Tensor]:
    """The convolutions; the heads of its nine training sets, one beside the other, are left out."""
    import numpy as np
    import torch

    scalar = np.int64(0).__reduce__()[0]
    known: list[Any] = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, type(np.dtype(np.int64))]
    with torch.serialization.safe_globals(known):  # beside the tensors lie the numbers of its classes
        tensors, _ = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    start = "embedding_net."
    return {f"{ENCODER}network.{n.removeprefix(start)}": t for n, t in tensors.items() if n.startswith(start)}


AISFX = Pack(
    SourceCard(
        name="aisfx",
        modality="audio",
        architecture=Architecture(library="headstart", name="aisfx"),
        input=AudioInput(
            rate=44_100,
            seconds=5.0,
            any_length=True,
            level="peak",
            mel=Mel(
                bands=96,
                window=2048,
                hop=1024,
                scale="htk",
                norm="sum",
                edges="zeros",
                log="shift",
                floor=1e-4,
                mean=-4 * math.log(10),
                std=_SCALE,
            ),
        ),
        license="CC-BY-4.0 (weights), MIT (code)",
        trained_on="nine libraries of sound effects, by category",
        origin="https://pypi.org/project/aisfx/0.1.2/",
        sha256=_SHA256,
        parameters=4_686_144,
        size_bytes=24_900_277,
        width=512,
        paper="ISMIR 2022, Representation Learning for the Automatic Indexing of Sound Effects Libraries",
        notes="For sounds of things rather than speech.",
    ),
    Origin(
        distribution="aisfx",
        version="0.1.2",
        archive="bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194",
        file="models/checkpoint.pth",
        size=24_900_277,
        sha256=_SHA256,
    ),
    convert,
)
