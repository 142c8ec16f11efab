"""Several ways of reusing the same source on the same photos.

Run:     python examples/compare_methods.py [METHOD...]
Cost:    a few minutes on 2 CPU cores
Expect:  a line a method; on a test set this small the intervals overlap, and docs/benchmarks.md has a larger one
"""

from __future__ import annotations

import sys
from pathlib import Path

import headstart

CLOTHING = Path(__file__).parent / "clothing"


def main() -> None:
    for method in sys.argv[1:] or ["probe", "lp-ft", "l2-sp", "lora"]:
        out = f"runs/examples/compare_methods/{method}"
        run = headstart.fit(CLOTHING, method=method, verdict="none", out=out, overwrite=True)
        accuracy, cost = run.metrics["test"]["accuracy"], run.metrics["cost"]
        interval = f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
        print(f"{method:8} {interval}  {cost['seconds']:5.0f} s  {cost['parameters_trained']:9,} parameters trained")


if __name__ == "__main__":
    main()
