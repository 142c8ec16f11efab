"""An encoder cut in two: what is frozen computes its activations once, what trains goes on from there.

No network is taken apart. The frozen modules are found in the order in which they run; the last of them is the
boundary. `bottom` runs the network up to it. Within `resumed` the frozen modules pass on what they are given and the
boundary answers with stored activations, so that the network's own forward pass goes on from there. That this is the
same function is not argued but tried: `cut` gives None where it is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headstart.core.types import Features
from headstart.nn.encoder import Encoder


class Truncation:
    """An encoder cut behind its frozen stages; made by `cut`.

    skipped: frozen modules that need not run. boundary: the last one. blank: what the network is given in place of a
    batch, where it does not take the activations themselves for one.
    """

    def __init__(
        self, encoder: Encoder, skipped: tuple[nn.Module, ...], boundary: nn.Module, blank: Tensor | None
    ) -> None:
        self._encoder = encoder
        self._skipped = skipped
        self._boundary = boundary
        self._blank = blank

    def bottom(self, batch: Tensor) -> Tensor:
        """Prepared batch (B, ...) -> activations (B, ...) at the boundary, without gradients."""

        def stop(module: nn.Module, inputs: Any, output: Any) -> None:
            raise _Reached(output)

        handle = self._boundary.register_forward_hook(stop)
        try:
            with torch.no_grad():
                self._encoder(batch)
        except _Reached as reached:
            return _first(reached.output)
        finally:
            handle.remove()
        raise RuntimeError("the boundary of a truncated encoder was not reached")

    @contextlib.contextmanager
    def resumed(self) -> Iterator[None]:
        """While it lasts, `encoder(activations)` is what `encoder(batch)` was."""
        given: list[Tensor] = []
        whole = self._encoder.forward

        def forward(activations: Tensor) -> Features:
            given[:] = [activations]
            blank = activations if self._blank is None else self._blank.expand(len(activations), *self._blank.shape[1:])
            return whole(blank)

        with contextlib.ExitStack() as stack:
            stack.enter_context(_replaced(self._encoder, forward))
            for module in self._skipped:
                stack.enter_context(_replaced(module, lambda first, *more, **named: first))
            stack.enter_context(_replaced(self._boundary, lambda *inputs, **named: given[0]))
            yield


def cut(encoder: Encoder, frozen: int, sample: Tensor) -> Truncation | None:
    """The encoder cut behind its first `frozen` stages, or None where that does not give the same function.

    sample: a prepared batch (B, ...), B > 1, to try it on. The frozen stages must be in eval mode, else the answer is
    None: their activations would not be the same twice.
    """
    units = _units(encoder, frozen)
    ran = _order(encoder, units, sample) if units else []
    if not ran or any(part.training for module in ran for part in module.modules()):
        return None
    with torch.no_grad():
        expected = encoder(sample).pooled
    # Either the network takes the activations for a batch, or its input stage is given a blank batch and runs.
    later = tuple(module for module in ran[:-1] if encoder.stage_of(units[module]) > 0)
    for skipped, blank in ((tuple(ran[:-1]), None), (later, torch.zeros_like(sample[:1]))):
        found = Truncation(encoder, skipped, ran[-1], blank)
        with contextlib.suppress(RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            activations = found.bottom(sample)
            with torch.no_grad(), found.resumed():
                again = encoder(activations).pooled
            if again.shape == expected.shape and torch.allclose(again, expected, rtol=1e-5, atol=1e-6):
                return found
    return None


class _Reached(Exception):
    """Unwinds a forward pass at the boundary."""

    def __init__(self, output: Any) -> None:
        self.output = output


def _units(encoder: Encoder, frozen: int) -> dict[nn.Module, str]:
    """The largest modules that lie wholly in the first `frozen` stages, and their names."""
    found: dict[nn.Module, str] = {}
    inside: list[str] = []
    for name, module in encoder.named_modules():
        if not name or any(name.startswith(outer) for outer in inside):
            continue
        parts = (f"{name}.{part}" if part else name for part, _ in module.named_modules())
        if all(encoder.stage_of(part) < frozen for part in parts):
            found[module] = name
            inside.append(f"{name}.")
    return found


def _order(encoder: Encoder, units: Mapping[nn.Module, str], sample: Tensor) -> list[nn.Module]:
    """The frozen modules in the order in which they run; none where one runs twice, or after something that trains."""
    ran: list[nn.Module] = []
    frozen = {part for module in units for part in module.modules()}
    leaves = [m for m in encoder.modules() if m not in frozen and not any(True for _ in m.children())]

    def seen(module: nn.Module, inputs: Any, output: Any) -> None:
        ran.append(module)

    handles = [module.register_forward_hook(seen) for module in (*units, *leaves)]
    try:
        with torch.no_grad():
            encoder(sample)
    finally:
        for handle in handles:
            handle.remove()
    count = next((i for i, module in enumerate(ran) if module not in units), len(ran))
    before, after = ran[:count], ran[count:]
    if len(set(before)) < count or any(module in units for module in after):
        return []
    return before


@contextlib.contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Another forward pass for a module, for as long as the block lasts."""
    before = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if before is not None:
            module.__dict__["forward"] = before


def _first(output: Any) -> Tensor:
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found
