"""Which columns of a row: integrated gradients of numbers; occlusion where there are categories or gaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from headstart.core.card import Column, TableInput
from headstart.data.dataset import Item
from headstart.evaluation.explanation import Columns
from headstart.nn.attribution import integrated_gradients, occlusion
from headstart.recipes.explaining.base import INTEGRATED, OCCLUSION, Found, Onlooker, chosen

MISSING = -1.0
"""The place of a category that is missing or new."""


def explain_row(item: Item, onlookers: Sequence[Onlooker], method: str) -> Found:
    """The mean over members. A number is held against the mean of the training items, a category against a missing
    one; a missing value is nothing that could be explained."""
    scores: dict[str, float] = {}
    values: dict[str, float | str | None] = {}
    methods, gaps = [], []
    for onlooker in onlookers:
        contract = onlooker.member.contract
        assert isinstance(contract, TableInput)
        found, used, gap = _scores(onlooker, contract, method)
        for column, score, value in zip(contract.columns, found, onlooker.view[0].tolist(), strict=True):
            scores[column.name] = scores.get(column.name, 0.0) + onlooker.weight * score
            values[column.name] = _told(column, value)
        methods.append(used)
        gaps += [] if gap is None else [gap]
    rows = tuple((name, values[name], score) for name, score in scores.items())
    return Found(Columns(rows), tuple(methods), tuple(gaps))


def _scores(onlooker: Onlooker, contract: TableInput, method: str) -> tuple[list[float], str, float | None]:
    model, ready, output = onlooker.member.model, onlooker.ready, onlooker.output
    baseline = torch.zeros_like(ready)
    for place, column in enumerate(contract.columns):
        if column.levels:
            baseline[0, place] = MISSING
    smooth = not any(column.levels for column in contract.columns) and bool(torch.isfinite(ready).all())
    if chosen(method, *([INTEGRATED, OCCLUSION] if smooth else [OCCLUSION])) == INTEGRATED:
        path = integrated_gradients(model, ready, baseline, output)
        return path.values[0].tolist(), INTEGRATED, path.gap
    return occlusion(model, ready, _without_each(ready, baseline), output).tolist(), OCCLUSION, None


def _without_each(ready: Tensor, baseline: Tensor) -> Tensor:
    """(1, C) -> (C, C): the i-th row has the baseline's i-th column, unless that is missing anyway."""
    columns = ready.shape[1]
    each = torch.eye(columns, dtype=torch.bool, device=ready.device) & torch.isfinite(ready)
    return torch.where(each, baseline, ready)


def _told(column: Column, value: float) -> float | str | None:
    """As it stands in the table."""
    if not np.isfinite(value) or (column.levels and value < 0):
        return None
    return column.levels[int(value)] if column.levels else float(f"{value * column.std + column.mean:.6g}")
