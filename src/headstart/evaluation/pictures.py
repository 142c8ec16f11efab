"""Attributions as pictures: PNG bytes that need nothing else."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from headstart.evaluation.blocks import blocks, share

FOR: Final = np.array([255, 96, 0], np.float32)
AGAINST: Final = np.array([0, 112, 255], np.float32)
"""Orange speaks for the label, blue against it: told apart by any eye."""

STRONGEST: Final = 0.72
FINE: Final = 28
"""Cells of a side from which on a map is drawn coarser: single pixels are noise."""
LEAST: Final = 224
WIDTH, HEIGHT, LEFT, BELOW, MARGIN, TICKS = 560, 256, 64, 28, 20, 5
"""Of a spectrogram, in pixels."""


def overlay(view: np.ndarray, map: np.ndarray) -> bytes:
    """A square picture (S, S, 3) uint8 with what speaks for the label (orange) and against it (blue) laid over.

    map: (h, w) over the same square.
    """
    size = max(LEAST, len(view))
    photo = Image.fromarray(view).resize((size, size), Image.Resampling.BICUBIC)
    return png(tinted(np.asarray(photo), _coarse(map)))


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


def spectrogram(levels: np.ndarray, map: np.ndarray, hertz: np.ndarray, seconds: np.ndarray) -> bytes:
    """A spectrogram (bands, frames), low bands first, as grey, the map over it, with axes in seconds and hertz.

    map: of any cells over the same area. hertz, seconds: ascending, evenly along the axes' pixels.
    """
    low, high = np.quantile(levels, [0.02, 1.0])
    grey = np.clip((levels - low) / max(high - low, 1e-9), 0, 1)
    image = Image.fromarray((255 * grey[::-1]).astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    shown = tinted(np.asarray(image.convert("RGB")), _coarse(map)[::-1])
    canvas = Image.new("RGB", (LEFT + WIDTH + MARGIN, MARGIN + HEIGHT + BELOW), "white")
    canvas.paste(Image.fromarray(shown), (LEFT, MARGIN))
    draw = ImageDraw.Draw(canvas)
    for place in np.linspace(0, 1, TICKS):
        x, y = LEFT + place * (WIDTH - 1), MARGIN + (1 - place) * (HEIGHT - 1)
        draw.line([(x, MARGIN + HEIGHT), (x, MARGIN + HEIGHT + 4)], fill="black")
        draw.line([(LEFT - 4, y), (LEFT, y)], fill="black")
        draw.text((x, MARGIN + HEIGHT + 6), f"{_at(seconds, place):.3g} s", fill="black", anchor="ma")
        draw.text((LEFT - 7, y), f"{_at(hertz, place):.0f} Hz", fill="black", anchor="rm")
    return png(np.asarray(canvas))


def _at(edges: np.ndarray, place: float) -> float:
    return float(np.interp(place * (len(edges) - 1), np.arange(len(edges)), edges))


def _coarse(map: np.ndarray) -> np.ndarray:
    """At most FINE cells a side."""
    return blocks(map, *(min(FINE, side) for side in map.shape))


def png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG", optimize=True)
    return out.getvalue()
