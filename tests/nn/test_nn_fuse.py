"""Fused networks: the same features, from fewer passes, or the network itself."""

from __future__ import annotations

import copy
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from headstart.core.types import Features
from headstart.nn.device import autocast, has_fast_bfloat16
from headstart.nn.encoder import Encoder
from headstart.nn.fuse import Convolution, fused
from headstart.sources import PACKS, build

CPU = torch.device("cpu")
ACTIVATIONS = (nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.SiLU(), nn.Hardswish(), nn.GELU())


class Net(nn.Module):
    """Stands for an encoder: some layers, and the mean over the plane."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, batch: Tensor) -> Features:
        return Features(self.layers(batch).mean(dim=(2, 3)))


class SamePadded(nn.Conv2d):
    """Pads as TensorFlow does."""

    def forward(self, input: Tensor) -> Tensor:
        missing = [
            max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            for n, k, s, d in zip(input.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True)
        ]
        (top, bottom), (left, right) = ((m // 2, m - m // 2) for m in missing)
        padded = nn.functional.pad(input, (left, right, top, bottom))
        found: Tensor = nn.functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return found


class Residual(nn.Module):
    """The normalisation's input is used a second time."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = norm(8)

    def forward(self, batch: Tensor) -> Tensor:
        found: Tensor = self.convolution(batch)
        found = found + self.norm(found)
        return found


def norm(channels: int, **options: bool) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(channels, **options)
    if made.running_mean is not None and made.running_var is not None:
        made.running_mean.normal_()
        made.running_var.uniform_(0.5, 2)
    if made.affine:
        nn.init.normal_(made.weight)
        nn.init.normal_(made.bias)
    return made


def encoder_of(*layers: nn.Module) -> Encoder:
    made: Encoder = Net(*layers).eval()  # type: ignore[assignment]
    return made


def batch(side: int = 15) -> Tensor:
    return torch.randn(3, 8, side, side + 1).contiguous(memory_format=torch.channels_last)


def kinds(network: nn.Module) -> list[type[nn.Module]]:
    return [type(m) for m in network.modules() if not any(True for _ in m.children()) and type(m) is not nn.Identity]


def same(a: Encoder, b: Encoder, given: Tensor) -> bool:
    with torch.inference_mode():
        return torch.allclose(a(given).pooled, b(given).pooled, rtol=1e-4, atol=1e-5)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("convolution", [nn.Conv2d, SamePadded])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 8])
def test_convolution_normalisation_and_activation_become_one(
    activation: nn.Module, convolution: type[nn.Conv2d], stride: int, groups: int
) -> None:
    padding = 1 if convolution is nn.Conv2d else 0
    first = convolution(8, 16, 3, stride, padding, groups=groups, bias=groups == 1)
    encoder = encoder_of(first, norm(16), copy.deepcopy(activation), nn.Conv2d(16, 4, 1), norm(4))
    before = copy.deepcopy(encoder.state_dict())
    found = fused(encoder, batch())
    assert nn.BatchNorm2d not in kinds(found)
    assert same(encoder, found, batch(20))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert nn.BatchNorm2d in kinds(encoder)


@pytest.mark.skipif(not has_fast_bfloat16(CPU), reason="this processor has no bfloat16")
@pytest.mark.parametrize("activation", ACTIVATIONS[:-1], ids=str)
def test_the_convolution_activates_in_either_precision(activation: nn.Module) -> None:
    encoder = encoder_of(nn.Conv2d(8, 16, 3), norm(16), copy.deepcopy(activation))
    found = fused(encoder, batch())
    assert kinds(found) == [Convolution]
    with torch.inference_mode():
        given = batch(30)
        exact = encoder(given).pooled
        for _ in range(2):
            with autocast(CPU, "bfloat16"):
                reduced = found(given).pooled
            assert reduced.dtype == torch.bfloat16
            torch.testing.assert_close(reduced.float(), exact, rtol=0.05, atol=0.05)
            torch.testing.assert_close(found(given).pooled, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}])
def test_normalisations_of_other_kinds(options: dict[str, bool]) -> None:
    encoder = encoder_of(nn.Conv2d(8, 8, 3), norm(8, **options))
    found = fused(encoder, batch())
    assert (found is encoder) == ("track_running_stats" in options)
    assert same(encoder, found, batch())


def test_what_runs_twice_stays() -> None:
    convolution, shared = nn.Conv2d(8, 8, 1), norm(8)
    for layers in ((convolution, norm(8), convolution), (nn.Conv2d(8, 8, 1), shared, nn.Conv2d(8, 8, 1), shared)):
        encoder = encoder_of(*layers)
        found = fused(encoder, batch())
        assert kinds(found).count(nn.BatchNorm2d) == 1
        assert same(encoder, found, batch())


def test_order_is_seen() -> None:
    encoder = encoder_of(
        nn.Conv2d(8, 8, 1), nn.ReLU(inplace=True), norm(8), nn.Conv2d(8, 8, 1), nn.Dropout2d(), norm(8)
    )
    found = fused(encoder, batch())
    assert kinds(found).count(nn.BatchNorm2d) == 2
    assert same(encoder, found, batch())


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_other_paddings_stay(padding: str, mode: Literal["zeros", "reflect"]) -> None:
    encoder = encoder_of(nn.Conv2d(8, 8, 3, padding=padding, padding_mode=mode), norm(8))
    assert fused(encoder, batch()) is encoder


def test_a_network_that_would_change_is_given_back() -> None:
    encoder = encoder_of(Residual())
    assert fused(encoder, batch()) is encoder


def test_features_that_are_not_images_pass() -> None:
    class Linear(nn.Module):
        def forward(self, given: Tensor) -> Features:
            return Features(given)

    encoder: Encoder = Linear().eval()  # type: ignore[assignment]
    assert fused(encoder, torch.randn(2, 5)) is encoder


@pytest.mark.parametrize("name", ["efficientnet-lite0", "squeezenet1_1", "vgg16-craft"])
def test_of_real_architectures_nothing_is_left_and_nothing_changes(name: str) -> None:
    card = PACKS[name].card
    encoder = build(card.architecture, card.input).eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias)
    found = fused(encoder, torch.randn(1, 3, 64, 64))
    assert found is not encoder
    assert not any(isinstance(module, nn.BatchNorm2d) for module in found.modules())
    assert same(encoder, found, torch.randn(2, 3, 96, 96))
    if has_fast_bfloat16(CPU):
        assert not set(kinds(found)) & {nn.ReLU, nn.ReLU6}
