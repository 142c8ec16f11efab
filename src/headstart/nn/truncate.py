"""An encoder cut in two: what is frozen computes its activations once, what trains goes on from there.

No network is taken apart. The frozen modules are found in the order in which they run; the last of them is the
boundary. `bottom` runs the network up to it. Within `resumed` the frozen modules pass on what they are given and the
boundary answers with stored activations, so that the network's own forward pass goes on from there. That this is the
same function is not argued but tried: `cut` gives None where it is not.

Of texts the activations (B, T, D) are NaN where there is no token: so they say themselves how long each text is, and
those of several lengths can be put together.
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
from headstart.nn.pooling import real_tokens


class Truncation:
    """An encoder cut behind its frozen stages; made by `cut`.

    skipped: frozen modules that need not run. boundary: the last one. forms: of each, how many values it returns, 0
    where that is one and no tuple. blank: activations -> what the network is given in place of a batch. of_tokens:
    whether a batch is of texts.
    """

    def __init__(
        self,
        encoder: Encoder,
        skipped: tuple[nn.Module, ...],
        boundary: nn.Module,
        forms: Mapping[nn.Module, int],
        blank: Callable[[Tensor], Tensor],
        *,
        of_tokens: bool = False,
    ) -> None:
        self._encoder = encoder
        self._skipped = skipped
        self._boundary = boundary
        self._forms = forms
        self._blank = blank
        self._of_tokens = of_tokens

    def bottom(self, batch: Tensor) -> Tensor:
        """Prepared batch (B, ...) -> activations (B, ...) at the boundary, without gradients."""
        found = reach(self._encoder, self._boundary, batch)
        return found.masked_fill(~_seen(batch)[:, :, None], torch.nan) if self._of_tokens else found

    @contextlib.contextmanager
    def resumed(self) -> Iterator[None]:
        """While it lasts, `encoder(activations)` is what `encoder(batch)` was."""
        given: list[Tensor] = []
        whole = self._encoder.forward

        def forward(activations: Tensor) -> Features:
            given[:] = [activations.nan_to_num() if self._of_tokens else activations]
            return whole(self._blank(activations))

        with contextlib.ExitStack() as stack:
            stack.enter_context(_replaced(self._encoder, forward))
            for module in self._skipped:
                stack.enter_context(_replaced(module, _passing(self._forms[module])))
            last = self._forms[self._boundary]
            stack.enter_context(_replaced(self._boundary, lambda *inputs, **named: _in_form(given[0], last)))
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
    calls = _calls(encoder, sample)
    ran, forms = _frozen_chain(encoder, frozen, [module for module, _ in calls], names), dict(calls)
    if not ran or any(modes[part] for module in ran for part in module.modules()):
        return None
    expected = encoder(sample).pooled
    # Either the network takes the activations for a batch, or its input stage is given a blank batch and runs.
    later = tuple(module for module in ran[:-1] if encoder.stage_of(names[module]) > 0)
    nothing = torch.zeros_like(sample[:1])
    tries = [
        Truncation(encoder, tuple(ran[:-1]), ran[-1], forms, lambda activations: activations),
        Truncation(
            encoder, later, ran[-1], forms, lambda activations: nothing.expand(len(activations), *nothing.shape[1:])
        ),
    ]
    if encoder.vocabulary() is not None:
        if frozen == 1:  # looking vectors up is cheaper than keeping them
            return None
        tries = [Truncation(encoder, later, ran[-1], forms, _blank_tokens, of_tokens=True)]
    for found in tries:
        with contextlib.suppress(RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            activations = found.bottom(sample)
            with found.resumed():
                again = encoder(activations).pooled
            if again.shape == expected.shape and torch.allclose(again, expected, rtol=1e-5, atol=1e-6):
                return found
    return None


def _seen(batch: Tensor) -> Tensor:
    """(B, T) where a batch of texts has a token; a text without any is read as one."""
    real = real_tokens(batch)
    real[:, 0] = True
    return real


def _blank_tokens(activations: Tensor) -> Tensor:
    """A batch (B, 2, T) of texts as long as those that the activations are of."""
    padding = activations[:, :, 0].isnan().long()
    return torch.stack([torch.zeros_like(padding), -padding], dim=1)


def _calls(encoder: Encoder, sample: Tensor) -> list[tuple[nn.Module, int]]:
    """The modules of the encoder in the order in which their forward passes end, and the forms of what they return.
    Not those that return something else than tensors."""
    calls: list[tuple[nn.Module, int]] = []

    def seen(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            calls.append((module, 0))
        elif isinstance(output, tuple) and isinstance(output[0], Tensor):
            calls.append((module, len(output)))

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


def _in_form(value: Tensor, form: int) -> Any:
    return (value, *[None] * (form - 1)) if form else value


def _passing(form: int) -> Callable[..., Any]:
    """A forward pass that gives on what it is given first."""
    return lambda first, *more, **named: _in_form(first, form)


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
