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
from headstart.nn.entrance import reach


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
        return reach(self._encoder, self._boundary, batch)

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
    None: their activations would not be the same twice. The encoder is left as it was.
    """
    if frozen < 1:
        return None
    modes = {module: module.training for module in encoder.modules()}
    encoder.eval()  # nothing is to move while this is tried
    try:
        with torch.no_grad():
            return _cut(encoder, frozen, sample, modes)
    finally:
        for module, training in modes.items():
            module.training = training


def _cut(encoder: Encoder, frozen: int, sample: Tensor, modes: Mapping[nn.Module, bool]) -> Truncation | None:
    names = {module: name for name, module in encoder.named_modules() if name}
    ran = _frozen_chain(encoder, frozen, _calls(encoder, sample), names)
    if not ran or any(modes[part] for module in ran for part in module.modules()):
        return None
    expected = encoder(sample).pooled
    # Either the network takes the activations for a batch, or its input stage is given a blank batch and runs.
    later = tuple(module for module in ran[:-1] if encoder.stage_of(names[module]) > 0)
    for skipped, blank in ((tuple(ran[:-1]), None), (later, torch.zeros_like(sample[:1]))):
        found = Truncation(encoder, skipped, ran[-1], blank)
        with contextlib.suppress(RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            activations = found.bottom(sample)
            with found.resumed():
                again = encoder(activations).pooled
            if again.shape == expected.shape and torch.allclose(again, expected, rtol=1e-5, atol=1e-6):
                return found
    return None


def _calls(encoder: Encoder, sample: Tensor) -> list[nn.Module]:
    """The modules of the encoder in the order in which their forward passes end."""
    calls: list[nn.Module] = []

    def seen(module: nn.Module, inputs: Any, output: Any) -> None:
        calls.append(module)

    handles = [module.register_forward_hook(seen) for name, module in encoder.named_modules() if name]
    try:
        encoder(sample)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _frozen_chain(
    encoder: Encoder, frozen: int, calls: list[nn.Module], names: Mapping[nn.Module, str]
) -> list[nn.Module]:
    """The largest called modules that lie wholly in the first `frozen` stages, in order; none where one of them runs
    twice, or after something that is not frozen."""
    whole = {
        module
        for module in calls
        if all(
            encoder.stage_of(f"{names[module]}.{n}" if n else names[module]) < frozen for n, _ in module.named_modules()
        )
    }
    parts = {part for module in whole for part in module.modules() if part is not module}
    chain = [module for module in calls if module in whole - parts]
    free = [module for module in calls if module not in whole | parts and not any(True for _ in module.children())]
    first = calls.index(free[0]) if free else len(calls)
    if len(set(chain)) < len(chain) or any(calls.index(module) > first for module in chain):
        return []
    return chain


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
