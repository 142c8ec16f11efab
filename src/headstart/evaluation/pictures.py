"""Attributions as pictures: PNG bytes that need nothing else."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

from headstart.evaluation.blocks import blocks, share

FOR: Final = np.array([255, 96, 0], np.float32)
AGAINST: Final = np.array([0, 112, 255], np.float32)
"""Orange speaks for the label, blue against it: told apart by any eye."""

STRONGEST: Final = 0.72
FINE: Final = 28
"""Cells of a side from which on a map is drawn coarser: single pixels are noise."""
LEAST: Final = 224


def overlay(view: np.ndarray, map: np.ndarray) -> bytes:
    """A square picture (S, S, 3) uint8 with what speaks for the label (orange) and against it (blue) laid over.

    map: (h, w) over the same square.
    """
    coarse = blocks(map, *(min(FINE, side) for side in map.shape))
    size = max(LEAST, len(view))
    photo = Image.fromarray(view).resize((size, size), Image.Resampling.BICUBIC)
    return png(tinted(np.asarray(photo), coarse))


def tinted(picture: np.ndarray, map: np.ndarray) -> np.ndarray:
    """picture: uint8 (H, W, 3). map: (h, w), laid over all of it -> uint8 (H, W, 3)."""
    height, width = picture.shape[:2]
    strength = Image.fromarray(share(map).astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    signed = np.asarray(strength)[..., None]
    colour = np.where(signed > 0, FOR, AGAINST)
    alpha = STRONGEST * np.abs(signed)
    grey = picture.mean(axis=2, keepdims=True, dtype=np.float32)
    base = 0.5 * picture + 0.5 * grey
    found: np.ndarray = np.clip(base * (1 - alpha) + colour * alpha, 0, 255).astype(np.uint8)
    return found


def png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", optimize=True)
    return out.getvalue()
