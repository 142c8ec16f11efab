"""Fixtures that every test may use. Nothing here, and no test, touches the network or the user's own cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Before torch, transformers or timm are imported, by this process or by one that a test starts.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    cache = tempfile.mkdtemp(prefix="headstart-tests-")
    os.environ["HEADSTART_CACHE"] = cache
    config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: two workers that are handed whole files then end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets beside the checkout; the test skips where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the shared data sets are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def toy_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 48 px JPEGs in three classes that any method tells apart: train/12, validation/4, test/6 of each.

    Shared by the whole session: copy it before changing it.
    """
    root = tmp_path_factory.mktemp("toy") / "photos"
    rng = np.random.default_rng(0)
    for split, count in {"train": 12, "validation": 4, "test": 6}.items():
        for label in ("checks", "disc", "stripes"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(_toy_picture(label, rng)).save(folder / f"{number:02d}.jpg", quality=92)
    return root


def _toy_picture(label: str, rng: np.random.Generator) -> np.ndarray:
    """(48, 48, 3) uint8: a light pattern on a dark ground, its place, size, slant and colours drawn."""
    y, x = np.mgrid[0:48, 0:48].astype(float)
    if label == "disc":
        cx, cy = rng.uniform(16, 32, 2)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < rng.uniform(9, 15) ** 2
    else:
        slant, period, shift = rng.uniform(0, np.pi), rng.uniform(8, 14), rng.uniform(0, 14)
        along, across = np.cos(slant) * x + np.sin(slant) * y, np.cos(slant) * y - np.sin(slant) * x
        inside = np.sin(2 * np.pi * (along + shift) / period) > 0
        if label == "checks":
            inside ^= np.sin(2 * np.pi * (across + shift) / period) > 0
    ground, figure = rng.uniform(0, 90, 3), rng.uniform(150, 255, 3)
    picture = np.where(inside[..., None], figure, ground) + rng.normal(0, 6, (48, 48, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)
