"""Where what a network takes can be moved by little: the prepared batch itself, or what it first makes of it.

A picture, a sound or a spectrogram can be. A text is tokens, and a row of a table may hold categories: there it is the
output of the encoder's `entrance`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from headstart.core.types import Features
from headstart.nn.encoder import Encoder

T = TypeVar("T")


def values_of(encoder: Encoder, batch: Tensor) -> Tensor:
    """Prepared batch (B, ...) -> the values (B, ...) float that can be moved, detached."""
    module = encoder.entrance()
    return batch.detach() if module is None else reach(encoder, module, batch)


def entered(encoder: Encoder, run: Callable[[Tensor], T], batch: Tensor, values: Tensor) -> T:
    """`run(batch)`, a pass through the encoder, with `values` in place of its own.

    Gradients go to `values`, and to the weights that made the encoder's own.
    """
    module = encoder.entrance()
    if module is None:
        return run(values)

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return values + (output - output.detach())

    handle = module.register_forward_hook(hook)
    try:
        return run(batch)
    finally:
        handle.remove()


@contextlib.contextmanager
def pooled_through(encoder: Encoder, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While it lasts, what the encoder pools (B, D) is changed before anything is made of it."""

    def hook(module: nn.Module, inputs: Any, features: Features) -> Features:
        return replace(features, pooled=change(features.pooled))

    handle = encoder.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def reach(encoder: Encoder, module: nn.Module, batch: Tensor) -> Tensor:
    """The first output (B, ...) of one of the encoder's modules, without gradients. Nothing behind it is run."""

    def stop(module: nn.Module, inputs: Any, output: Any) -> None:
        raise _Reached(output)

    handle = module.register_forward_hook(stop)
    try:
        with torch.no_grad():
            encoder(batch)
    except _Reached as reached:
        found: Tensor = reached.output[0] if isinstance(reached.output, tuple) else reached.output
        return found
    finally:
        handle.remove()
    raise RuntimeError("a module of an encoder was not reached")


class _Reached(Exception):
    """Unwinds a forward pass."""

    def __init__(self, output: Any) -> None:
        self.output = output
