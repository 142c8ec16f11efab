"""A network for inference that goes over its activations fewer times.

On a CPU a forward pass waits for memory, and batch normalisation and activation functions each read and write a whole
batch again. A frozen normalisation is a scale and a shift, which the weights of the convolution before it can carry; an
activation function can be applied by oneDNN's convolution while the values are at hand. Which module ran on what
another gave is seen in a forward pass. That the result is the same function is not argued but tried.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from headstart.nn.encoder import Encoder

_ACTIVATIONS: Final[dict[type[nn.Module], tuple[str, list[float]]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", [1.0]),
    nn.Hardswish: ("hardswish", []),
}
"""Modules -> oneDNN's name and numbers for what they do."""


def fused(encoder: Encoder, sample: Tensor) -> Encoder:
    """A copy that computes the same in less time, to rounding; `encoder` itself where there is nothing to gain.

    encoder: in eval mode; it is left as it is, and what happens to its weights later does not reach the copy.
    sample: a prepared batch (B, ...) on the encoder's device, B >= 1, to see the way through the network and to try
    the copy on.
    """
    with torch.inference_mode(), torch.autocast(sample.device.type, enabled=False):
        network = copy.deepcopy(encoder)
        expected, follows = _pass(network, sample)
        joined = _fold(network, follows)
        if _onednn(sample.device):
            _, follows = _pass(network, sample)
            joined += _activate(network, follows)
        if not joined:
            return encoder
        found = network(sample).pooled
        return (
            network if torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())) else encoder
        )


class Convolution(nn.Module):
    """A convolution and the activation function behind it in one pass over the batch (B, C, H, W), on a CPU.

    same: pads as TensorFlow does, to an output of ceil(size / stride), the odd pixel on the right and at the bottom.
    """

    def __init__(self, convolution: nn.Conv2d, activation: nn.Module, *, same: bool) -> None:
        super().__init__()
        self.weight = convolution.weight
        self.bias = convolution.bias
        self._stride = list(convolution.stride)
        self._padding = None if same else [int(side) for side in convolution.padding]
        self._dilation = list(convolution.dilation)
        self._groups = convolution.groups
        self._activation = _ACTIVATIONS[type(activation)]
        self._cast: tuple[Tensor, Tensor | None] | None = None

    def forward(self, batch: Tensor) -> Tensor:
        weight, bias = self._weights()
        batch = batch.to(weight.dtype)
        padding = self._padding
        if padding is None:
            batch, padding = self._padded(batch), [0, 0]
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(
            batch, weight, bias, padding, self._stride, self._dilation, self._groups, *self._activation, ""
        )
        return found

    def _weights(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias in the number format that autocast asks for, kept for the next batch."""
        wanted = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else self.weight.dtype
        if self._cast is None or self._cast[0].dtype != wanted:
            self._cast = self.weight.to(wanted), None if self.bias is None else self.bias.to(wanted)
        return self._cast

    def _padded(self, batch: Tensor) -> Tensor:
        """Only the margin is filled: `torch.nn.functional.pad` goes over everything twice."""
        kernel, sizes = self.weight.shape[2:], batch.shape[2:]
        missing = [
            max(0, (-(-n // step) - 1) * step + wide * (k - 1) + 1 - n)
            for n, k, step, wide in zip(sizes, kernel, self._stride, self._dilation, strict=True)
        ]
        height, width = (n + more for n, more in zip(sizes, missing, strict=True))
        shape = (*batch.shape[:2], height, width)
        out = torch.empty(shape, dtype=batch.dtype, memory_format=torch.channels_last)
        top, left = (more // 2 for more in missing)
        bottom, right = top + sizes[0], left + sizes[1]
        out[:, :, top:bottom, left:right] = batch
        for margin in (out[:, :, :top], out[:, :, bottom:], out[..., :left], out[..., right:]):
            margin.zero_()
        return out


Follow = tuple[nn.Conv2d, nn.Module, bool]
"""A convolution, the module that ran on what it gave, and whether the first pads as TensorFlow does."""


def _pass(network: Encoder, sample: Tensor) -> tuple[Tensor, list[Follow]]:
    """Pooled features (B, D) of the sample, and the convolutions with what follows them, both called but once."""
    calls: list[tuple[nn.Module, Any, Any]] = []  # holds the tensors, so that each keeps an identity of its own

    def seen(module: nn.Module, inputs: Any, output: Any) -> None:
        calls.append((module, inputs[0] if inputs else None, output))

    steps = (m for m in network.modules() if isinstance(m, nn.BatchNorm2d) or not any(True for _ in m.children()))
    handles = [module.register_forward_hook(seen) for module in steps if not isinstance(module, nn.Identity)]
    try:
        pooled: Tensor = network(sample).pooled
    finally:
        for handle in handles:
            handle.remove()
    times = Counter(module for module, _, _ in calls)
    return pooled, [follow for follow in _follows(calls) if times[follow[0]] == times[follow[1]] == 1]


def _follows(calls: list[tuple[nn.Module, Any, Any]]) -> Iterator[Follow]:
    given_by: dict[int, tuple[nn.Conv2d, bool]] = {}
    for module, given, output in calls:
        found = given_by.pop(id(given), None)
        if found is not None:
            yield found[0], module, found[1]
        if isinstance(module, nn.Conv2d) and (same := _pads_same(module, given, output)) is not None:
            given_by[id(output)] = module, same


def _pads_same(convolution: nn.Conv2d, given: Tensor, output: Tensor) -> bool | None:
    """Whether the output has the size that TensorFlow's padding gives, and not that of the padding it declares; None
    where it pads in another way."""
    if isinstance(convolution.padding, str) or convolution.padding_mode != "zeros":
        return None
    shape = (convolution.padding, convolution.dilation, convolution.kernel_size, convolution.stride)
    declared, same = [], []
    for n, padding, dilation, kernel, stride in zip(given.shape[2:], *shape, strict=True):
        declared.append((n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
        same.append(-(-n // stride))
    size = list(output.shape[2:])
    return False if size == declared else True if size == same else None


def _fold(network: Encoder, follows: list[Follow]) -> int:
    """Put batch normalisations into the convolutions they follow; how many modules were replaced."""
    instead: dict[nn.Module, nn.Module] = {}
    for convolution, norm, _ in follows:
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
            continue
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight
        shift = -norm.running_mean if convolution.bias is None else convolution.bias - norm.running_mean
        bias = shift * scale if norm.bias is None else shift * scale + norm.bias
        convolution.weight = nn.Parameter(convolution.weight * scale.view(-1, 1, 1, 1), requires_grad=False)
        convolution.bias = nn.Parameter(bias, requires_grad=False)
        # timm's normalisation brings an activation function along.
        instead[norm] = getattr(norm, "act", nn.Identity())
    return _replace(network, instead)


def _activate(network: Encoder, follows: list[Follow]) -> int:
    """Put activation functions into the convolutions they follow; how many modules were replaced."""
    instead: dict[nn.Module, nn.Module] = {}
    for convolution, activation, same in follows:
        if type(activation) in _ACTIVATIONS:
            instead[convolution] = Convolution(convolution, activation, same=same)
            instead[activation] = nn.Identity()
    return _replace(network, instead)


def _replace(network: nn.Module, instead: Mapping[nn.Module, nn.Module]) -> int:
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if child in instead:
                setattr(parent, name, instead[child])
    return len(instead)


def _onednn(device: torch.device) -> bool:
    """Whether oneDNN convolves on this device, in bfloat16 too."""
    ready = device.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return ready and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
