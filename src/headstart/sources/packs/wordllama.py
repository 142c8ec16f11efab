"""WordLlama (Miller 2024): the word vectors of large Llama models, distilled to 256 numbers a token.

A text is the mean of its tokens' vectors: no network to run, so thousands of texts a second on any machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.core.card import Architecture, SourceCard, TextInput
from headstart.sources.packs.pack import ENCODER, Asset, Origin, Pack
from headstart.sources.packs.tokenizer_json import without_specials

if TYPE_CHECKING:
    from torch import Tensor

_TOKENIZER = "4e2f2085d6693b5825724f41359455446914c0caa24f1b80764996b10d1a3264"


def convert(data: bytes) -> dict[str, Tensor]:
    """The one matrix, in single precision."""
    import safetensors.torch

    return {f"{ENCODER}network.embedding.weight": safetensors.torch.load(data)["embedding.weight"].float()}


def _origin(file: str, size: int, sha256: str) -> Origin:
    return Origin(
        distribution="wordllama",
        version="0.4.0.post1",
        archive="42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
        file=file,
        size=size,
        sha256=sha256,
        platform="manylinux2014_x86_64",
        python="3.11",
    )


_WEIGHTS = _origin(
    "weights/l2_supercat_256.safetensors",
    16_384_096,
    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)
_WORDS = _origin(
    "tokenizers/l2_supercat_tokenizer_config.json",
    1_842_796,
    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)

WORDLLAMA = Pack(
    SourceCard(
        name="wordllama",
        modality="text",
        architecture=Architecture(
            library="headstart", name="static-embedding", options={"vocabulary": 32_000, "width": 256}
        ),
        input=TextInput(tokenizer=_TOKENIZER, length=512),
        license="MIT",
        trained_on="sentence pairs, from the token vectors of Llama 2 and its kin",
        origin="https://pypi.org/project/wordllama/0.4.0.post1/",
        sha256=_WEIGHTS.sha256,
        parameters=8_192_000,
        size_bytes=_WEIGHTS.size,
        width=256,
        notes="Word vectors only: it does not know the order of words, and it is as fast as reading.",
    ),
    _WEIGHTS,
    convert,
    (Asset(_TOKENIZER, _WORDS, without_specials),),
)
