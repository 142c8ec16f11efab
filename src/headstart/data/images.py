"""From encoded bytes to a picture, and from a picture to what a network sees.

A picture is a uint8 array (H, W, 3), RGB, upright, its short side scaled to the contract's `resize`. The
evaluation view is its centre square of `crop` pixels, bit for bit what timm's evaluation transform gives, with one
exception: a JPEG file of four times the size that is needed, or more, is made smaller by the decoder itself, two to
three times as fast; features agree to a cosine similarity of 0.99 (docs/benchmarks.md, "Encoding").
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Final

import numpy as np
from PIL import Image

from headstart.core.card import ImageInput
from headstart.core.errors import DataError
from headstart.data.dataset import Item

MAX_PIXELS: Final = 100_000_000
SPARE: Final = 2
"""How many times the pixels that are needed, along a side, a JPEG decoder leaves at least. With 1 it takes as long, and
single photos fall below a cosine similarity of 0.99."""
LEAST: Final = 64
"""Pixels that it leaves in any case, to compare images by."""

SUFFIXES: Final[dict[str, frozenset[str]]] = {
    suffix: frozenset(formats)
    for suffixes, formats in (
        ((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", "MPO")),
        ((".png",), ("PNG",)),
        ((".gif",), ("GIF",)),
        ((".bmp",), ("BMP",)),
        ((".webp",), ("WEBP",)),
        ((".tif", ".tiff"), ("TIFF",)),
        ((".ppm", ".pgm", ".pbm", ".pnm"), ("PPM",)),
        ((".avif",), ("AVIF",)),
    )
    for suffix in suffixes
}
"""File name endings that are read as images -> the formats that may be inside. Nothing else is decoded: some of
Pillow's other formats start external programs."""

RESAMPLE: Final = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's remarks on odd files would reach the user without the file's name; the survey reports them with it.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageError(DataError):
    """An item that cannot be turned into a picture. code: as in a Finding."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Facts:
    """What the file was before it became an upright RGB image.

    traits: any of "rotated", "palette", "alpha", "16-bit", "cmyk", "animated"; all are handled.
    """

    format: str
    width: int
    height: int
    traits: tuple[str, ...]


def is_image_name(name: str) -> bool:
    """Whether a file name ends as an image's does."""
    return PurePath(name).suffix.lower() in SUFFIXES


def decode(item: Item, *, short: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The item as an upright RGB image; see `read_image`."""
    return read_image(item.content(), item.id, short=short, max_pixels=max_pixels)[0]


def read_image(
    data: bytes, name: str, *, short: int | None = None, max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, Facts]:
    """Encoded bytes -> (upright RGB image, facts).

    short: the pixels of the short side that are needed; a much larger JPEG comes out smaller, its short side twice
    that or more. None is every pixel. The facts are those of the file in any case.

    Transparency is laid on white, 16 bits are scaled to 8, CMYK is converted, of an animation the first frame is
    taken. The header's dimensions are checked before anything is decoded.

    Raises ImageError (a DataError) naming the item: "unreadable-image" or "absurd-dimensions".
    """
    if not data:
        raise ImageError("unreadable-image", f"{name}: the file is empty (0 bytes). Replace or remove it.")
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
        too_large = image.width * image.height > max_pixels
        size = f"{image.width} x {image.height} pixels"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        too_large, size = True, "its header"
    except Exception:  # Pillow's readers raise many types on damaged headers
        raise ImageError("unreadable-image", f"{name}: {_what_it_is(data)}. Replace or remove it.") from None
    if too_large:
        raise ImageError(
            "absurd-dimensions",
            f"{name}: {size} promises more than {max_pixels / 1e6:.0f} megapixels, which would exhaust memory. "
            "Scale it down or remove it.",
        )
    try:
        with image:
            width, height, format_ = image.width, image.height, image.format or ""
            if short is not None:
                image.draft(None, (max(SPARE * short, LEAST),) * 2)  # nothing happens where it is not a JPEG
            image.load()
            orientation = _orientation(image)
            traits = _traits(image, orientation)
            rgb = _to_rgb(image)
            if orientation in _UPRIGHT:
                rgb = rgb.transpose(_UPRIGHT[orientation])
    except Exception as error:  # as above, for damaged bodies
        raise ImageError(
            "unreadable-image", f"{name}: the image is damaged or truncated ({error}). Replace or remove it."
        ) from None
    return rgb, Facts(format_, width, height, traits)


def picture(image: Image.Image, contract: ImageInput) -> np.ndarray:
    """Upright RGB image -> uint8 (H, W, 3), short side `contract.resize`, long side at most twice that.

    The long side is cut about its centre such that `centre` finds the same pixels as in the uncut image.
    """
    short, size = min(image.size), contract.resize
    if max(image.size) > 32 * short:  # a ribbon: cut it before scaling, which would make it enormous
        image = image.crop(_centre_box(image.width, image.height, 4 * short))
    width, height = (int(size * side / short) for side in image.size)
    if (width, height) != image.size:
        image = image.resize((width, height), RESAMPLE[contract.interpolation])
    if max(width, height) > 2 * size:
        image = image.crop(_centre_box(width, height, 2 * size))
    return np.asarray(image)


def centre(picture: np.ndarray, contract: ImageInput) -> np.ndarray:
    """Picture (H, W, 3) -> its centre (crop, crop, 3), edges repeated where the picture is smaller."""
    crop = contract.crop
    missing = [max(0, crop - side) for side in picture.shape[:2]]
    if any(missing):
        picture = np.pad(picture, [(m // 2, m - m // 2) for m in missing] + [(0, 0)], mode="edge")
    top, left = (round((side - crop) / 2) for side in picture.shape[:2])
    return picture[top : top + crop, left : left + crop]


def _centre_box(width: int, height: int, longest: int) -> tuple[int, int, int, int]:
    """Box that cuts the longer side to at most `longest`, by a multiple of four pixels: half of it from each end is
    then even, and the half-to-even rounding in `centre` falls as it would without the cut."""
    cut_x, cut_y = (2 * -(-max(0, side - longest) // 4) for side in (width, height))
    return cut_x, cut_y, width - cut_x, height - cut_y


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(sorted({f for formats in SUFFIXES.values() for f in formats} & set(Image.OPEN)))


def _what_it_is(data: bytes) -> str:
    if len(data) > 3 and data[:512].isascii() and data[:512].decode().isprintable():
        return f"this is text, not an image (it begins {data[:20].decode()!r})"
    return f"not an image in a known format (it begins with the bytes {data[:8].hex(' ')})"


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata beside sound pixels: take the pixels as they are
        return 1


def _traits(image: Image.Image, orientation: int) -> tuple[str, ...]:
    found = {
        "rotated": orientation in _UPRIGHT,
        "palette": image.mode in ("P", "PA"),
        "alpha": _has_alpha(image),
        "16-bit": image.mode.startswith("I") or image.mode == "F",
        "cmyk": image.mode == "CMYK",
        "animated": image.format != "MPO" and bool(getattr(image, "is_animated", False)),
    }
    return tuple(name for name, present in found.items() if present)


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif _has_alpha(image):
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Grey values of more than 8 bits (H, W) -> uint8: 0..65535 (or 0..1, 0..255 for floats) is scaled as such,
    any other range by its own lowest and highest value."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low + high):
        raise ValueError("it holds values that are not finite")
    if values.dtype.kind == "f":
        scale = 1.0 if high <= 1 else 255.0
    else:
        scale = 65535.0
    if low < 0 or high > scale:
        values, scale = values - low, high - low
    return np.rint(values.astype(np.float64) * (255.0 / scale)).astype(np.uint8)
