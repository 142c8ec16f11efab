"""vertebrae's OverlapIndex of a matrix of features: a peer's answer to how well a source suits a target.

Run:     python benchmarks/peers/overlap_index.py FEATURES.npz --out result.json    (in an environment with vertebrae)
Cost:    a few seconds
Expect:  {"overlap-index": 0..1, "overlap-index-held-out": 0..1}; 1 where the classes' regions never overlap

Its defaults. The second is the library's cross-fitted form. They refuse classes of less than two and five items: null.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from vertebrae.scoring import OverlapIndexScorer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, help="an .npz of features (N, D) and labels (N,)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with np.load(args.features) as arrays:
        features, labels = arrays["features"], arrays["labels"]
    scorer, rarest = OverlapIndexScorer(), np.bincount(labels).min()
    found: dict[str, float | None] = {"overlap-index": None, "overlap-index-held-out": None}
    if rarest >= 2:
        found["overlap-index"] = float(scorer.score(features, labels, seed=0).score)
    if rarest >= 5:
        found["overlap-index-held-out"] = float(scorer.score_cross_fitted(features, labels, seed=0).score)
    args.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
