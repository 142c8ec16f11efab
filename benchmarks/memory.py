"""How the memory of a run grows with the number of items.

Run:     python benchmarks/memory.py [--items 1000 10000 30000 100000]
Cost:    about 3 minutes on 2 CPU cores
Expect:  less than 1 kB an item between the two largest

One process a size. Each does with synthetic features what `headstart fit --method probe` does with those of photos:
an item with its path, label and digest for each photo; features of 1280 numbers an item (5 kB) written to the feature
store and read from it; a probe fitted to 70 %, calibrated on 10 % and judged on 20 %, with intervals. Photos in memory
are not in it: they are kept up to a limit of their own (`data/pictures.py`), however many there are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, machine, markdown, where

WIDTH, CLASSES, CHUNK = 1280, 10, 2000


def run(count: int, folder: Path) -> dict[str, Any]:
    """The work of one process."""
    import numpy as np
    import torch

    from headstart.data.dataset import Dataset, Item
    from headstart.evaluation.evaluate import evaluate
    from headstart.features.bank import FeatureBank, Views
    from headstart.features.store import FeatureStore
    from headstart.metrics.calibration import fit_temperature
    from headstart.nn.linear import fit_linear
    from headstart.recipes.cost import peak_memory_mb
    from headstart.tasks.classification import Classification

    before = peak_memory_mb()
    started = time.perf_counter()
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, count)
    centres = rng.normal(size=(CLASSES, WIDTH))
    items = tuple(
        Item(f"class {k}/{i:06d}.jpg", folder / f"class {k}" / f"{i:06d}.jpg", f"class {k}")
        for i, k in enumerate(labels.tolist())
    )
    dataset = Dataset("synthetic", items)
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]
    store = FeatureStore(folder, 10**10)
    about = {"weights": "synthetic", "torch": torch.__version__, "device": "cpu", "precision": "float32"}
    shelf = store.shelf(about, WIDTH)
    assert shelf is not None
    for start in range(0, count, CHUNK):
        rows = centres[labels[start : start + CHUNK]] + 12 * rng.normal(
            size=(len(labels[start : start + CHUNK]), WIDTH)
        )
        assert shelf.put(digests[start : start + CHUNK], rows.astype(np.float32))
    del shelf

    def nothing(indices: object) -> list[torch.Tensor]:
        raise AssertionError("nothing is to be encoded")

    ends = (0, int(0.7 * count), int(0.8 * count), count)
    parts = {n: slice(a, b) for n, a, b in zip(("train", "validation", "test"), ends[:-1], ends[1:], strict=True)}
    views = {name: Views(digests[part], nothing) for name, part in parts.items()}
    bank = FeatureBank(
        nothing,  # type: ignore[arg-type]
        views,
        lambda batch: batch,
        width=WIDTH,
        about={"weights": "synthetic"},
        device=torch.device("cpu"),
        wanted="float32",
        store=store,
    )
    task = Classification(dataset.classes)
    targets = {name: task.encode(list(dataset.labels[part])) for name, part in parts.items()}
    fit = fit_linear(bank("train"), targets["train"], task.kind, CLASSES)
    temperature = fit_temperature(fit.logits(bank("validation")), targets["validation"])
    judged = evaluate(task, targets["test"], task.scores(fit.logits(bank("test")) / temperature))
    return {
        "items": count,
        "before_mb": before,
        "peak_mb": peak_memory_mb(),
        "seconds": time.perf_counter() - started,
        "accuracy": judged.metrics["accuracy"].value,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 10_000, 30_000, 100_000])
    parser.add_argument("--out", type=Path, default=RESULTS / "memory.json")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.one:
            print(json.dumps(run(args.one, Path(folder))))
            return
        rows = []
        for count in args.items:
            done = subprocess.run(
                [sys.executable, __file__, "--one", str(count)],
                stdout=subprocess.PIPE,
                check=True,
                env=dict(os.environ),
            )
            rows.append(json.loads(done.stdout))
            print(rows[-1], flush=True)
    result = {"machine": machine(), "rows": rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    args.out.with_suffix(".md").write_text(table(result))


def table(result: dict[str, Any]) -> str:
    """The curve, with the growth from each size to the next."""
    rows, previous = [], None
    for row in result["rows"]:
        growth = (
            ""
            if previous is None
            else f"{1e3 * (row['peak_mb'] - previous['peak_mb']) / (row['items'] - previous['items']):.2f}"
        )
        rows.append(
            [f"{row['items']:,}", f"{row['peak_mb']:.0f}", growth, f"{row['accuracy']:.3f}", f"{row['seconds']:.1f}"]
        )
        previous = row
    header = ["items", "peak memory (MB)", "kB for each further item", "accuracy", "seconds"]
    text: str = markdown(header, rows) + "\n" + where(result["machine"], "synthetic features", {"seed": 0})
    return text


if __name__ == "__main__":
    main()
