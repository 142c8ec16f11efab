"""What an output of a network rests on: Grad-CAM, occlusion, and integrated gradients by captum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor, nn

from headstart.core.errors import ConfigError
from headstart.core.extras import require
from headstart.nn.model import Model

Output = Callable[[Tensor], Tensor]
"""Logits (B, K) -> (B,), the one number of each item that is explained."""

STEPS: Final = (32, 64, 128, 256)
"""Points on the path, taken one after the other until the attributions add up."""
CUTS: Final = (0.0, 1 / 64, 1 / 16, 1 / 4, 1.0)
"""Stretches of the path with equally many points: networks change most where the input is still faint."""
TOLERANCE: Final = 0.05
"""Largest share of the difference to explain that attributions may miss."""
LEAST: Final = 0.1
"""A smaller difference is taken for this one, in the unit of the output: there is next to nothing to explain."""
AT_ONCE: Final = 16


@dataclass(frozen=True)
class Path:
    """Attributions along the straight way from a baseline to an input.

    values: shaped as the input (or as its embedding). start, end: the output at the baseline and at the input; the
    values should add up to their difference. steps: points that were taken.
    """

    values: Tensor
    start: float
    end: float
    steps: int

    @property
    def gap(self) -> float:
        """By how much they do not add up, as a share of the difference."""
        difference = self.end - self.start
        return abs(float(self.values.double().sum()) - difference) / max(abs(difference), LEAST)


def grad_cam(model: Model, batch: Tensor, output: Output) -> Tensor:
    """Gradient-weighted class activation maps (Selvaraju et al. 2017, eq. 1 and 2) of the coarsest feature maps.

    batch: prepared, (B, ...) -> (B, h, w), 0 or more: where the network sees what speaks for the output. Each map adds
    up to about what its places add to the output.
    Raises ConfigError where the encoder gives no feature maps, or pools something else than these.
    """
    with torch.enable_grad():
        features = model.encoder(batch.detach().clone().requires_grad_())
        if not features.maps:
            raise ConfigError("Grad-CAM needs feature maps, and this network gives none. Use integrated-gradients.")
        coarsest = features.maps[-1]
        total = output(model.answer(features.pooled)).sum()
        (slope,) = torch.autograd.grad(total, coarsest, allow_unused=True)
    if slope is None:
        raise ConfigError("this network does not pool its feature maps alone. Use integrated-gradients.")
    found: Tensor = (slope.mean((2, 3), keepdim=True) * coarsest).sum(1).clamp(min=0).detach()
    return found


def integrated_gradients(model: Model, batch: Tensor, baseline: Tensor, output: Output) -> Path:
    """Integrated gradients (Sundararajan et al. 2017, eq. 3) of one prepared input.

    batch, baseline: (1, ...) float, of one shape. More steps are taken until the attributions add up to within
    TOLERANCE or there are no more: look at `gap`. Raises MissingExtra without captum.
    """
    method = _captum().IntegratedGradients(_answer(model, output))

    def attribute(steps: int) -> Tensor:
        total = torch.zeros_like(batch)
        for first, last in pairwise(CUTS):
            near, far = (baseline + place * (batch - baseline) for place in (first, last))
            given = far.detach().requires_grad_()
            part = steps // (len(CUTS) - 1)
            total += method.attribute(given, near, n_steps=part, internal_batch_size=AT_ONCE).detach()
        return total

    return _adding_up(model, batch, baseline, output, attribute)


def layer_integrated_gradients(model: Model, batch: Tensor, baseline: Tensor, output: Output) -> Path:
    """As `integrated_gradients`, of a batch of token ids (1, 2 or 3, T), along the way between word vectors.

    The values are (1, T, E), of the vectors that the network's embedding gives.
    """
    method = _captum().LayerIntegratedGradients(_answer(model, output), _embedding(model, batch))

    def attribute(steps: int) -> Tensor:
        with _each_row_alone(model):  # the points on the path have the same tokens, and other vectors
            found: Tensor = method.attribute(batch, baseline, n_steps=steps, internal_batch_size=AT_ONCE)
        return found.detach()

    return _adding_up(model, batch, baseline, output, attribute)


def occlusion(model: Model, batch: Tensor, occluded: Tensor, output: Output) -> Tensor:
    """What each part adds: by how much the output falls without it (Zeiler and Fergus 2014).

    batch: (1, ...), prepared. occluded: (P, ...), the same without the part -> (P,).
    """
    with torch.no_grad():
        whole = output(model(batch))
        return torch.cat([whole - output(model(some)) for some in torch.split(occluded, AT_ONCE)])


@contextmanager
def _each_row_alone(model: Model) -> Iterator[None]:
    shared = model.encoder.shares
    model.encoder.shares = False
    try:
        yield
    finally:
        model.encoder.shares = shared


def _answer(model: Model, output: Output) -> Output:
    return lambda batch: output(model(batch))


def _adding_up(
    model: Model, batch: Tensor, baseline: Tensor, output: Output, attribute: Callable[[int], Tensor]
) -> Path:
    with torch.no_grad():
        start, end = (float(output(model(given))[0]) for given in (baseline, batch))
    for steps in STEPS:
        path = Path(attribute(steps), start, end, steps)
        if path.gap <= TOLERANCE:
            break
    return path


def _embedding(model: Model, batch: Tensor) -> nn.Embedding:
    """The table of word vectors: the largest one that is asked."""
    asked: list[nn.Embedding] = []
    tables = [module for module in model.encoder.modules() if isinstance(module, nn.Embedding)]
    hooks = [table.register_forward_hook(lambda module, *_: asked.append(module)) for table in tables]
    try:
        with torch.no_grad():
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if not asked:
        raise ConfigError("this network looks no token up in a table of vectors, so its words cannot be explained.")
    return max(asked, key=lambda table: table.num_embeddings)


def _captum() -> Any:
    return require("captum.attr", "explain", "Integrated gradients")
