"""Checkpoints on this machine: wrappers come off, the old head is dropped, anything else that does not fit is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor

from headstart.core.card import ImageInput
from headstart.core.errors import ConfigError, SourceError
from headstart.sources import resolve

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    found: State = timm.create_model("test_resnet", num_classes=7).state_dict()
    return found


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda state: {"model": state},
        lambda state: {"model_state": {"state_dict": state}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {name: tensor for name, tensor in state.items() if not name.startswith("fc.")},
        lambda state: {name: tensor for name, tensor in state.items() if "num_batches" not in name},
    ],
)
def test_a_checkpoint_loads_however_it_is_wrapped(
    state: State, tmp_path: Path, wrap: Callable[[State], dict[str, object]]
) -> None:
    torch.save(wrap(state), tmp_path / "weights.pth")
    encoder = resolve(f"{tmp_path / 'weights.pth'}@timm:test_resnet").load()
    for name, tensor in encoder.get_submodule("network").state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_the_card_says_what_is_known(state: State, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(state, file)
    card = resolve(f"{file}@timm:test_resnet").card
    assert card.name == f"{file}@timm:test_resnet"
    assert (card.license, card.trained_on, card.width) == ("not stated", "not stated", 96)
    assert card.size_bytes == file.stat().st_size
    assert isinstance(card.input, ImageInput)
    assert card.input.crop == 160


def without(prefix: str) -> Callable[[State], State]:
    return lambda state: {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("layer3."), "missing: layer3.0.conv1.weight"),
        (lambda s: {**s, "layer3.9.conv1.weight": torch.zeros(1)}, "not of this network: layer3.9.conv1.weight"),
        (
            lambda s: {**s, "conv1.0.weight": torch.zeros(1)},
            "of another shape: conv1.0.weight (1,) instead of (",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    state: State, tmp_path: Path, change: Callable[[State], State], words: str
) -> None:
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(change(state), file)
    with pytest.raises(SourceError) as error:
        resolve(f"{file}@timm:test_resnet").load()
    assert words in str(error.value)
    assert "Name the architecture that they were trained with." in str(error.value)


class Trap:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, write: Callable[[object, Path], None]) -> None:
    trap = tmp_path / "sprung"
    file = tmp_path / "weights.pth"
    write({"state_dict": Trap(trap)}, file)
    with pytest.raises(SourceError, match="Code inside a checkpoint is never run"):
        resolve(f"{file}@timm:test_resnet").load()
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("weights.pth", b"", "no torch checkpoint of plain tensors"),
        ("weights.pth", b"PK\x03\x04 not a zip", "no torch checkpoint of plain tensors"),
        ("weights.safetensors", b"\xff" * 40, "no readable safetensors file"),
        ("weights.safetensors", b"", "no readable safetensors file"),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as error:
        resolve(f"{tmp_path / name}@timm:test_resnet").load()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_something_else_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2, 3], tmp_path / "weights.pth")
    with pytest.raises(SourceError, match="holds no state dict"):
        resolve(f"{tmp_path / 'weights.pth'}@timm:test_resnet").load()


def test_a_file_that_is_not_there_and_a_library_that_is_not_named(tmp_path: Path) -> None:
    source = resolve("nowhere.pth@timm:test_resnet")
    assert not source.availability().here
    with pytest.raises(SourceError, match=r"nowhere\.pth cannot be read: No such file"):
        source.load()
    with pytest.raises(
        SourceError, match=r"'test_resnet' names no library. Expected e.g. 'nowhere.pth@timm:test_resnet'"
    ):
        resolve("nowhere.pth@test_resnet").load()
    with pytest.raises(ConfigError, match="unknown library 'tim'"):
        resolve("nowhere.pth@tim:test_resnet").load()


def test_a_file_that_changes_after_its_card_was_read_is_refused(state: State, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(state, file)
    source = resolve(f"{file}@timm:test_resnet")
    assert source.card.sha256
    safetensors.torch.save_file({**state, "fc.bias": torch.ones(7)}, file)
    with pytest.raises(SourceError, match="damaged or was changed"):
        source.load()
