"""What it saves to compute the frozen part of a network once for a few views, and whether the answer is as good.

Run:     python benchmarks/truncation.py DATA [--seeds 0,1]
Cost:    about 8 minutes on 2 CPU cores for clothing_small
Expect:  less time for each method, and accuracies whose difference has an interval that holds zero

`partial` on the upper half of EfficientNet-Lite0, `lora` on its last three blocks, and the head alone: each with the
frozen part computed anew at every step (`cached_views=0`) and computed once for four views of each photo (the default).
The same photos, weights and seeds, one after the other; seconds are those of training, after the features were
extracted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from common import RESULTS, count, machine, markdown, smaller, where

import headstart

SOURCE = "efficientnet-lite0"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "partial, upper 4 of 9 blocks, 8 epochs": ("partial", {"epochs": 8, "method.blocks": 4}),
    "lora, last 3 blocks, 8 epochs": ("lora", {"epochs": 8, "method.blocks": 3}),
    "head alone, 12 epochs": ("head", {"epochs": 12}),
}


def one(data: Path, scratch: Path, name: str, views: int, seed: int) -> dict[str, Any]:
    """A run. Its training is timed without the extraction that came before it, which the store has by then."""
    method, options = METHODS[name]
    run = headstart.fit(
        data,
        source=SOURCE,
        method=method,
        options={**options, "cached_views": views},
        seed=seed,
        verdict="none",
        out=scratch / f"{method}-{views}-{seed}",
        track=(),
        photos=False,
    )
    return {
        "method": name,
        "views": views,
        "seed": seed,
        "accuracy": run.metrics["test"]["accuracy"]["value"],
        "seconds": run.metrics["cost"]["seconds_by_stage"]["method"],
        "path": str(run.path),
    }


def table(result: dict[str, Any]) -> str:
    rows = []
    for name in METHODS:
        mine = [row for row in result["rows"] if row["method"] == name]
        anew, kept = ([row for row in mine if bool(row["views"]) == cached] for cached in (False, True))
        pairs = [pair for pair in result["pairs"] if pair["method"] == name]
        seconds = [sum(row["seconds"] for row in rows) / len(rows) for rows in (anew, kept)]
        accuracy = [sum(row["accuracy"] for row in rows) / len(rows) for rows in (anew, kept)]
        gaps = "; ".join(f"{p['gain']:+.3f} [{p['low']:+.3f}, {p['high']:+.3f}]" for p in pairs)
        rows.append([name, f"{accuracy[0]:.3f}", f"{accuracy[1]:.3f}", gaps, f"{seconds[0] / seconds[1]:.1f}x"])
    header = ["training", "accuracy, anew", "accuracy, kept", "difference, each seed [95 %]", "times as fast"]
    text: str = markdown(header, rows) + "\n" + where(result["machine"], result["data"], result["n"])
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--limit", type=int, help="use at most so many items of each split, to try the benchmark out")
    parser.add_argument("--out", type=Path, default=RESULTS / "truncation.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        data = smaller(args.data, args.limit, scratch / "data") if args.limit else args.data
        headstart.fit(data, source=SOURCE, method="probe", verdict="none", out=scratch / "warm", track=(), photos=False)
        rows, pairs = [], []
        for name in METHODS:
            for seed in map(int, args.seeds.split(",")):
                anew, kept = (one(data, scratch, name, views, seed) for views in (0, 4))
                rows += [anew, kept]
                found = headstart.compare(kept["path"], anew["path"])["verdict"]
                pairs.append({"method": name, "seed": seed, **{k: found[k] for k in ("gain", "low", "high")}})
                print(anew, kept, pairs[-1], flush=True)
        result = {"machine": machine(), "data": args.data.name, "n": count(data), "rows": rows, "pairs": pairs}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    args.out.with_suffix(".md").write_text(table(result))
    print(table(result))


if __name__ == "__main__":
    main()
