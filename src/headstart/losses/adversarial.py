"""Worst-case inputs near the real ones, for training and for measuring robustness.

What is moved is float (B, ...): prepared pictures in a box about their pixels, or in a ball anything else, such as the
vectors that a text's words begin as. Each function takes `loss_of(values) -> scalar` and runs where the values live.
The forward passes of an attack count for a batch norm that updates its statistics: put the model in eval mode first
where that is unwanted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

LossOf = Callable[[Tensor], Tensor]


class Region(ABC):
    """The inputs near a real one that an attack may take in its place. epsilon: how far they reach."""

    epsilon: float

    @abstractmethod
    def random_start(self, real: Tensor) -> Tensor:
        """An input (B, ...) of the region, from torch's global random state."""

    @abstractmethod
    def ascend(self, moved: Tensor, gradient: Tensor, real: Tensor, size: float) -> Tensor:
        """`moved` after a step of `size`, in the unit of epsilon, up the gradient, and back into the region around
        `real`; all (B, ...)."""

    def step_size(self, steps: int, step: float | None) -> float:
        """`step`, or the usual choice: the radius for one step, 2.5 radii shared over several (Madry et al. 2018)."""
        if step is not None:
            return step
        return self.epsilon if steps == 1 else 2.5 * self.epsilon / steps


@dataclass(frozen=True)
class Box(Region):
    """All pictures whose every pixel is within `epsilon` of the real one's, and valid.

    Steps follow the gradient's sign. Pictures are normalised (B, C, H, W); sizes of changes are in pixels of the 0..1
    range, and converted by the channel's standard deviation. mean, std: of the normalisation, one a channel.
    """

    epsilon: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def scaled(self, size: float, like: Tensor) -> Tensor:
        """A change of `size` in the 0..1 pixel range, as (1, C, 1, 1) in normalised units."""
        return size / self._channels(self.std, like)

    def project(self, moved: Tensor, real: Tensor) -> Tensor:
        """The nearest picture to `moved` in the box around `real`, both normalised (B, C, H, W)."""
        mean, std, radius = (
            self._channels(self.mean, real),
            self._channels(self.std, real),
            self.scaled(self.epsilon, real),
        )
        low = torch.maximum(real - radius, (0 - mean) / std)
        high = torch.minimum(real + radius, (1 - mean) / std)
        return torch.minimum(torch.maximum(moved, low), high)

    def random_start(self, real: Tensor) -> Tensor:
        """Drawn evenly from the box."""
        return self.project(real + torch.empty_like(real).uniform_(-1, 1) * self.scaled(self.epsilon, real), real)

    def ascend(self, moved: Tensor, gradient: Tensor, real: Tensor, size: float) -> Tensor:
        return self.project(moved + self.scaled(size, real) * gradient.sign(), real)

    @staticmethod
    def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


@dataclass(frozen=True)
class Ball(Region):
    """All inputs whose distance (L2) from the real one is at most `epsilon` times the real one's own length, each item
    by itself. Steps follow the gradient's direction.

    A share of the length, and not a distance: so that short and long texts, and networks whose word vectors differ in
    scale, are moved alike. real: (B, T) bool, of values (B, T, ...) those that are no padding, which never moves and
    does not count; None: all are real.
    """

    epsilon: float
    real: Tensor | None = None

    def random_start(self, real: Tensor) -> Tensor:
        """Each number moved evenly, by at most the radius over the root of their count (Zhu et al. 2020)."""
        where = self._where(real)
        count = where.expand_as(real).flatten(1).sum(1).clamp(min=1)
        noise = torch.empty_like(real).uniform_(-1, 1) * where
        return real + noise * self._per_item(self._radius(real) / count.sqrt(), real)

    def ascend(self, moved: Tensor, gradient: Tensor, real: Tensor, size: float) -> Tensor:
        gradient = gradient * self._where(real)
        step = self._radius(real) * (size / self.epsilon) / _lengths(gradient)
        change = moved - real + gradient * self._per_item(step, real)
        return real + change * self._per_item((self._radius(real) / _lengths(change)).clamp(max=1), real)

    def _radius(self, real: Tensor) -> Tensor:
        """(B,) of each item's ball."""
        return self.epsilon * _lengths(real * self._where(real))

    def _where(self, values: Tensor) -> Tensor:
        if self.real is None:
            return torch.ones((), dtype=values.dtype, device=values.device)
        return self.real.to(values.dtype).view(*self.real.shape, *[1] * (values.ndim - self.real.ndim))

    @staticmethod
    def _per_item(numbers: Tensor, like: Tensor) -> Tensor:
        return numbers.view(-1, *[1] * (like.ndim - 1))


