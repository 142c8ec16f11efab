"""Reuse that hurts: handwritten digits of 8 x 8 pixels, and a source that knows photographs.

Run:     python examples/negative_transfer_digits.py [--source NAME]
Needs:   pip install scikit-learn (it brings the digits)
Cost:    about a minute on 2 CPU cores
Expect:  plain pixels beat the frozen ImageNet features by several points, and the verdict says `negative`

The UCI digits that scikit-learn ships (Alpaydin and Kaynak 1998), 100 of them for training, written as PNGs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import headstart


def write_digits(root: Path) -> None:
    """train/100, validation/100 and test/400 pictures, one folder a digit."""
    digits = load_digits()
    rest = np.arange(len(digits.target))
    for split, size in {"train": 100, "validation": 100, "test": 400}.items():
        chosen, rest = train_test_split(rest, train_size=size, stratify=digits.target[rest], random_state=0)
        for i in chosen:
            path = root / split / str(digits.target[i]) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((digits.images[i] * 255 / 16).astype(np.uint8)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="efficientnet-lite0")
    source = parser.parse_args().source
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "digits"
        write_digits(data)
        run = headstart.fit(data, source=source, method="probe", out="runs/examples/digits", overwrite=True)
    print(run.summary())


if __name__ == "__main__":
    main()
