"""How long it takes to reach an accuracy: headstart against what people write by hand.

Run:     python benchmarks/fit.py DATA [--epochs 10] [--limit N]
Cost:    about 20 minutes on 2 CPU cores for clothing_small, nearly all of it the tutorial's recipe
Expect:  every row below the tutorial's reaches at least its accuracy, in less than 1/30 of its time

Same photos, same EfficientNet-Lite0 weights, one whole process after the other, imports included. headstart starts each
time with an empty cache. Its time includes what the others do not do: checks of the data, baselines, the verdict, the
report, the saved model.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import HEADSTART, RESULTS, ROOT, count, machine, markdown, smaller, timed, where

from headstart.metrics.intervals import wilson

PEERS = ROOT / "benchmarks" / "peers"


def peer(name: str, script: str, data: Path, out: Path, *options: str, python: str = sys.executable) -> dict[str, Any]:
    """Time a script of benchmarks/peers, run by the interpreter of the environment that has what it imports."""
    seconds = timed([python, str(PEERS / script), str(data), "--out", str(out), *options])
    result = json.loads(out.read_text())
    return {
        "name": name,
        "accuracy": result["accuracy"],
        "seconds": seconds - result.get("seconds_apart", 0.0),
        "detail": result,
    }


def ours(name: str, data: Path, out: Path, cache: Path, *options: str) -> dict[str, Any]:
    command = [HEADSTART, "fit", str(data), "--out", str(out), *options]
    seconds = timed(command, HEADSTART_CACHE=str(cache))
    metrics = json.loads((out / "metrics.json").read_text())
    return {"name": name, "accuracy": metrics["test"]["accuracy"]["value"], "seconds": seconds, "detail": metrics}


def table(result: dict[str, Any]) -> str:
    """The rows as Markdown, with each row's speed and accuracy relative to the first."""
    first, n = result["rows"][0], result["n"]["test"]
    rows = []
    for row in result["rows"]:
        share = wilson(row["accuracy"] * n, n)
        rows.append(
            [
                row["name"],
                str(share),
                f"{row['accuracy'] - first['accuracy']:+.3f}",
                f"{row['seconds']:.1f}",
                f"{first['seconds'] / row['seconds']:.1f}x",
            ]
        )
    header = ["whole process", "test accuracy [95 %]", "against the tutorial", "seconds", "times as fast"]
    return markdown(header, rows) + "\n" + where(result["machine"], result["data"], result["n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", type=Path, help="a folder with train/, validation/ and test/, each with a folder a class"
    )
    parser.add_argument("--epochs", type=int, default=10, help="of the tutorial's recipe")
    parser.add_argument("--limit", type=int, help="use at most so many items of each split, to try the benchmark out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "fit.json", help="the result as JSON; a .md goes beside it"
    )
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        data = smaller(args.data, args.limit, scratch / "data") if args.limit else args.data
        seed = ("--seed", str(args.seed))
        rows: list[dict[str, Any]] = []

        def add(row: dict[str, Any]) -> None:
            rows.append(row)
            print(f"{row['name']}: {row['accuracy']:.3f} in {row['seconds']:.1f} s", flush=True)

        add(
            peer(
                f"tutorial: whole network, SGD, {args.epochs} epochs",
                "tutorial.py",
                data,
                scratch / "tutorial.json",
                *seed,
                "--epochs",
                str(args.epochs),
            )
        )
        add(peer("by hand: timm features, scikit-learn probe", "probe.py", data, scratch / "probe.json", *seed))
        add(
            ours("headstart fit --method probe", data, scratch / "one", scratch / "cache-1", "--method", "probe", *seed)
        )
        bare = ("--method", "probe", "--verdict", "none")
        add(
            ours(
                "headstart fit --method probe --verdict none", data, scratch / "bare", scratch / "cache-3", *bare, *seed
            )
        )
        add(ours("headstart fit", data, scratch / "two", scratch / "cache-2", *seed))
        result = {
            "data": args.data.resolve().name,
            "n": count(data),
            "seed": args.seed,
            "machine": machine(),
            "rows": rows,
        }

    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    args.out.with_suffix(".md").write_text(table(result))
    print("\n" + table(result))


if __name__ == "__main__":
    main()
