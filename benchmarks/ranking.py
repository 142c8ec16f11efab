"""Does `headstart rank` tell the truth? Every score against the accuracy after real fine-tuning.

Run:     python benchmarks/ranking.py [TARGET ...] [--sources NAME,...] [--items 200] [--seeds 0]
Cost:    about an hour on 2 CPU cores for six targets and five sources, most of it fine-tuning the large ones
Expect:  a table of scores; the default, probe, is beaten by no naive ranking and not by the peer: no score's interval
         of the difference to it is above 0

Each source is fine-tuned on each target with `fit(method="lp-ft")`, and judged on the target's test items. How well a
score foretells that is its weighted Kendall tau (Vigna 2015), in which the sources at the top count most, and its
regret: the accuracy that is lost by taking the source it ranks first. Scores see the same training items as
fine-tuning. A source for which a score is not defined is ranked last by it, as whoever had that score alone would; a
score that tells none apart has tau 0. Intervals: targets, and the test items within each, are drawn anew, the same for
all scores, so that a score's distance to the default has an interval of its own. What is finished is kept in the result
and not done again.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, ROOT, count, keep, machine, markdown
from scipy.stats import weightedtau
from time_to_accuracy import Items, Splits, clothing_small, drawn, office_amazon, pneumoniamnist, written

import headstart
from headstart.core.progress import Silent
from headstart.data.read import read_dataset
from headstart.ranking import SCORERS
from headstart.recipes.encode import feature_bank
from headstart.recipes.prepare import prepare
from headstart.sources import resolve

PACKS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "squeezenet1_1", "vgg16-craft")
PEER = ("overlap-index", "overlap-index-held-out")
DEFAULT = "probe"
NAIVE = ("parameters", "source-accuracy")
VERTEBRAE = "vertebrae==1.1.0"
RESAMPLES = 1000


# ---- targets


def usps(shared: Path) -> Splits:
    """Digits off envelopes, 16 px and grey."""

    def read(name: str) -> Items:
        with gzip.open(shared / "usps" / f"zip.{name}.gz", "rt") as file:
            rows = np.loadtxt(file)
        grey = ((rows[:, 1:] + 1) * 127.5).round().astype(np.uint8).reshape(-1, 16, 16)
        return [(str(int(row[0])), picture) for row, picture in zip(rows, grey, strict=True)]

    return cut({"train": read("train"), "test": read("test")})


def emoji(shared: Path) -> Splits:
    """Drawings of one style by what they show: faces, flags, food, ..."""
    with (shared / "emoji_two_style" / "emoji.csv").open(encoding="utf-8") as file:
        rows = [
            (row["category"], shared / "emoji_two_style" / "google" / f"{row['id']}.png")
            for row in csv.DictReader(file)
        ]
    return cut({"train": [(label, path) for label, path in rows if path.exists()]})


def wbc(shared: Path) -> Splits:
    """White blood cells of one laboratory, four classes (a fifth has one item)."""
    folder = shared / "wbc_two_domain"
    with (folder / "labels_dataset1.csv").open(encoding="utf-8") as file:
        rows = [(row["class"], folder / "dataset1" / f"{row['image']}.png") for row in csv.DictReader(file)]
    return cut({"train": [(label, path) for label, path in rows if label != "5"]})


def cut(splits: Splits) -> Splits:
    """The splits that are missing, out of train: a third of it tests, a sixth validates."""
    rng, train = np.random.default_rng(0), splits["train"]
    whole, test = len(train), splits.get("test", [])
    if not test:
        test, train = drawn(train, whole // 3, rng)
    validation, train = drawn(train, whole // 6, rng)
    return {"train": train, "validation": validation, "test": test}


TARGETS: dict[str, Callable[[Path], Splits]] = {
    "clothing_small": clothing_small,
    "pneumoniamnist": pneumoniamnist,
    "office_amazon": office_amazon,
    "usps": usps,
    "emoji": emoji,
    "wbc": wbc,
}


# ---- one source on one target


def fine_tuned(data: Path, source: str, seed: int, place: Path) -> dict[str, Any]:
    """Test items that the fine-tuned model has right ("1") and wrong ("0"), by id in order, and seconds."""
    started = time.perf_counter()
    run = headstart.fit(
        data, source=source, method="lp-ft", verdict="none", seed=seed, track=(), photos=False, out=place / "run"
    )
    rows = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text().splitlines()]
    right = "".join(str(int(row["predicted"] == row["label"])) for row in sorted(rows, key=lambda row: row["id"]))
    return {"right": right, "seconds": time.perf_counter() - started}


def scored(data: Path, source: str) -> dict[str, Any]:
    """Every score, on all training items."""
    started = time.perf_counter()
    (row,) = headstart.rank(data, sources=[source])
    return {"scores": row["scores"], "low": row["low"], "high": row["high"], "seconds": time.perf_counter() - started}


def peer_scored(data: Path, source: str, python: Path, place: Path) -> dict[str, Any]:
    """The peer's scores of the very same features."""
    chosen = resolve(source)
    target = prepare(read_dataset(data), chosen.card.input, seed=0, progress=Silent())
    train = target.parts["train"]
    features = feature_bank(chosen, {"train": train}).some("train", range(len(train)))
    np.savez(place / "features.npz", features=features, labels=train.targets)
    script = ROOT / "benchmarks" / "peers" / "overlap_index.py"
    out = place / "peer.json"
    done = subprocess.run(
        [str(python), str(script), str(place / "features.npz"), "--out", str(out)], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{script} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def environment(home: Path) -> Path:
    """The Python of an environment with vertebrae in it, which is made if it is not there."""
    python = home / "bin" / "python"
    if not (home / "installed.txt").exists():
        print(f"Installing {VERTEBRAE} into {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", VERTEBRAE], check=True)
        (home / "installed.txt").write_text(VERTEBRAE)
    return python


