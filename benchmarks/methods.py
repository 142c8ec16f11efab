"""Which way of reusing the source is best on these photos: every method, several seeds, differences with intervals.

Run:     python benchmarks/methods.py DATA [--methods probe,full,...] [--seeds 0,1,2] [--set key=value] [--limit N]
Cost:    two to three hours on 2 CPU cores for clothing_small; a run that is finished is not run again
Expect:  a table; what it showed last is in docs/benchmarks.md

A method's accuracy is the mean over seeds on the test photos. Its interval, and that of its difference to the probe,
comes from resampling the test photos (percentile bootstrap, the same resamples for both); the spread over seeds stands
beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import HEADSTART, RESULTS, ROOT, count, machine, markdown, smaller, timed, where

METHODS = "probe,full,lp-ft,gradual,l2-sp,lora"
BASE = "probe"
RESAMPLES = 10_000


def cell(data: Path, run: Path, method: str, seed: int, options: list[str]) -> None:
    """Fit once, unless that was done before."""
    if (run / "metrics.json").exists():
        return
    sets = [part for option in options for part in ("--set", option)]
    fit = [
        "fit",
        str(data),
        "--method",
        method,
        "--seed",
        str(seed),
        "--verdict",
        "none",
        "--out",
        str(run),
        "--overwrite",
    ]
    timed([HEADSTART, *fit, *sets])


def right(run: Path) -> dict[str, bool]:
    """Test item -> whether the run's model has it right."""
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    return {row["id"]: row["predicted"] == row["label"] for row in rows}


def compare(runs: dict[str, list[Path]]) -> list[dict[str, Any]]:
    """One row a method: accuracy over seeds, its interval, its difference to the probe, the time."""
    ids = sorted(right(runs[BASE][0]))
    hits = {name: np.array([[right(run)[i] for i in ids] for run in of]) for name, of in runs.items()}
    drawn = np.random.default_rng(0).integers(0, len(ids), (RESAMPLES, len(ids)))
    rows = []
    for name, of in runs.items():
        by_item, gap = hits[name].mean(0), hits[name].mean(0) - hits[BASE].mean(0)
        costs = [json.loads((run / "metrics.json").read_text())["cost"] for run in of]
        rows.append(
            {
                "method": name,
                "accuracy": float(by_item.mean()),
                "interval": np.quantile(by_item[drawn].mean(1), [0.025, 0.975]).tolist(),
                "by_seed": hits[name].mean(1).tolist(),
                "gain": float(gap.mean()),
                "gain_interval": np.quantile(gap[drawn].mean(1), [0.025, 0.975]).tolist(),
                "seconds": float(np.mean([cost["seconds"] for cost in costs])),
                "trained": costs[0]["parameters_trained"],
            }
        )
    return sorted(rows, key=lambda row: -row["accuracy"])


def table(result: dict[str, Any]) -> str:
    rows = []
    for row in result["rows"]:
        (low, high), (worse, better) = row["interval"], row["gain_interval"]
        spread = f"{np.std(row['by_seed'], ddof=1):.3f}" if len(row["by_seed"]) > 1 else "-"
        gain = "-" if row["method"] == BASE else f"{row['gain']:+.3f} [{worse:+.3f}, {better:+.3f}]"
        rows.append(
            [
                row["method"],
                f"{row['accuracy']:.3f} [{low:.3f}, {high:.3f}]",
                spread,
                gain,
                f"{row['seconds']:.0f}",
                f"{row['trained']:,}",
            ]
        )
    header = [
        "method",
        "test accuracy [95 %]",
        "sd over seeds",
        f"against {BASE} [95 %]",
        "seconds",
        "parameters trained",
    ]
    seeds = f"Seeds {', '.join(map(str, result['seeds']))}. "
    return markdown(header, rows) + "\n" + seeds + where(result["machine"], result["data"], result["n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", type=Path, help="a folder with train/, validation/ and test/, each with a folder a class"
    )
    parser.add_argument("--methods", default=METHODS, help=f"names, comma between; {BASE} is always among them")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option for every method")
    parser.add_argument("--limit", type=int, help="use at most so many items of each split, to try the benchmark out")
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs" / "methods", help="where runs are kept between calls"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "methods.json", help="the result as JSON; a .md goes beside it"
    )
    args = parser.parse_args()
    names = list(dict.fromkeys([BASE, *args.methods.split(",")]))
    seeds = [int(seed) for seed in args.seeds.split(",")]

    with tempfile.TemporaryDirectory() as folder:
        data = smaller(args.data, args.limit, Path(folder)) if args.limit else args.data
        settings = "-".join([args.data.resolve().name, *([str(args.limit)] if args.limit else []), *args.set])
        runs = {name: [args.runs / settings / f"{name}-{seed}" for seed in seeds] for name in names}
        for at, seed in enumerate(seeds):
            for name in names:
                cell(data, runs[name][at], name, seed, args.set)
                test = json.loads((runs[name][at] / "metrics.json").read_text())["test"]
                print(f"{name}, seed {seed}: {test['accuracy']['value']:.3f}", flush=True)
        counts = count(data)
    result = {"data": args.data.resolve().name, "n": counts, "seeds": seeds, "options": args.set, "machine": machine()}
    result["rows"] = compare(runs)

    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    args.out.with_suffix(".md").write_text(table(result))
    print("\n" + table(result))


if __name__ == "__main__":
    main()
