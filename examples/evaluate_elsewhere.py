"""How well a model does on photos it was not made for: the same photos, dimmed and blurred, as from a worse camera.

Run:     python examples/evaluate_elsewhere.py
Cost:    about a minute on 2 CPU cores
Expect:  a lower accuracy on the worse photos, each with its interval
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter

import headstart

CLOTHING = Path(__file__).parent / "clothing"


def worse(photos: Path, into: Path) -> Path:
    """A copy of a folder of classes with every photo dimmed and blurred."""
    for path in photos.rglob("*.jpg"):
        copy = into / path.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        blurred = Image.open(path).convert("RGB").filter(ImageFilter.GaussianBlur(2))
        ImageEnhance.Brightness(blurred).enhance(0.4).save(copy)
    return into


def main() -> None:
    run = headstart.fit(CLOTHING, method="probe", out="runs/examples/evaluate_elsewhere", overwrite=True)
    with tempfile.TemporaryDirectory() as folder:
        there = run.evaluate(worse(CLOTHING / "test", Path(folder)))
    for name, result in {"its own test photos": run.metrics, "dimmed and blurred": there}.items():
        accuracy = result["test"]["accuracy"]
        print(f"{name:20} {accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]")


if __name__ == "__main__":
    main()
