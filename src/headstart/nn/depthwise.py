"""A faster backward pass for depthwise convolutions on CPUs.

oneDNN has no fast kernel for two gradients that MobileNet-like networks spend most of their time in: of the input under
a stride (bfloat16 or not), and of 5 x 5 kernels in bfloat16. The first is a plain depthwise convolution of the spread
gradient with the flipped kernel, the second is faster in float32. The numbers are those of autograd, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torch.overrides import TorchFunctionMode

LARGE_KERNEL = 5


class FastDepthwise(TorchFunctionMode):
    """A context in which depthwise `conv2d` on the CPU that will be differentiated takes the faster road.

    Whatever the library and the network: it looks at calls, not at modules. Everything else passes through.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is conv2d:
            call = _Call.read(*args, **(kwargs or {}))
            if call is not None:
                return call.run()
        return func(*args, **(kwargs or {}))


class _Call:
    """The arguments of a depthwise convolution that `_Depthwise` can do."""

    def __init__(
        self, inputs: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int]
    ) -> None:
        self.inputs, self.weight, self.bias = inputs, weight, bias
        self.stride, self.padding = stride, padding

    @classmethod
    def read(
        cls,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> _Call | None:
        channels = weight.shape[0]
        depthwise = groups == channels > 1 and weight.shape[1] == 1 and input.ndim == 4
        learning = torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad)
        if not depthwise or not learning or input.device.type != "cpu" or isinstance(padding, str):
            return None
        if _pair(dilation) != [1, 1] or any(p >= k for p, k in zip(_pair(padding), weight.shape[2:], strict=True)):
            return None
        return cls(input, weight, bias, _pair(stride), _pair(padding))

    def run(self) -> Tensor:
        inputs, weight, bias = self.inputs, self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            inputs, weight = inputs.to(kind), weight.to(kind)
        out: Tensor = _Depthwise.apply(inputs, weight, self.stride, self.padding)
        return out if bias is None else out + bias.to(out.dtype).view(1, -1, 1, 1)


class _Depthwise(torch.autograd.Function):
    """inputs (B, C, H, W), weight (C, 1, h, w) -> (B, C, H', W')."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.stride, ctx.padding = stride, padding
        return conv2d(inputs, weight, None, stride, padding, 1, weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (gradient,) = gradients
        inputs, weight = ctx.saved_tensors
        of_inputs = _of_inputs(gradient, inputs, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        of_weight = _of_weight(gradient, inputs, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[1] else None
        return of_inputs, of_weight, None, None


def _of_inputs(gradient: Tensor, inputs: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    """The gradient, spread to what it would be at stride one, convolved with the flipped kernel."""
    kernel = weight.shape[2:]
    if stride != [1, 1]:
        size = [n + 2 * p - k + 1 for n, p, k in zip(inputs.shape[2:], padding, kernel, strict=True)]
        spread = torch.empty(
            (*gradient.shape[:2], *size), dtype=gradient.dtype, memory_format=torch.channels_last
        ).zero_()
        spread[:, :, :: stride[0], :: stride[1]] = gradient
        gradient = spread
    reach = [k - 1 - p for k, p in zip(kernel, padding, strict=True)]
    return conv2d(gradient, weight.flip(2, 3), None, 1, reach, 1, weight.shape[0])


def _of_weight(gradient: Tensor, inputs: Tensor, weight: Tensor, stride: list[int], padding: list[int]) -> Tensor:
    kind = torch.float32 if max(weight.shape[2:]) >= LARGE_KERNEL else gradient.dtype
    found: Tensor = torch.ops.aten.convolution_backward(
        gradient.to(kind),
        inputs.to(kind),
        weight.to(kind),
        None,
        stride,
        padding,
        [1, 1],
        False,
        [0, 0],
        weight.shape[0],
        [False, True, False],
    )[1]
    return found.to(weight.dtype)


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)
