"""Combining the weights of networks of one architecture: points on a line, and averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from headstart.core.errors import ShapeError

State = Mapping[str, Tensor]


def interpolate(start: State, end: State, share: float) -> dict[str, Tensor]:
    """(1 - share) start + share end, tensor by tensor (Wortsman et al. 2022a, eq. 1): a new state dict.

    Floating-point buffers (running statistics) are mixed like weights. Tensors of whole numbers (counters) are taken
    from the nearer end. share 0 and 1 give the ends exactly. Raises ShapeError where names or shapes differ.
    """
    _require_alike([start, end])
    nearer = end if share >= 0.5 else start
    return {
        name: torch.lerp(a, end[name].to(a.device), share) if a.is_floating_point() else nearer[name].clone()
        for name, a in start.items()
    }


def average(states: Sequence[State]) -> dict[str, Tensor]:
    """The mean of state dicts, summed in float64 (Wortsman et al. 2022b): a new state dict.

    Tensors of whole numbers are taken from the last one. Raises ShapeError where names or shapes differ, or with none.
    """
    if not states:
        raise ShapeError("there is nothing to average: give one state dict or more")
    _require_alike(states)
    return {
        name: torch.stack([s[name].to(a.device, torch.float64) for s in states]).mean(0).to(a.dtype)
        if a.is_floating_point()
        else states[-1][name].clone()
        for name, a in states[0].items()
    }


def _require_alike(states: Sequence[State]) -> None:
    first = {name: tuple(tensor.shape) for name, tensor in states[0].items()}
    for state in states[1:]:
        other = {name: tuple(tensor.shape) for name, tensor in state.items()}
        if other != first:
            name = next(n for n in sorted(first.keys() | other.keys()) if first.get(n) != other.get(n))
            raise ShapeError(
                f"these networks cannot be combined: '{name}' is {first.get(name, 'absent')} in one and "
                f"{other.get(name, 'absent')} in another; all must have the same architecture and outputs"
            )
