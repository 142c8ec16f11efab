"""The recipe that transfer-learning tutorials teach, in plain torch and timm, without headstart.

Run:     python benchmarks/peers/tutorial.py DATA [--epochs 10] [--seed 0] [--out result.json]
Cost:    about 17 minutes on 2 CPU cores for the 600 training photos of clothing_small
Expect:  test accuracy about .72 there

Whole network, SGD with learning rate 0.001 and momentum 0.9, batch 32, float32, default memory format, random resized
crops and flips, a DataLoader with two workers, a pass over the validation photos after each epoch. The test photos are
looked at after each epoch too, to show the curve; that time is counted apart, except for the last look.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from curve import Curve
from timm.data import create_transform
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from weights import INPUT, efficientnet_lite0


def loader(folder: Path, *, training: bool) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of (B, 3, 224, 224) pictures and (B,) class indices."""
    transform = create_transform(**INPUT, is_training=training, color_jitter=None)
    return DataLoader(ImageFolder(str(folder), transform), batch_size=32, shuffle=training, num_workers=2)


@torch.no_grad()
def accuracy(model: nn.Module, batches: DataLoader[tuple[Tensor, Tensor]], device: torch.device) -> float:
    model.eval()
    right = total = 0
    for pictures, labels in batches:
        right += int((model(pictures.to(device)).argmax(1).cpu() == labels).sum())
        total += len(labels)
    return right / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", type=Path, help="a folder with train/, validation/ and test/, each with a folder a class"
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the result here as JSON")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train = loader(args.data / "train", training=True)
    validation = loader(args.data / "validation", training=False)
    test = loader(args.data / "test", training=False)

    model = efficientnet_lite0()
    model.reset_classifier(len(ImageFolder(str(args.data / "train")).classes))
    model = model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    curve, validated = Curve(), []
    for _ in range(args.epochs):
        model.train()
        for pictures, labels in train:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(pictures.to(device)), labels.to(device))
            torch.autograd.backward(loss)
            optimizer.step()
        validated.append(accuracy(model, validation, device))
        curve.look(lambda: accuracy(model, test, device))

    result = {**curve.result("torchvision"), "validation_by_epoch": validated}
    print(json.dumps(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
