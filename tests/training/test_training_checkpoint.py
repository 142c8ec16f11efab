"""Checkpoints are whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headstart.core.errors import ArtifactError
from headstart.training import checkpoint
from headstart.training.optim import make_optimizer


def test_tensors_and_facts_come_back(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(3, 4).to(torch.bfloat16),
        "b": torch.arange(3),
        "c": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    }
    checkpoint.save(tmp_path / "x.safetensors", tensors, {"step": 3, "name": "é", "best": 0.1 + 0.2})
    found, facts = checkpoint.load(tmp_path / "x.safetensors")
    assert facts == {"step": 3, "name": "é", "best": 0.1 + 0.2}
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_tied_tensors_are_kept_apart(tmp_path: Path) -> None:
    shared = torch.ones(2)
    checkpoint.save(tmp_path / "x.safetensors", {"a": shared, "b": shared}, {})
    assert set(checkpoint.load(tmp_path / "x.safetensors")[0]) == {"a", "b"}


def test_a_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"a": torch.zeros(1)}, {"step": 1})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, {"a": torch.ones(1)}, {"step": 2})
    assert checkpoint.load(path)[1] == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_one_is_named(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"a": torch.zeros(100)}, {"step": 1})
    path.write_bytes(path.read_bytes()[:-20] if damage is None else damage)
    with pytest.raises(ArtifactError, match="x.safetensors cannot be read"):
        checkpoint.load(path)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_an_optimiser_goes_on_as_if_nothing_had_happened(name: str, tmp_path: Path) -> None:
    def walk(weights: torch.Tensor, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            (weights**4).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    def fresh() -> tuple[torch.Tensor, torch.optim.Optimizer]:
        weights = torch.linspace(-1, 1, 5).requires_grad_()
        return weights, make_optimizer(name, [{"params": [weights], "lr": 0.05, "weight_decay": 0.1}], momentum=0.9)

    unbroken, optimizer = fresh()
    walk(unbroken, optimizer, 7)
    first, optimizer = fresh()
    walk(first, optimizer, 3)
    packed, others = checkpoint.pack_optimizer(optimizer)
    checkpoint.save(tmp_path / "o.safetensors", {"w": first, **packed}, others)
    tensors, facts = checkpoint.load(tmp_path / "o.safetensors")
    second, optimizer = fresh()
    with torch.no_grad():
        second.copy_(tensors["w"])
    checkpoint.unpack_optimizer(optimizer, tensors, facts)
    walk(second, optimizer, 4)
    assert torch.equal(second, unbroken)
