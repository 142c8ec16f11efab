"""Which pretrained source suits these photos, and what would each cost?

Run:     python examples/rank_sources.py [--data DATA] [--budget 60s]
Cost:    about 20 seconds a source on 2 CPU cores; a second or two where its features are known
Expect:  the EfficientNets tell about three in four of the demo's photos right and are tied with each other
"""

from __future__ import annotations

import argparse
from pathlib import Path

import headstart

CLOTHING = Path(__file__).parent / "clothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=CLOTHING)
    parser.add_argument("--budget")
    args = parser.parse_args()

    ranking = headstart.rank(args.data, budget=args.budget)
    for row in ranking:
        tie = " (may be as good as the first)" if row["tied"] and row is not ranking[0] else ""
        print(f"{row['source']}: {row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]{tie}")
        print(f"    an epoch takes {row['seconds_epoch']:.0f} s; a step {row['memory_mb']:.0f} MB; {row['license']}")
    for note in ranking.notes:
        print(note)
    cheapest = min((row for row in ranking if row["tied"]), key=lambda row: row["seconds"])
    print(f"Of those that are as good as the best, the cheapest: {cheapest['source']}")


if __name__ == "__main__":
    main()
