"""Several models' outputs as one, and how much each should count.

The mean of probabilities is the linear opinion pool (Stone 1961), the mean of logits the logarithmic one (Genest and
Zidek 1986). Weights that are fitted on items no model was trained on make it stacking (Wolpert 1992; Breiman 1996,
with his constraint that weights are not negative).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from headstart.core.extras import require

Pool = Literal["logits", "probabilities"]
Kind = Literal["single", "multi", "number"]

PRIOR_ITEMS = 2.0
"""Strength of the pull towards equal weights: as if so many further items, for each model, spoke for that model alone.
Two models that differ on every fifth item are pulled about half the way with 60 items, a twentieth with 1,000. Measured
on four probes of 20, 60 and 180 items: without it 20 items fit worse weights than equal ones, with more than 5 a weak
model keeps too much."""


def pool(logits: Sequence[np.ndarray], weights: Sequence[float], how: Pool, kind: Kind) -> np.ndarray:
    """(N, K) raw outputs of several models -> those of the whole, in the same form.

    "logits": sum_i w_i z_i. "probabilities": the logits of sum_i w_i p_i, where p_i is the softmax of z_i for a
    single label and the sigmoid for many; weights must then sum to one. Numbers have no probabilities: both are the
    weighted sum. The order of the models does not matter, up to rounding.
    """
    stacked = np.stack([np.asarray(z, dtype=np.float64) for z in logits])
    w = np.asarray(weights, dtype=np.float64).reshape(-1, 1, 1)
    if how == "logits" or kind == "number":
        total: np.ndarray = (w * stacked).sum(axis=0)
        return total
    if kind == "single":
        return _log_mean(stacked - _log_sum(stacked, axis=2), w)
    there, absent = -np.logaddexp(0, -stacked), -np.logaddexp(0, stacked)  # log p and log (1 - p)
    logit: np.ndarray = _log_mean(there, w) - _log_mean(absent, w)
    return logit


def fit_weights(
    logits: Sequence[np.ndarray], targets: np.ndarray, how: Pool, kind: Kind, *, prior_items: float = PRIOR_ITEMS
) -> np.ndarray:
    """(M,) weights, not negative and of sum one, under which the pool of M models fits the targets best.

    logits: M of (N, K), of items that no model was trained on. targets: (N,) class indices; (N, K) zeros and ones; or
    (N, K) numbers in the unit of the logits.

    Minimises the log loss of the pool (for numbers the squared error, in units of what the equal weights leave) and,
    `prior_items` times for each model, the divergence of the weights from equal ones: with few items they stay near
    equal, without any they are equal. Everything is convex in the weights, so there is one minimum.
    Raises MissingExtra where scipy is not installed.
    """
    models = len(logits)
    if not len(targets):
        return np.full(models, 1 / models)
    optimize = require("scipy.optimize", "train", "Fitting the weights of an ensemble")
    stacked = np.stack([np.asarray(z, dtype=np.float64) for z in logits])
    loss = _squared_error(stacked, targets) if kind == "number" else _log_loss(stacked, targets, how, kind)
    pull = prior_items / len(targets)  # of the prior of each model, against the mean loss of an item

    def objective(a: np.ndarray) -> tuple[float, np.ndarray]:
        """Of the weights' logarithms up to a constant: free of constraints, and with the same one minimum."""
        logs = a - _log_sum(a, axis=0)
        w = np.exp(logs)
        value, slope = loss(w)
        return value - pull * float(logs.sum()), w * (slope - w @ slope) - pull * (1 - models * w)

    found = optimize.minimize(objective, np.zeros(models), jac=True, method="L-BFGS-B", options={"gtol": 1e-9})
    weights: np.ndarray = np.exp(found.x - _log_sum(found.x, axis=0))
    return weights


Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Weights (M,) -> the mean loss of an item and its gradient (M,)."""


def _log_loss(stacked: np.ndarray, targets: np.ndarray, how: Pool, kind: Kind) -> Loss:
    """stacked: (M, N, K). Many labels are as many decisions between z and 0."""
    if kind == "multi":
        models = len(stacked)
        stacked = np.stack([0 * stacked.reshape(models, -1), stacked.reshape(models, -1)], axis=2)
        targets = (targets.ravel() > 0.5).astype(int)
    rows = np.arange(len(targets))
    if how == "probabilities":
        right = np.exp(stacked - _log_sum(stacked, axis=2))[:, rows, targets]  # (M, N)
        right = np.maximum(right, np.finfo(np.float64).tiny)

        def linear(w: np.ndarray) -> tuple[float, np.ndarray]:
            mixed = w @ right
            return -float(np.log(mixed).mean()), -(right / mixed).mean(axis=1)

        return linear

    of_target = stacked[:, rows, targets]

    def logarithmic(w: np.ndarray) -> tuple[float, np.ndarray]:
        pooled = np.tensordot(w, stacked, axes=1)
        normaliser = _log_sum(pooled, axis=1)
        expected = (stacked * np.exp(pooled - normaliser)).sum(axis=2)
        return float((normaliser[:, 0] - w @ of_target).mean()), (expected - of_target).mean(axis=1)

    return logarithmic


def _squared_error(stacked: np.ndarray, targets: np.ndarray) -> Loss:
    errors = stacked - targets  # (M, N, K)
    left = float((errors.mean(axis=0) ** 2).sum(axis=1).mean()) or 1.0

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.tensordot(w, errors, axes=1)
        slope = (errors * mixed).sum(axis=2).mean(axis=1) / left
        return float((mixed**2).sum(axis=1).mean()) / (2 * left), slope

    return loss


def _log_sum(values: np.ndarray, axis: int) -> np.ndarray:
    """log sum exp along an axis, which is kept."""
    top = values.max(axis=axis, keepdims=True)
    found: np.ndarray = top + np.log(np.exp(values - top).sum(axis=axis, keepdims=True))
    return found


def _log_mean(logs: np.ndarray, w: np.ndarray) -> np.ndarray:
    """log sum_i w_i exp(logs_i). logs: (M, N, K). w: (M, 1, 1); a model of weight 0 takes no part."""
    used = w.ravel() > 0
    mixed: np.ndarray = _log_sum(logs[used] + np.log(w[used]), axis=0)[0]
    return mixed
