"""The library POT (Python Optimal Transport), behind two plans."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from headstart.core.extras import require


def exact_plan(cost: np.ndarray) -> np.ndarray:
    """(Ns, Nt), summing to 1, that carries items of even mass into items of even mass at the least cost (Ns, Nt)."""
    ot = _library()
    return np.asarray(ot.emd(*_even(cost), cost, numItermax=10_000_000))


def smooth_plan(cost: np.ndarray, entropy: float) -> np.ndarray:
    """The same with `entropy` sum p log p added to the cost (Cuturi 2013), by Sinkhorn's iterations.

    They are fast where exp(-cost / entropy) can be written down. Each row's and column's least cost is taken off first,
    which changes no plan; where that is not enough they are done with logarithms.
    """
    ot = _library()
    cost = cost - cost.min(axis=1, keepdims=True)
    cost = cost - cost.min(axis=0)
    masses = _even(cost)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", UserWarning)  # a plan that is nearly there is a plan
        plan = np.asarray(ot.bregman.sinkhorn_stabilized(*masses, cost, entropy, stopThr=1e-7))
        if not _carries(plan, *masses):
            plan = np.asarray(ot.bregman.sinkhorn_log(*masses, cost, entropy, stopThr=1e-7))
    return plan


def _carries(plan: np.ndarray, out: np.ndarray, into: np.ndarray) -> bool:
    """Whether at most a hundredth of the mass is at the wrong place."""
    return bool(np.abs(plan.sum(axis=1) - out).sum() + np.abs(plan.sum(axis=0) - into).sum() < 0.01)


def _even(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    number, others = cost.shape
    return np.full(number, 1 / number), np.full(others, 1 / others)


def _library() -> Any:
    return require("ot", "adapt", "optimal transport")
