"""An earlier run as a source: its encoder and its history are carried over, whatever was changed is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from headstart.artifacts.load import load_model
from headstart.core.errors import SourceError
from headstart.sources import resolve
from headstart.testing.models import save_tiny_ensemble, save_tiny_model
from headstart.testing.sources import random_batch, tiny_source


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_tiny_model(tmp_path / "run" / "model")
    return tmp_path / "run"


@pytest.mark.parametrize("inner", ["", "model"])
def test_encoder_and_head_are_those_of_the_model(run: Path, inner: str) -> None:
    source = resolve(str(run / inner))
    encoder = source.load()
    model = load_model(run, device="cpu").members[0].model
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(encoder.state_dict()[name], tensor), name
    head = source.classifier()
    assert head is not None
    with torch.no_grad():
        batch = random_batch(encoder.input)
        torch.testing.assert_close(head(encoder(batch)), model(batch), rtol=1e-4, atol=1e-4)


def test_the_card_tells_the_whole_history(run: Path) -> None:
    card, before = resolve(str(run)).card, tiny_source().card
    assert card.name == str(run)
    assert card.license == before.license
    assert card.trained_on == f"{before.trained_on}, then image-classification (cat, dog, owl)"
    assert before.name in card.origin
    assert (card.architecture, card.input, card.width) == (before.architecture, before.input, before.width)
    assert card.sha256 == hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_many_classes_are_not_all_named(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model", classes=[f"class{i:02d}" for i in range(12)])
    assert resolve(str(tmp_path)).card.trained_on.endswith("class06, class07, ...)")


def flip_last_byte(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "labels.json", "model.sha256"])
def test_a_changed_file_is_refused_by_name(run: Path, name: str) -> None:
    path = run / "model" / name
    if name == "model.sha256":
        path.write_text("0" * 64)
    else:
        flip_last_byte(path)
    with pytest.raises(SourceError, match="damaged or was changed") as error:
        resolve(str(run)).load()
    assert name in str(error.value)


def reseal(run: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change model.json and its seal with it."""
    file = run / "model" / "model.json"
    described = json.loads(file.read_text())
    change(described)
    file.write_text(json.dumps(described))
    (run / "model" / "model.sha256").write_text(hashlib.sha256(file.read_bytes()).hexdigest())


def test_another_format_and_an_incomplete_description_are_refused(run: Path) -> None:
    reseal(run, lambda described: described.update(format=9))
    with pytest.raises(SourceError, match="is of format 9; this headstart reads 1 and 3"):
        resolve(str(run)).load()
    reseal(run, lambda described: described.update(format=1, source={"name": "x"}))
    with pytest.raises(SourceError, match="does not describe a model"):
        _ = resolve(str(run)).card


def test_an_ensemble_names_the_members_that_are_sources(tmp_path: Path) -> None:
    model = save_tiny_ensemble(tmp_path / "run" / "model")
    with pytest.raises(SourceError, match="holds an ensemble, which has no one encoder") as error:
        resolve(str(tmp_path / "run")).load()
    for number, name in enumerate(("tiny-0", "tiny-1")):
        member = model / "members" / str(number)
        assert str(member) in str(error.value)
        assert name in resolve(str(member)).card.origin


def test_a_folder_that_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no source: it has no model\.json.*'transformers:"):
        resolve(str(tmp_path)).load()


def test_missing_weights_are_seen_before_loading(run: Path) -> None:
    (run / "model" / "model.safetensors").unlink()
    assert not resolve(str(run)).availability().here
