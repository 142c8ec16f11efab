"""Search the options of lp-ft for ten minutes, and see what that was worth on test photos.

Run:     python examples/tune_lp_ft.py [TIME]
Cost:    10 minutes on 2 CPU cores, or the TIME you give (60s, 10m, 2h)
Expect:  a validation score a few points above the defaults'; on 139 test photos most often no clear difference
"""

from __future__ import annotations

import sys
from pathlib import Path

import headstart

CLOTHING = Path(__file__).parent / "clothing"


def main() -> None:
    budget = sys.argv[1] if len(sys.argv) > 1 else "10m"
    study = headstart.tune(CLOTHING, method="lp-ft", budget=budget, workers=1, out="runs/examples/tune_lp_ft")
    print(study.summary())
    for key, share in study.result["importances"].items():
        print(f"  {key:20} {share:.0%} of what sets the best trials apart")


if __name__ == "__main__":
    main()
