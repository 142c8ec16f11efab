"""AutoGluon's MultiModalPredictor within a time limit, without headstart.

Run:     python benchmarks/peers/autogluon_predictor.py DATA [--time-limit 180] [--seed 0] [--out result.json]
Cost:    its time limit and about half a minute
Expect:  one point of test accuracy; AutoGluon shows no epochs

The preset `medium_quality`, which is AutoGluon's for a small convolutional network (learning rate 4e-4, at most 20
epochs, greedy soup of the three best), with EfficientNet-Lite0 in the place of its mobilenetv3. The rest is as it
comes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import pandas as pd
import torch
from autogluon.multimodal import MultiModalPredictor
from curve import Curve
from weights import INPUT, body


def checkpoint(folder: Path) -> Path:
    """The network's body as AutoGluon reads one from a local folder."""
    network = body()
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    size = [3, INPUT["input_size"], INPUT["input_size"]]
    config = {"architecture": "tf_efficientnet_lite0", "num_features": network.num_features, "input_size": size}
    (folder / "config.json").write_text(json.dumps(config | {"mean": INPUT["mean"], "std": INPUT["std"]}))
    return folder


def pictures(folder: Path) -> pd.DataFrame:
    """A row a picture of a folder of classes."""
    return pd.DataFrame([{"image": str(path), "label": path.parent.name} for path in sorted(folder.glob("*/*"))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", type=Path, help="a folder with train/, validation/ and test/, each with a folder a class"
    )
    parser.add_argument("--time-limit", type=float, default=180, help="seconds that `fit` may take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the result here as JSON")
    args = parser.parse_args()

    curve = Curve()
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        predictor = MultiModalPredictor(
            label="label", presets="medium_quality", path=str(Path(scratch) / "run"), verbosity=1
        )
        predictor.fit(
            train_data=pictures(args.data / "train"),
            tuning_data=pictures(args.data / "validation"),
            time_limit=args.time_limit,
            seed=args.seed,
            hyperparameters={
                "model.names": ["timm_image"],
                "model.timm_image.checkpoint_name": str(checkpoint(source)),
                "model.timm_image.image_norm": "inception",  # its name for mean and deviation of one half
            },
        )
        test = pictures(args.data / "test")
        curve.look(lambda: float((predictor.predict(test) == test["label"]).mean()))

    result = curve.result("autogluon.multimodal", "lightning")
    print(json.dumps(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