def fgsm(batch: Tensor, loss_of: LossOf, region: Region) -> Tensor:
    """One step of the radius up the loss: batch + epsilon sign(gradient) in a box (Goodfellow et al. 2015), along the
    gradient in a ball (Miyato et al. 2017). Returns a detached (B, ...)."""
    return _ascend(batch, batch, loss_of, region, region.epsilon)


def pgd(batch: Tensor, loss_of: LossOf, region: Region, steps: int, step: float | None = None) -> Tensor:
    """Projected gradient ascent from a random start in the region (Madry et al. 2018). Returns a detached (B, ...).

    step: size of one step in the unit of epsilon, None as `Region.step_size`.
    """
    size = region.step_size(steps, step)
    moved = region.random_start(batch)
    for _ in range(steps):
        moved = _ascend(moved, batch, loss_of, region, size)
    return moved


def freelb(
    batch: Tensor,
    loss_of: LossOf,
    backward: Callable[[Tensor], None],
    region: Region,
    steps: int,
    step: float | None = None,
) -> Tensor:
    """Gradients of the weights averaged over the inputs passed on the way up (Zhu et al. 2020, algorithm 1).

    Every backward pass serves both the ascent and the weights, so `steps` passes cost no more than plain PGD's and all
    of them teach. The paper's ball is `Ball`; pictures keep to their box. backward: called with each step's share of
    the loss, `lambda loss: loss.backward()` at its simplest. Returns the mean loss over the steps, detached.
    """
    size = region.step_size(steps, step)
    moved = region.random_start(batch)
    total = torch.zeros((), device=batch.device)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        loss = loss_of(moved) / steps
        backward(loss)
        total = total + loss.detach()
        assert moved.grad is not None
        moved = region.ascend(moved.detach(), moved.grad, batch, size)
    return total


def robust_accuracy(
    model: nn.Module,
    values: Tensor,
    targets: Tensor,
    region: Region,
    steps: int = 10,
    step: float | None = None,
    *,
    answer: Callable[[Tensor], Tensor] | None = None,
) -> float:
    """Share of items that are classified right as they are and under a PGD attack: never above the plain accuracy.

    values: (B, ...) that are moved. targets: (B,) class indices. answer: values -> logits (B, K), None is the model
    itself. The model is judged in eval mode and left as it was.
    """
    answer = answer or model
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        attacked = pgd(values, lambda x: cross_entropy(answer(x), targets), region, steps, step)
        with torch.no_grad():
            right = (answer(values).argmax(1) == targets) & (answer(attacked).argmax(1) == targets)
        return float(right.float().mean())
    finally:
        for module, training in modes.items():
            module.training = training


def _ascend(moved: Tensor, real: Tensor, loss_of: LossOf, region: Region, size: float) -> Tensor:
    """One step up the loss. Leaves the gradients of the weights alone."""
    moved = moved.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(moved), moved)
    return region.ascend(moved.detach(), gradient, real, size)


def _lengths(values: Tensor) -> Tensor:
    """(B, ...) -> (B,) L2 norms, never quite 0."""
    norms: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norms.clamp(min=1e-12)
