"""Worst-case inputs within a small box around the real ones, for training and for measuring robustness.

Inputs are normalised pictures (B, C, H, W); sizes of changes are given in pixels of the 0..1 range and converted by
the channel's standard deviation, and no pixel leaves the valid range. Each function takes `loss_of(batch) -> scalar`
and runs where the batch lives. The forward passes of an attack count for a batch norm that updates its statistics: put
the model in eval mode first where that is unwanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

LossOf = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Box:
    """All pictures whose every pixel is within `epsilon` of the real one's, and valid.

    epsilon: in the 0..1 pixel range. mean, std: of the normalisation, one a channel.
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
        """A picture drawn evenly from the box, from torch's global random state."""
        return self.project(real + torch.empty_like(real).uniform_(-1, 1) * self.scaled(self.epsilon, real), real)

    def step_size(self, steps: int, step: float | None) -> float:
        """`step`, or the usual choice: the radius for one step, 2.5 radii shared over several (Madry et al. 2018)."""
        if step is not None:
            return step
        return self.epsilon if steps == 1 else 2.5 * self.epsilon / steps

    @staticmethod
    def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


def fgsm(batch: Tensor, loss_of: LossOf, box: Box) -> Tensor:
    """batch + epsilon sign(gradient), in the box (Goodfellow et al. 2015). Returns a detached (B, C, H, W)."""
    return _ascend(batch, batch, loss_of, box, box.epsilon)


def pgd(batch: Tensor, loss_of: LossOf, box: Box, steps: int, step: float | None = None) -> Tensor:
    """Projected gradient ascent from a random start in the box (Madry et al. 2018). Returns a detached (B, C, H, W).

    step: size of one step in the 0..1 pixel range, None as `Box.step_size`.
    """
    size = box.step_size(steps, step)
    moved = box.random_start(batch)
    for _ in range(steps):
        moved = _ascend(moved, batch, loss_of, box, size)
    return moved


def freelb(
    batch: Tensor,
    loss_of: LossOf,
    backward: Callable[[Tensor], None],
    box: Box,
    steps: int,
    step: float | None = None,
) -> Tensor:
    """Gradients of the weights averaged over the pictures passed on the way up (Zhu et al. 2020, algorithm 1).

    Every backward pass serves both the ascent and the weights, so `steps` passes cost no more than plain PGD's and all
    of them teach. The ascent is by sign in the box instead of the paper's L2 ball. backward: called with each step's
    share of the loss, `lambda loss: loss.backward()` at its simplest. Returns the mean loss over the steps, detached.
    """
    size = box.step_size(steps, step)
    moved = box.random_start(batch)
    total = torch.zeros((), device=batch.device)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        loss = loss_of(moved) / steps
        backward(loss)
        total = total + loss.detach()
        assert moved.grad is not None
        moved = box.project(moved.detach() + box.scaled(size, batch) * moved.grad.sign(), batch)
    return total


def robust_accuracy(
    model: nn.Module, batch: Tensor, targets: Tensor, box: Box, steps: int = 10, step: float | None = None
) -> float:
    """Share of items that are classified right as they are and under a PGD attack: never above the plain accuracy.

    batch: (B, C, H, W) normalised. targets: (B,) class indices. The model is judged in eval mode and left as it was.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        attacked = pgd(batch, lambda x: cross_entropy(model(x), targets), box, steps, step)
        with torch.no_grad():
            right = (model(batch).argmax(1) == targets) & (model(attacked).argmax(1) == targets)
        return float(right.float().mean())
    finally:
        for module, training in modes.items():
            module.training = training


def _ascend(moved: Tensor, real: Tensor, loss_of: LossOf, box: Box, size: float) -> Tensor:
    """One signed step up the loss, projected. Leaves the gradients of the weights alone."""
    moved = moved.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(moved), moved)
    return box.project(moved.detach() + box.scaled(size, real) * gradient.sign(), real)
