"""Pooling, and the text networks that are our own code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from headstart.core import assets
from headstart.core.card import TextInput
from headstart.nn.pooling import pool
from headstart.nn.static_embedding import StaticEmbedding
from headstart.nn.use_multilingual import UseMultilingual, windows
from headstart.testing.sources import random_batch, tiny_tokenizer

REAL = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", [2.0, 1.5, 0.0]), ("cls", [1.0, 1.0, 1.0]), ("last", [3.0, 2.0, 1.0])]
)
def test_padding_does_not_count(how: str, expected: list[float]) -> None:
    tokens = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1).expand(3, 3, 2)
    assert pool(tokens, REAL, how).tolist() == [[value] * 2 for value in expected]


def test_windows_reach_back_and_ahead_and_see_nothing_beyond() -> None:
    x = torch.arange(1.0, 5.0).view(1, 4, 1)
    assert windows(x, 3, 1)[0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 0]]
    assert windows(x, 2, 0)[0].tolist() == [[1, 2], [2, 3], [3, 4], [4, 0]]


def contract() -> TextInput:
    return TextInput(tokenizer=assets.keep(tiny_tokenizer()), length=16)


def slow(network: UseMultilingual, ids: list[int]) -> Tensor:
    """One text, token by token, as the paper's figure has it."""
    words = [network.embedding.weight[i] for i in ids]
    branches = [network.settle(network.project(word)).split(8) for word in words]
    wide: list[list[Tensor]] = [[] for _ in words]
    for number, (size, before) in enumerate(((2, 0), (3, 1), (5, 2))):
        line = [parts[number] for parts in branches]
        for layer in (network.near.layers[number], network.far.layers[number]):
            around = [
                torch.cat(
                    [line[j] if 0 <= j < len(line) else torch.zeros(8) for j in range(i - before, i - before + size)]
                )
                for i in range(len(line))
            ]
            line = [x + layer(seen).relu() for x, seen in zip(line, around, strict=True)]
        for i, x in enumerate(line):
            wide[i].append(x)
    seen = [network.output(network.normalise(torch.cat([w, *parts]))) for w, parts in zip(words, wide, strict=True)]
    total = torch.stack(seen).sum(0) / len(ids) ** 0.5
    sentence = network.upper(network.lower(total).relu()).tanh()
    result: Tensor = sentence / sentence.norm()
    return result


def test_the_sentence_encoder_is_what_it_is_token_by_token() -> None:
    torch.manual_seed(0)
    sizes = {"vocabulary": 200, "words": 12, "branch": 8, "hidden": 10, "width": 14}
    network = UseMultilingual(**sizes)
    batch = random_batch(contract(), 3)
    with torch.no_grad():
        found = network(batch).pooled
        for row, vector in zip(batch, found, strict=True):
            torch.testing.assert_close(vector, slow(network, row[0, row[1] >= 0].tolist()), rtol=1e-5, atol=1e-6)


def test_word_vectors_are_averaged() -> None:
    torch.manual_seed(0)
    network = StaticEmbedding(vocabulary=200, width=6)
    batch = random_batch(contract(), 2)
    with torch.no_grad():
        for row, vector in zip(batch, network(batch).pooled, strict=True):
            words = network.embedding.weight[row[0, row[1] >= 0]]
            torch.testing.assert_close(vector, words.mean(0))
