"""The contract suite over every registered method, on a tiny source of each modality."""

from __future__ import annotations

import copy
from functools import cache

import pytest

from headstart.methods import METHODS, make_method
from headstart.nn.encoder import Encoder
from headstart.sources.words import by_word
from headstart.testing.methods import CHECKS, Check
from headstart.testing.sources import tiny_audio_source, tiny_source, tiny_table_source, tiny_text_source

SOURCES = {
    "image": tiny_source,
    "text": tiny_text_source,
    "words": lambda: by_word(tiny_text_source()),
    "audio": tiny_audio_source,
    "table": tiny_table_source,
}


@cache
def loaded(modality: str) -> Encoder:
    return SOURCES[modality]().load()


@pytest.mark.parametrize("modality", SOURCES)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(name: str, check: Check, modality: str) -> None:
    check(make_method(name), lambda: copy.deepcopy(loaded(modality)))
