"""Boosted trees on plain features: what people take for tables who have no pretrained network."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from headstart.core.extras import require

ROUNDS = 200
_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "feature_fraction": 0.8,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def installed() -> bool:
    """Whether the library that grows the trees is here: the extra `tables`."""
    return find_spec("lightgbm") is not None


def fit_boosted(
    features: np.ndarray,
    targets: np.ndarray,
    kind: Literal["single", "multi", "number"],
    outputs: int,
    seed: int = 0,
) -> Callable[[np.ndarray], np.ndarray]:
    """Gradient boosting (LightGBM, Ke et al. 2017): features (N, D) -> raw outputs (N, K), as a linear head gives them.

    targets: (N,) classes, (N, K) zeros and ones, or (N, K) numbers in the units of the outputs. 200 rounds at a rate of
    0.05, smaller leaves where there are few items. Raises MissingExtra where the library is absent.
    """
    lightgbm = require("lightgbm", "tables", "boosted trees")
    settings = {**_SETTINGS, "seed": seed, "min_data_in_leaf": max(1, min(20, len(features) // 20))}

    def grow(target: np.ndarray, objective: str, **more: Any) -> Any:
        data = lightgbm.Dataset(features.astype(np.float64), target, params={"verbosity": -1})
        return lightgbm.train({**settings, "objective": objective, **more}, data, num_boost_round=ROUNDS)

    if kind == "single" and outputs > 2:
        forest = grow(targets, "multiclass", num_class=outputs)
        return lambda rows: np.asarray(forest.predict(rows.astype(np.float64), raw_score=True))
    columns = targets[:, None] if kind == "single" else targets
    forests = [grow(column, "regression" if kind == "number" else "binary") for column in columns.T]

    def raw(rows: np.ndarray) -> np.ndarray:
        found = [np.asarray(forest.predict(rows.astype(np.float64), raw_score=True)) for forest in forests]
        return np.stack([-found[0] / 2, found[0] / 2] if kind == "single" else found, axis=1)

    return raw