# ---- how well a score foretells


def tau(score: Iterable[float], accuracy: Iterable[float]) -> float:
    """Weighted Kendall tau; 0 where the score tells none apart."""
    rounded = [round(value, 9) for value in score]
    value = float(weightedtau(rounded, list(accuracy)).statistic)
    return value if np.isfinite(value) else 0.0


def regret(score: np.ndarray, accuracy: np.ndarray) -> float:
    """Accuracy that is lost by taking the source with the highest score, the mean of those that share it."""
    first = np.isclose(score, score.max(), rtol=1e-9)
    return float(accuracy.max() - accuracy[first].mean())


def foretold(cells: Mapping[str, Mapping[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """One row a score, the best first: tau and regret over targets with intervals, and the tau of each target."""
    targets = list(cells)
    right: dict[str, np.ndarray] = {}  # (sources, seeds, items)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for target in targets:
        sources = list(cells[target].values())
        right[target] = np.array(
            [[[int(c) for c in fit["right"]] for fit in s["fits"].values()] for s in sources], float
        )
        told = {name: [{**s["scores"], **s["peer"]}[name] for s in sources] for name in (*SCORERS, *PEER)}
        scores[target] = {
            name: np.array([-np.inf if value is None else value for value in values]) for name, values in told.items()
        }
        for name, values in scores[target].items():
            known = values[np.isfinite(values)]
            scores[target][name] = np.where(np.isfinite(values), values, known.min() - 1 if len(known) else 0.0)
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        drawn_targets = rng.choice(targets, len(targets))
        items = [rng.integers(0, right[t].shape[2], right[t].shape[2]) for t in drawn_targets]
        draws.append([(t, right[t][:, :, i].mean(axis=(1, 2))) for t, i in zip(drawn_targets, items, strict=True)])
    point = [(target, right[target].mean(axis=(1, 2))) for target in targets]
    rows = []

    def drawn_taus(name: str) -> np.ndarray:
        return np.array([np.mean([tau(scores[t][name], accuracy) for t, accuracy in draw]) for draw in draws])

    default = drawn_taus(DEFAULT)
    for name in (*SCORERS, *PEER):
        taus = {target: tau(scores[target][name], accuracy) for target, accuracy in point}
        sampled = drawn_taus(name)
        lost = [np.mean([regret(scores[t][name], accuracy) for t, accuracy in draw]) for draw in draws]
        rows.append(
            {
                "score": name,
                "tau": float(np.mean(list(taus.values()))),
                "interval": np.quantile(sampled, [0.025, 0.975]).tolist(),
                "above_default": np.quantile(sampled - default, [0.025, 0.975]).tolist(),
                "regret": float(np.mean([regret(scores[target][name], accuracy) for target, accuracy in point])),
                "regret_interval": np.quantile(lost, [0.025, 0.975]).tolist(),
                "taus": taus,
            }
        )
    return sorted(rows, key=lambda row: -row["tau"])


def text(result: Mapping[str, Any]) -> str:
    """Both tables, and whether the default is beaten."""
    targets = list(result["cells"])
    found = {row["score"]: row["tau"] for row in result["rows"]}
    rows = []
    for row in result["rows"]:
        (low, high), (least, most), (under, over) = row["interval"], row["regret_interval"], row["above_default"]
        kind = " (naive)" if row["score"] in NAIVE else " (vertebrae)" if row["score"] in PEER else ""
        rows.append(
            [
                row["score"] + kind,
                f"{row['tau']:+.3f} [{low:+.3f}, {high:+.3f}]",
                "" if row["score"] == DEFAULT else f"{row['tau'] - found[DEFAULT]:+.3f} [{under:+.3f}, {over:+.3f}]",
                f"{row['regret']:.3f} [{least:.3f}, {most:.3f}]",
                *(f"{row['taus'][target]:+.2f}" for target in targets),
            ]
        )
    others = [row for row in result["rows"] if row["score"] in (*NAIVE, *PEER)]
    beaten = [row["score"] for row in others if row["above_default"][0] > 0]
    ahead = [row["score"] for row in others if row["tau"] > found[DEFAULT] and row["score"] not in beaten]
    verdict = f"No naive ranking and no score of the peer beats {DEFAULT}, the default, by more than chance."
    if beaten:
        verdict = f"{DEFAULT}, the default, is beaten by {', '.join(beaten)}."
    if ahead:
        verdict += f" Ahead of it here, by a difference whose interval holds 0: {', '.join(ahead)}."
    sources = list(next(iter(result["cells"].values())))
    accuracies = [
        [target, *(f"{_accuracy(result['cells'][target][source]):.3f}" for source in sources)] for target in targets
    ]
    sizes = "; ".join(f"{target} {'/'.join(map(str, n.values()))}" for target, n in result["n"].items())
    about = result["machine"]
    return "\n".join(
        [
            markdown(["score", "weighted tau [95 %]", f"above {DEFAULT} [95 %]", "regret [95 %]", *targets], rows),
            verdict + "\n",
            "Accuracy after fine-tuning (`lp-ft`) on the test items:\n",
            markdown(["target", *sources], accuracies),
            f"Items (train/validation/test): {sizes}. Seeds {', '.join(map(str, result['seeds']))}. {about['cpu']}, "
            f"{about['cores']} cores; {about['date']}, commit {about['commit']}.\n",
        ]
    )


def _accuracy(cell: Mapping[str, Any]) -> float:
    return float(np.mean([[int(c) for c in fit["right"]] for fit in cell["fits"].values()]))


# ---- all of it


def begun(path: Path, items: int) -> dict[str, Any]:
    """What an earlier call with as many items left, or a new result."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        if found["items"] == items:
            return found
    return {"items": items, "cells": {}, "n": {}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=[*TARGETS], metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--sources", default=",".join(PACKS), help="names, comma between")
    parser.add_argument("--items", type=int, default=200, help="training items, and test items, of a target at most")
    parser.add_argument("--seeds", default="0", help="of fine-tuning")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "data", help="where the data sets are")
    parser.add_argument("--environments", type=Path, default=ROOT / "benchmarks" / ".env-peers")
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "ranking.json", help="the result as JSON; a .md goes beside it"
    )
    args = parser.parse_args()
    sources, seeds = args.sources.split(","), [int(seed) for seed in args.seeds.split(",")]
    absent = [name for name in sources if not resolve(name).availability().here]
    headstart.install_sources(absent)
    python = environment(args.environments / "vertebrae")
    result = begun(args.out, args.items)

    for target in args.targets:
        cells = result["cells"].setdefault(target, {})
        with tempfile.TemporaryDirectory() as folder:
            most = {"train": args.items, "validation": args.items // 2, "test": args.items}
            data = written(TARGETS[target](args.shared), most, 0, Path(folder) / target)
            result["n"][target] = {split: count(data)[split] for split in most}
            for source in sources:
                cell = cells.setdefault(source, {"fits": {}})
                if "scores" not in cell:
                    cell.update(scored(data, source))
                    keep(result, args.out)
                if "peer" not in cell:
                    cell["peer"] = peer_scored(data, source, python, Path(folder))
                    keep(result, args.out)
                for seed in seeds:
                    if str(seed) not in cell["fits"]:
                        with tempfile.TemporaryDirectory() as place:
                            cell["fits"][str(seed)] = fine_tuned(data, source, seed, Path(place))
                        keep(result, args.out)
                told = f"probe {cell['scores']['probe']:.3f}, fine-tuned {_accuracy(cell):.3f}"
                print(f"{target}, {source}: {told}", flush=True)

    asked = {target: {source: result["cells"][target][source] for source in sources} for target in args.targets}
    result |= {"seeds": seeds, "machine": machine(), "rows": foretold(asked)}
    keep(result, args.out)
    shown = text({**result, "cells": asked, "n": {target: result["n"][target] for target in asked}})
    args.out.with_suffix(".md").write_text(shown)
    print("\n" + shown)


if __name__ == "__main__":
    main()
