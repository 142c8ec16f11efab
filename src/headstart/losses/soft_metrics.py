"""Differentiable surrogates of metrics: counts become sums of probabilities. Added to a loss as `alpha * R`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import one_hot

from headstart.core.errors import ConfigError, ShapeError, unknown_name

EPSILON = 1e-7


def soft_precision(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Mean over the classes present of sum(p t) / sum(p). Arguments and result as `soft_f1`."""
    p, t = _pair(probabilities, targets)
    return _macro((p * t).sum(0) / p.sum(0).clamp(min=EPSILON), t)


def soft_recall(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Mean over the classes present of sum(p t) / sum(t). Arguments and result as `soft_f1`."""
    p, t = _pair(probabilities, targets)
    return _macro((p * t).sum(0) / t.sum(0).clamp(min=EPSILON), t)


def soft_f1(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Mean over the classes present of 2 sum(p t) / (sum(p) + sum(t)): a scalar in 0..1.

    probabilities: (B, K), of a softmax or of sigmoids. targets: (B,) class indices, or (B, K) in 0..1, soft labels
    included. A class is present if any target weight is on it; with none present the result is 1, so that its penalty
    is 0. With hard probabilities it is the macro F1 over the classes present. Raises ShapeError on other shapes.
    """
    p, t = _pair(probabilities, targets)
    return _macro(2 * (p * t).sum(0) / (p.sum(0) + t.sum(0)).clamp(min=EPSILON), t)


SURROGATES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "soft-f1": soft_f1,
    "soft-precision": soft_precision,
    "soft-recall": soft_recall,
}


def metric_term(name: str, probabilities: Tensor, targets: Tensor) -> Tensor:
    """R = 1 - surrogate, a scalar in 0..1 to be minimised. name: one of `SURROGATES`; else arguments as `soft_f1`."""
    if name not in SURROGATES:
        raise ConfigError(unknown_name("metric term", name, SURROGATES))
    return 1 - SURROGATES[name](probabilities, targets)


def _pair(probabilities: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (B, K) of the probabilities' type."""
    if probabilities.ndim != 2:
        raise ShapeError(f"probabilities are {tuple(probabilities.shape)}; expected (items, classes)")
    if targets.ndim == 1 and not targets.is_floating_point():
        targets = one_hot(targets, probabilities.shape[1])
    if targets.shape != probabilities.shape:
        raise ShapeError(
            f"targets are {tuple(targets.shape)} and probabilities {tuple(probabilities.shape)}; "
            f"give class indices ({probabilities.shape[0]},) or weights of the same shape"
        )
    return probabilities, targets.to(probabilities.dtype)


def _macro(values: Tensor, targets: Tensor) -> Tensor:
    """Mean of (K,) values over classes with any target weight; 1 where there is none."""
    present = (targets.sum(0) > 0).to(values.dtype)
    count = present.sum()
    return (values * present).sum() / count.clamp(min=1) + (count == 0).to(values.dtype)
