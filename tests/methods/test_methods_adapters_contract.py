"""The contract suite over every registered shallow adapter."""

from __future__ import annotations

import pytest

from headstart.core.errors import ConfigError, MissingExtra
from headstart.methods.adaptation.shallow import ADAPTERS
from headstart.methods.adaptation.shallow.base import Correction, Predictor, Transform, Weighting
from headstart.testing.adapters import CHECKS, Check


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(name: str, check: Check) -> None:
    try:
        check(ADAPTERS[name])
    except MissingExtra as error:
        pytest.skip(str(error))


def test_every_adapter_is_known_by_its_name() -> None:
    assert {adapter.name for adapter in ADAPTERS.values()} == set(ADAPTERS)
    kinds = [kind for adapter in ADAPTERS.values() for kind in adapter.__mro__[1:3]]
    assert {Transform, Weighting, Predictor, Correction} <= set(kinds)
    with pytest.raises(ConfigError, match=r"unknown shallow adaptation method 'corall'. Did you mean 'coral'"):
        ADAPTERS["corall"]
