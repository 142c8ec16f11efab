"""The Hugging Face Trainer, as its guide to image classification sets it up, without headstart.

Run:     python benchmarks/peers/hf_trainer.py DATA [--epochs 3] [--learning-rate 5e-5] [--accumulate 4] [--seed 0]
             [--out result.json]
Cost:    about 1 minute an epoch on 2 CPU cores for the 600 training photos of clothing_small
Expect:  a point of test accuracy after each epoch, and one of the epoch that was best on validation

Defaults are the guide's: AdamW with 5e-5, batch 16 accumulated over 4 steps, 3 epochs, a tenth of warm-up, a
checkpoint an epoch, the best one at the end, random resized crops, float32. Those are meant for thousands of
pictures and a transformer; on some hundreds they make few steps, so the benchmark runs a second setting too. The
DataLoader has a worker a core, where the guide has none.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from curve import Curve
from timm.data import create_transform
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, RandomResizedCrop, ToTensor
from transformers import (
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from weights import INPUT, body

TRAINING = Compose([RandomResizedCrop(INPUT["input_size"]), ToTensor(), Normalize(INPUT["mean"], INPUT["std"])])
EVALUATION = create_transform(**INPUT, is_training=False)


def collate(pairs: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
    """Pictures (3, H, W) with their classes -> what the Trainer takes: (B, 3, H, W) and (B,)."""
    return {
        "pixel_values": torch.stack([picture for picture, _ in pairs]),
        "labels": torch.tensor([label for _, label in pairs]),
    }


def score(prediction: Any) -> dict[str, float]:
    return {"accuracy": float(np.mean(prediction.predictions.argmax(1) == prediction.label_ids))}


@torch.no_grad()
def accuracy(model: Any, test: DataLoader[dict[str, Tensor]]) -> float:
    model.eval()
    right = [model(batch["pixel_values"]).logits.argmax(1).cpu() == batch["labels"] for batch in test]
    return float(torch.cat(right).float().mean())


class Look(TrainerCallback):  # type: ignore[misc]
    """A look at the test pictures once an epoch is validated and saved."""

    def __init__(self, curve: Curve, test: DataLoader[dict[str, Tensor]]) -> None:
        self.curve, self.test = curve, test

    def on_save(self, args: Any, state: Any, control: Any, *, model: Any, **rest: Any) -> None:
        self.curve.look(lambda: accuracy(model, self.test))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", type=Path, help="a folder with train/, validation/ and test/, each with a folder a class"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--accumulate", type=int, default=4, help="batches of 16 to a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the result here as JSON")
    args = parser.parse_args()

    set_seed(args.seed)
    train = ImageFolder(str(args.data / "train"), TRAINING)
    validation = ImageFolder(str(args.data / "validation"), EVALUATION)
    workers = os.cpu_count() or 1
    test = DataLoader(
        ImageFolder(str(args.data / "test"), EVALUATION), batch_size=32, num_workers=workers, collate_fn=collate
    )
    config = TimmWrapperConfig(architecture="tf_efficientnet_lite0", num_labels=len(train.classes))
    model = TimmWrapperForImageClassification(config)
    left = model.timm_model.load_state_dict(body().state_dict(), strict=False)
    assert set(left.missing_keys) == {"classifier.weight", "classifier.bias"}, left

    curve = Curve()
    with tempfile.TemporaryDirectory() as checkpoints:
        settings = TrainingArguments(
            output_dir=checkpoints,
            num_train_epochs=args.epochs,
            learning_rate=args.learning_rate,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=16,
            gradient_accumulation_steps=args.accumulate,
            warmup_steps=0.1,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="accuracy",
            remove_unused_columns=False,
            dataloader_num_workers=workers,
            dataloader_pin_memory=torch.cuda.is_available(),
            seed=args.seed,
            report_to="none",
            disable_tqdm=True,
        )
        Trainer(
            model=model,
            args=settings,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=collate,
            compute_metrics=score,
            callbacks=[Look(curve, test)],
        ).train()
        curve.look(lambda: accuracy(model, test))

    result = curve.result("transformers", "accelerate")
    print(json.dumps(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
