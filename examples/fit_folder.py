"""From a folder of photos to a judged model and a prediction.

Run:     python examples/fit_folder.py [FOLDER]
Cost:    about a minute on 2 CPU cores for examples/clothing
Expect:  the test accuracy with its interval, a verdict, and the label of one photo
"""

from __future__ import annotations

import sys
from pathlib import Path

import headstart

HERE = Path(__file__).parent


def main() -> None:
    photos = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "clothing"
    run = headstart.fit(photos, out="runs/examples/fit_folder", overwrite=True)
    print(run.summary())

    photo = next(photos.rglob("*.jpg"))
    (prediction,) = run.predict([photo])
    print(f"{photo.name}: {prediction.label} ({prediction.scores[prediction.label]:.2f})")


if __name__ == "__main__":
    main()
