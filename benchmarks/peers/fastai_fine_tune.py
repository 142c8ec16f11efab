"""fastai's `fine_tune`, as its course teaches it for a small folder of pictures, without headstart.

Run:     python benchmarks/peers/fastai_fine_tune.py DATA [--epochs 4] [--seed 0] [--out result.json]
Cost:    about 5 minutes on 2 CPU cores for the 600 training photos of clothing_small
Expect:  a point of test accuracy after the frozen epoch and after each of the others

`vision_learner` with its own head and optimiser, batch 64, `Resize(224)`, `aug_transforms()`, float32: fastai's
defaults. One frozen epoch and four of the whole network: `fine_tune(4)`, as in the book's chapter on a first
classifier. The weights come from the package and not from the hub: all else is as in `vision_learner(...,
"tf_efficientnet_lite0")`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from curve import Curve
from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    get_image_files,
    set_seed,
    vision_learner,
)
from weights import INPUT, body


class Look(Callback):  # type: ignore[misc]
    """A look at the test pictures after each epoch."""

    def __init__(self, curve: Curve, test: Any) -> None:
        self.curve, self.test = curve, test

    @torch.no_grad()
    def _accuracy(self) -> float:
        self.model.eval()
        right = [self.model(x).argmax(1) == y for x, y in self.test]
        return float(torch.cat(right).float().mean())

    def after_epoch(self) -> None:
        self.curve.look(self._accuracy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", type=Path, help="a folder with train/, validation/ and test/, each with a folder a class"
    )
    parser.add_argument("--epochs", type=int, default=4, help="of the whole network, after a frozen one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the result here as JSON")
    args = parser.parse_args()

    set_seed(args.seed)
    pictures = len(get_image_files(args.data / "train"))
    data = ImageDataLoaders.from_folder(
        args.data,
        train="train",
        valid="validation",
        item_tfms=Resize(INPUT["input_size"]),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(INPUT["mean"], INPUT["std"])],
        bs=min(64, pictures),
    )
    learner = vision_learner(data, "tf_efficientnet_lite0", pretrained=False, metrics=accuracy)
    learner.model[0].model.load_state_dict(body().state_dict())
    curve = Curve()
    learner.add_cb(Look(curve, data.test_dl(get_image_files(args.data / "test"), with_labels=True)))
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(args.epochs)

    result = curve.result("fastai")
    print(json.dumps(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
