"""Freezing, module modes and parameter groups, over an encoder whose norms are containers like timm's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from headstart.core.card import Architecture, ImageInput
from headstart.core.method import Phase
from headstart.core.types import Features
from headstart.nn import freeze
from headstart.nn.encoder import Encoder
from headstart.nn.model import Model


class NormAct(nn.BatchNorm2d):
    """A batch norm that holds its activation, as timm's BatchNormAct2d."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(super().forward(x))
        return out


class Net(Encoder):
    """stem, a, pool (no parameters), b."""

    def __init__(self) -> None:
        super().__init__()
        self.architecture = Architecture(library="test", name="net")
        self.input = ImageInput(resize=8, crop=8)
        self.width = 6
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), NormAct(4))
        self.layers = nn.Sequential(
            nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), NormAct(4), nn.Dropout(0.5)),
            nn.MaxPool2d(2),
            nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), NormAct(6), nn.Dropout(0.5)),
        )

    def forward(self, batch: Tensor) -> Features:
        return Features(pooled=self.layers(self.stem(batch)).mean((2, 3)))

    def stages(self) -> tuple[str, ...]:
        return ("stem", "a", "pool", "b")

    def stage_of(self, name: str) -> int:
        return 0 if name.startswith("stem") else 1 + int(name.split(".")[1])


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model(Net(), 3)


HEAD = {"head.weight", "head.bias"}
B = {f"encoder.layers.2.{n}" for n in ("0.weight", "0.bias", "1.weight", "1.bias")}
A = {f"encoder.layers.0.{n}" for n in ("0.weight", "0.bias", "1.weight", "1.bias")}


@pytest.mark.parametrize(("blocks", "expected"), [(0, HEAD), (1, HEAD | B), (2, HEAD | A | B)])
def test_blocks_count_from_the_output_and_skip_those_without_parameters(
    model: Model, blocks: int, expected: set[str]
) -> None:
    assert set(freeze.select(model, Phase("p", 1, blocks=blocks))) == expected


@pytest.mark.parametrize("blocks", [None, 3, 99])
def test_none_and_more_than_there_are_mean_all(model: Model, blocks: int | None) -> None:
    assert list(freeze.select(model, Phase("p", 1, blocks=blocks))) == [n for n, _ in model.named_parameters()]


def test_a_parameter_test_decides_on_the_head_too(model: Model) -> None:
    chosen = freeze.select(model, Phase("p", 1, parameters=lambda name, p: name.endswith("1.bias")))
    assert list(chosen) == ["encoder.stem.1.bias", "encoder.layers.0.1.bias", "encoder.layers.2.1.bias"]


def test_modes_follow_the_blocks(model: Model) -> None:
    net = model.encoder
    assert isinstance(net, Net)
    freeze.apply(model, Phase("p", 1, blocks=1))
    trains = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trains == HEAD | B
    assert model.training
    assert model.dropout.training
    assert net.training
    assert net.layers.training
    assert all(m.training for m in net.layers[2].modules())
    assert not any(m.training for m in [*net.stem.modules(), *net.layers[0].modules(), *net.layers[1].modules()])


def test_frozen_batchnorm_keeps_statistics_but_trains_its_weights(model: Model) -> None:
    net = model.encoder
    assert isinstance(net, Net)
    freeze.apply(model, Phase("p", 1, batchnorm="freeze"))
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.running_mean.clone() for m in norms if m.running_mean is not None]
    model(torch.randn(4, 3, 8, 8)).sum().backward()
    assert next(m for m in net.layers[2].modules() if isinstance(m, nn.Dropout)).training
    assert not any(m.training for m in norms)
    assert all(m.weight.requires_grad for m in norms)
    for norm, old in zip(norms, before, strict=True):
        assert norm.running_mean is not None
        assert torch.equal(norm.running_mean, old)
    freeze.apply(model, Phase("p", 1, batchnorm="train"))
    model(torch.randn(4, 3, 8, 8))
    assert all(
        not torch.equal(n.running_mean, old) for n, old in zip(norms, before, strict=True) if n.running_mean is not None
    )


def test_applying_a_second_phase_forgets_the_first(model: Model) -> None:
    freeze.apply(model, Phase("one", 1))
    freeze.apply(model, Phase("two", 1, blocks=0))
    assert {name for name, p in model.named_parameters() if p.requires_grad} == HEAD
    assert not any(m.training for m in model.encoder.modules())
    freeze.apply(model, Phase("three", 1))
    assert all(p.requires_grad for p in model.parameters())
    assert all(m.training for m in model.modules())


def test_groups_decay_rates_downwards_and_spare_vectors(model: Model) -> None:
    groups = freeze.parameter_groups(model, Phase("p", 1), 1.0, 3.0, 0.1, 0.2, layer_decay=0.5)
    assert [(g["name"], g["lr"], g["weight_decay"], len(g["params"])) for g in groups] == [
        ("stem", 0.25, 0.1, 1),
        ("stem/no-decay", 0.25, 0.0, 3),
        ("a", 0.5, 0.1, 1),
        ("a/no-decay", 0.5, 0.0, 3),
        ("b", 1.0, 0.1, 1),
        ("b/no-decay", 1.0, 0.0, 3),
        ("head", 3.0, 0.2, 1),
        ("head/no-decay", 3.0, 0.0, 1),
    ]
    grouped = [p for g in groups for p in g["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()}
    assert len(grouped) == len(list(model.parameters()))


def test_groups_hold_only_what_trains_and_the_head_follows_by_default(model: Model) -> None:
    groups = freeze.parameter_groups(model, Phase("p", 1, blocks=1), 0.1, weight_decay=0.01)
    assert [g["name"] for g in groups] == ["b", "b/no-decay", "head", "head/no-decay"]
    assert {g["lr"] for g in groups} == {0.1}
    assert groups[2]["weight_decay"] == 0.01
