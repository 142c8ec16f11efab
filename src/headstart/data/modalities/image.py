"""Images: decoded, scaled and kept as pictures; views are uint8 squares, put together channels-last in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from headstart.core.card import ImageInput
from headstart.core.config import AugmentConfig
from headstart.core.errors import DataError, ShapeError
from headstart.data import checks
from headstart.data.dataset import Item
from headstart.data.duplicates import near_duplicate_groups, thumbnail
from headstart.data.images import centre, decode, picture, read_image
from headstart.data.modalities.base import Check, Modality, Plain, Seen
from headstart.data.transforms.image import normalise, to_tensor, train_array
from headstart.losses.adversarial import Box, Region

SMALLEST_COMPARED: Final = 32
"""Pixels of the short side below which different images look alike too easily (icons, digits)."""
PIXELS: Final = 32
THUMBNAIL: Final = 160
BOX: Final = 2 / 255
"""By how much an attack changes a pixel, unless it is said."""


class ImageModality(Modality[ImageInput, np.ndarray]):
    """What is kept is a picture: uint8 (H, W, 3), see `headstart.data.images`."""

    noun: ClassVar[str] = "image"
    plural: ClassVar[str] = "photos"
    example: ClassVar[tuple[str, str]] = ("photo.jpg", "other_photos/")
    checks: ClassVar[tuple[Check, ...]] = (checks.wrong_extension, checks.handled, checks.flat_images)

    def look(self, content: bytes, item: Item, contract: ImageInput | None) -> Seen[np.ndarray]:
        image, facts = read_image(content, item.id, short=None if contract is None else contract.resize)
        flat = len(image.getcolors(maxcolors=1) or ()) == 1
        comparable = not flat and min(image.size) >= SMALLEST_COMPARED
        return Seen(
            facts,
            None if contract is None else picture(image, contract),
            thumbnail(image) if comparable else None,
            flat,
        )

    def read(self, item: Item, contract: ImageInput) -> np.ndarray:
        return picture(decode(item, short=contract.resize), contract)

    def weigh(self, kept: np.ndarray) -> int:
        return kept.nbytes

    def evaluation(self, kept: np.ndarray, contract: ImageInput) -> np.ndarray:
        """uint8 (crop, crop, 3)."""
        return centre(kept, contract)

    def training(self, kept: np.ndarray, contract: ImageInput, augment: AugmentConfig, seed: int) -> np.ndarray:
        """uint8 (crop, crop, 3)."""
        return train_array(kept, contract, augment, seed)

    def varies(self, augment: AugmentConfig) -> bool:
        return augment.policy != "none"

    def collate(self, views: Sequence[np.ndarray], contract: ImageInput) -> Tensor:
        """uint8 (B, 3, crop, crop), channels-last in memory."""
        return to_tensor(np.stack(views) if views else np.empty((0, contract.crop, contract.crop, 3), np.uint8))

    def prepare(self, batch: Tensor, contract: ImageInput) -> Tensor:
        """(B, 3, crop, crop) float32, normalised."""
        return normalise(batch, contract)

    def require(self, batch: Tensor, contract: ImageInput) -> None:
        crop = contract.crop
        if batch.dtype != torch.uint8 or batch.ndim != 4 or tuple(batch.shape[1:]) != (3, crop, crop):
            raise ShapeError(
                f"expected uint8 pictures of shape (B, 3, {crop}, {crop}), got {batch.dtype} {tuple(batch.shape)}."
            )

    def noise(self, contract: ImageInput, count: int) -> Tensor:
        views = np.random.default_rng(0).integers(0, 256, (count, contract.crop, contract.crop, 3), dtype=np.uint8)
        return to_tensor(views)

    def region(self, batch: Tensor, contract: ImageInput, epsilon: float | None) -> Region:
        """A box about every pixel."""
        return Box(BOX if epsilon is None else epsilon, contract.mean, contract.std)

    def about_plain(self, contract: ImageInput) -> Plain:
        return Plain("pixels", f"{PIXELS} x {PIXELS} pixels")

    def plain(
        self, train: Sequence[np.ndarray], others: Sequence[Sequence[np.ndarray]], contract: ImageInput
    ) -> list[np.ndarray]:
        """(N, 3 * 32 * 32) in 0..1."""
        return [self._pixels(part, contract) for part in (train, *others)]

    def _pixels(self, part: Sequence[np.ndarray], contract: ImageInput) -> np.ndarray:
        rows = np.empty((len(part), 3 * PIXELS**2), np.float32)
        for start in range(0, len(part), 32):
            batch = self.collate([centre(kept, contract) for kept in part[start : start + 32]], contract)
            rows[start : start + 32] = interpolate(batch.float() / 255, size=(PIXELS, PIXELS), mode="area").flatten(1)
        return rows

    def alike(self, likenesses: Sequence[Any]) -> list[list[int]]:
        return [list(group) for group in near_duplicate_groups(np.stack(likenesses))] if len(likenesses) > 1 else []

    def describe(self, contract: ImageInput) -> str:
        return (
            f"short side to {contract.resize} pixels ({contract.interpolation}), centre {contract.crop} x "
            f"{contract.crop}"
        )

    def smaller(self, ready: Tensor) -> Tensor:
        """Half the resolution, a quarter of the cost."""
        return interpolate(ready, scale_factor=0.5, mode="area") if min(ready.shape[2:]) >= 128 else ready

    def thumbnail(self, item: Item) -> bytes | None:
        try:
            image = decode(item)
        except DataError:
            return None
        image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
        out = io.BytesIO()
        image.save(out, "JPEG", quality=80)
        return out.getvalue()


IMAGE = ImageModality()
