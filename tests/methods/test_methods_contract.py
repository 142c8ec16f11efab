"""The contract suite over every registered method, on a tiny source."""

from __future__ import annotations

import copy

import pytest

from headstart.methods import METHODS, make_method
from headstart.nn.encoder import Encoder
from headstart.testing.methods import CHECKS, Check
from headstart.testing.sources import tiny_source

ENCODER = tiny_source().load()


def tiny() -> Encoder:
    return copy.deepcopy(ENCODER)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(name: str, check: Check) -> None:
    check(make_method(name), tiny)
