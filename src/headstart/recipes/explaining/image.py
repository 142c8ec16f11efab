"""Where in a picture: Grad-CAM on the last feature maps, or integrated gradients of the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from headstart.core.card import ImageInput
from headstart.core.errors import ConfigError
from headstart.data.dataset import Item
from headstart.evaluation.blocks import blocks
from headstart.evaluation.explanation import Seen
from headstart.nn.attribution import grad_cam, integrated_gradients
from headstart.recipes.explaining.base import AUTO, GRAD_CAM, INTEGRATED, Found, Onlooker, chosen

COARSEST: Final = 4
"""Cells of a side that a feature map must have to say where something is."""


def explain_image(item: Item, onlookers: Sequence[Onlooker], method: str) -> Found:
    """The mean over members, each on the square that it sees; what is shown is the widest of these."""
    widest = max(onlookers, key=lambda onlooker: _field(onlooker))
    total, methods, gaps = None, [], []
    for onlooker in onlookers:
        map, used, gap = _map(onlooker, method)
        placed = onlooker.weight * (map if len(onlookers) == 1 else _placed(map, onlooker, widest))
        total = placed if total is None else total + placed
        methods.append(used)
        gaps += [] if gap is None else [gap]
    assert total is not None
    view = widest.view[0].permute(1, 2, 0).numpy()
    return Found(Seen(view, total), tuple(methods), tuple(gaps))


def _map(onlooker: Onlooker, method: str) -> tuple[np.ndarray, str, float | None]:
    """(h, w) over the square that the member sees, how it was found, and its gap where it has one."""
    model, ready, output = onlooker.member.model, onlooker.ready, onlooker.output
    preferred = (GRAD_CAM, INTEGRATED) if method == AUTO and _says_where(onlooker) else (INTEGRATED, GRAD_CAM)
    if chosen(method, *preferred) == GRAD_CAM:
        map = grad_cam(model, ready, output)[0]
        if map.shape[0] < 2 and map.shape[1] < 2:
            raise ConfigError("Grad-CAM says nothing here: the last feature map is one cell. Use integrated-gradients.")
        return map.double().cpu().numpy(), GRAD_CAM, None
    path = integrated_gradients(model, ready, torch.zeros_like(ready), output)
    return path.values[0].sum(0).double().cpu().numpy(), INTEGRATED, path.gap


def _says_where(onlooker: Onlooker) -> bool:
    with torch.no_grad():
        maps = onlooker.member.model.encoder(onlooker.ready).maps
    return bool(maps) and min(maps[-1].shape[2:]) >= COARSEST


def _field(onlooker: Onlooker) -> float:
    """Share of the picture's short side that the member sees."""
    contract = _contract(onlooker)
    return contract.crop / contract.resize


def _placed(map: np.ndarray, onlooker: Onlooker, widest: Onlooker) -> np.ndarray:
    """A map over what one member sees, as a map over what the widest sees; they share their centre."""
    size = _contract(widest).crop
    inner = min(size, round(size * _field(onlooker) / _field(widest)))
    before = (size - inner) // 2
    placed = np.zeros((size, size))
    placed[before : before + inner, before : before + inner] = blocks(map, inner, inner)
    return placed


def _contract(onlooker: Onlooker) -> ImageInput:
    contract = onlooker.member.contract
    assert isinstance(contract, ImageInput)
    return contract
