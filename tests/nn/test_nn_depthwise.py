"""The faster depthwise backward pass against autograd's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from headstart.nn.depthwise import FastDepthwise


def gradients(inputs: Tensor, convolution: nn.Conv2d) -> list[Tensor]:
    inputs = inputs.detach().requires_grad_()
    convolution.zero_grad()
    out = convolution(inputs)
    (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
    assert inputs.grad is not None
    found = [out.detach(), inputs.grad]
    return found + [p.grad.clone() for p in convolution.parameters() if p.grad is not None]


@pytest.mark.parametrize("size", [(9, 9), (8, 11), (16, 7)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (5, 2), (3, 0), (5, 1), ((3, 5), (1, 2)), (1, 0)])
def test_gradients_are_autograds(size: tuple[int, int], stride: int, kernel: int, padding: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=True)
    inputs = torch.randn(3, 6, *size).to(memory_format=torch.channels_last)
    expected = gradients(inputs, convolution)
    with FastDepthwise():
        found = gradients(inputs, convolution)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 5])
def test_in_bfloat16_it_is_no_further_from_float32_than_autograd(kernel: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(16, 16, kernel, 2, kernel // 2, groups=16, bias=False)
    inputs = torch.randn(4, 16, 14, 14)
    exact = gradients(inputs, convolution)
    with torch.autocast("cpu", torch.bfloat16):
        autograd = gradients(inputs, convolution)
        with FastDepthwise():
            ours = gradients(inputs, convolution)
    for mine, theirs, true in zip(ours, autograd, exact, strict=True):
        error, usual = ((x.float() - true).norm() / true.norm() for x in (mine, theirs))
        assert error <= 1.5 * usual + 1e-6


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 8, 3, groups=4),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding="same", groups=4),
        nn.Conv2d(4, 4, 3, padding=4, groups=4),
    ],
)
def test_what_it_does_not_cover_passes_through(convolution: nn.Conv2d) -> None:
    inputs = torch.randn(2, 4, 9, 9)
    expected = gradients(inputs, convolution)
    with FastDepthwise():
        found = gradients(inputs, convolution)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


def test_nothing_is_recorded_where_nothing_is_learned() -> None:
    weight = torch.randn(4, 1, 3, 3)
    with FastDepthwise():
        out = conv2d(torch.randn(1, 4, 8, 8), weight, groups=4)
    assert out.grad_fn is None


def test_a_network_learns_the_same_with_it() -> None:
    from headstart.testing.sources import tiny_source

    encoder = tiny_source().load()
    batch = torch.randn(4, 3, 32, 32)
    encoder(batch).pooled.square().mean().backward()
    expected = [p.grad.clone() for p in encoder.parameters() if p.grad is not None]
    encoder.zero_grad()
    with FastDepthwise():
        encoder(batch).pooled.square().mean().backward()
    for parameter, theirs in zip((p for p in encoder.parameters() if p.grad is not None), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, theirs, rtol=1e-3, atol=1e-6)
