"""What training sees of a picture: a random view of it, the same for the same seed.

RandAugment (Cubuk et al. 2020) and TrivialAugment (Mueller and Hutter 2021, the wide space) are written after the
papers on Pillow's operations, with the magnitudes of torchvision, because torchvision draws from the global random
state alone, which threads share.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from headstart.core.card import ImageInput
from headstart.core.config import AugmentConfig
from headstart.data.images import RESAMPLE, centre

_BINS: Final = 31
_ENHANCE: Final = {
    "brightness": ImageEnhance.Brightness,
    "color": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "sharpness": ImageEnhance.Sharpness,
}
# operation -> (largest strength in RandAugment, in TrivialAugment, whether the sign is drawn). Strengths: shear as a
# ratio, translate as a share of the side (RandAugment) or in pixels (TrivialAugment), rotate in degrees, enhancement
# as the change of its factor from 1, posterize in bits removed, solarize in grey levels below 255.
_STRENGTH: Final[dict[str, tuple[float, float, bool]]] = {
    "identity": (0.0, 0.0, False),
    "shear_x": (0.3, 0.99, True),
    "shear_y": (0.3, 0.99, True),
    "translate_x": (150 / 331, 32.0, True),
    "translate_y": (150 / 331, 32.0, True),
    "rotate": (30.0, 135.0, True),
    "brightness": (0.9, 0.99, True),
    "color": (0.9, 0.99, True),
    "contrast": (0.9, 0.99, True),
    "sharpness": (0.9, 0.99, True),
    "posterize": (4.0, 6.0, False),
    "solarize": (255.0, 255.0, False),
    "autocontrast": (0.0, 0.0, False),
    "equalize": (0.0, 0.0, False),
}
OPERATIONS: Final = tuple(_STRENGTH)


def train_view(picture: np.ndarray, contract: ImageInput, augment: AugmentConfig, seed: int) -> Tensor:
    """Picture uint8 (H, W, 3) -> uint8 (3, crop, crop), determined by `seed` (0 or larger) alone.

    Policy "none" gives the evaluation view. The tensor's memory is channels-last.
    """
    return to_tensor(train_array(picture, contract, augment, seed))


def to_tensor(views: np.ndarray) -> Tensor:
    """uint8 (..., H, W, 3) -> uint8 (..., 3, H, W), in place where it may be: batches come out channels-last."""
    return torch.from_numpy(np.require(views, requirements=["C", "W"])).movedim(-1, -3)


def normalise(batch: Tensor, contract: ImageInput) -> Tensor:
    """uint8 (B, 3, H, W) -> float32 of the same shape and device, channels-last: (x / 255 - mean) / std."""
    std = torch.tensor(contract.std, device=batch.device)
    shift = torch.tensor(contract.mean, device=batch.device) / std
    # Whole lines of pixels, channels last as batches lie in memory: three values at a time take four times as long.
    lines = batch.permute(0, 2, 3, 1).float().flatten(2)
    lines.mul_((1 / (255 * std)).repeat(batch.shape[3])).sub_(shift.repeat(batch.shape[3]))
    return lines.view(len(batch), *batch.shape[2:], 3).permute(0, 3, 1, 2)


def train_array(picture: np.ndarray, contract: ImageInput, augment: AugmentConfig, seed: int) -> np.ndarray:
    """As `train_view`, but uint8 (crop, crop, 3)."""
    if augment.policy == "none":
        return centre(picture, contract)
    rng = np.random.Generator(np.random.Philox(seed))
    top, left, height, width = random_box(picture.shape[0], picture.shape[1], augment.scale_min, rng)
    cut = np.ascontiguousarray(picture[top : top + height, left : left + width])
    view = Image.fromarray(cut).resize((contract.crop, contract.crop), RESAMPLE[contract.interpolation])
    if rng.random() < augment.flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    fill = tuple(round(255 * mean) for mean in contract.mean)
    if augment.policy == "randaugment":
        for _ in range(augment.randaugment_ops):
            view = _random_operation(view, augment.randaugment_magnitude, rng, fill, wide=False)
    elif augment.policy == "trivialaugment":
        view = _random_operation(view, int(rng.integers(_BINS)), rng, fill, wide=True)
    return np.asarray(view)


def random_box(height: int, width: int, scale_min: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a box with a share of the area in [scale_min, 1] and an aspect in [3/4, 4/3], as
    in Inception's training (Szegedy et al. 2015); the largest centred box of a legal aspect if ten draws do not fit."""
    low, high = math.log(3 / 4), math.log(4 / 3)
    for _ in range(10):
        area = height * width * rng.uniform(scale_min, 1)
        aspect = math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    w, h = min(width, max(1, round(height * 4 / 3))), min(height, max(1, round(width * 4 / 3)))
    return (height - h) // 2, (width - w) // 2, h, w


def _random_operation(
    view: Image.Image, magnitude: int, rng: np.random.Generator, fill: tuple[int, ...], *, wide: bool
) -> Image.Image:
    name = OPERATIONS[int(rng.integers(len(OPERATIONS)))]
    sign = -1 if rng.random() < 0.5 else 1
    return apply_operation(view, name, strength(name, magnitude, view.width, wide=wide, sign=sign), fill)


def strength(name: str, magnitude: int, side: int, *, wide: bool, sign: int = 1) -> float:
    """Strength of an operation on an image of `side` pixels at a magnitude 0..30, in the operation's own unit.

    wide: the wide space of TrivialAugment, else RandAugment's. sign: -1 or 1, used where the operation has two sides.
    """
    narrow_top, wide_top, signed = _STRENGTH[name]
    top = wide_top if wide else narrow_top * (side if name.startswith("translate") else 1)
    value = top * magnitude / (_BINS - 1)
    return value * sign if signed else value


def apply_operation(view: Image.Image, name: str, value: float, fill: tuple[int, ...]) -> Image.Image:
    """One operation at a strength in its own unit; what comes in from outside the image has the colour `fill`."""
    match name:
        case "identity":
            return view
        case "shear_x":
            return _affine(view, (1, value, 0, 0, 1, 0), fill)
        case "shear_y":
            return _affine(view, (1, 0, 0, value, 1, 0), fill)
        case "translate_x":
            return _affine(view, (1, 0, -int(value), 0, 1, 0), fill)
        case "translate_y":
            return _affine(view, (1, 0, 0, 0, 1, -int(value)), fill)
        case "rotate":
            return view.rotate(value, Image.Resampling.BILINEAR, fillcolor=fill)
        case "brightness" | "color" | "contrast" | "sharpness":
            return _ENHANCE[name](view).enhance(1 + value)
        case "posterize":
            return ImageOps.posterize(view, 8 - round(value))
        case "solarize":
            return ImageOps.solarize(view, round(255 - value))
        case "autocontrast":
            return ImageOps.autocontrast(view)
        case "equalize":
            return ImageOps.equalize(view)
        case _:
            raise ValueError(f"no operation {name!r}; there are {', '.join(OPERATIONS)}")


def _affine(view: Image.Image, inverse: tuple[float, ...], fill: tuple[int, ...]) -> Image.Image:
    return view.transform(view.size, Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR, fillcolor=fill)
