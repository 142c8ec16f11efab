"""What headstart reaches on real sets of every modality, beside simple models and what was published.

Run:     python benchmarks/results.py [NAME ...] [--again NAME,...] [--budget 120s]      (make results)
Cost:    about an hour on 2 CPU cores for all; a row that is finished is kept and not run again
Expect:  a table, docs/results.md; above the simple baseline wherever the verdict says positive

One `headstart fit` a row (one a fold, where a set has folds), as a user would type it, on the set's own division where
it has one. The simple baseline is headstart's own, on the same test items; the band is what simple models reached on it
before; seconds are those of the whole process.
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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import HEADSTART, RESULTS, ROOT, Ended, machine, markdown
from time_to_accuracy import pneumoniamnist, written

from headstart.metrics.intervals import wilson

SHARED = ROOT.parent / "shared" / "data"
KEPT = RESULTS / "results.json"
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Table:
    """A set as tables for `headstart fit`: one, or one a fold, whose test items together are judged as one.

    options: of the command. band: what simple models reach on it, measured elsewhere. published: with its source.
    """

    tables: Callable[[Path, Path], list[Path]]
    options: tuple[str, ...] = ()
    band: str = ""
    published: str = ""
    modality: str = "text"


def table(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


# ---- text


def lines(name: str) -> list[tuple[str, str]]:
    """(label, text) of a file of text_en."""
    data = gzip.decompress((SHARED / "text_en" / name).read_bytes())
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    pairs = (line.split(" ", 1) for line in text.split("\n") if line.strip())
    return [(label, words.strip()) for label, words in pairs]


def of_lines(parts: dict[str, str]) -> Callable[[Path, Path], list[Path]]:
    """parts: split -> file. The one split "all" is divided by headstart itself."""

    def make(shared: Path, scratch: Path) -> list[Path]:
        rows = [
            {"text": text, "label": f"class {label}"} | ({} if split == "all" else {"split": split})
            for split, name in parts.items()
            for label, text in lines(name)
        ]
        return [table(scratch / "texts.csv", rows)]

    return make


def thucnews(shared: Path, scratch: Path) -> list[Path]:
    """Titles of news in Chinese: 5,000 of dev.txt to train and validate, 5,000 of test.txt to test."""
    names = (shared / "thucnews_titles" / "class.txt").read_text(encoding="utf-8").split()
    rows: Rows = []
    rng = np.random.default_rng(0)
    for split, name in (("train", "dev.txt"), ("test", "test.txt")):
        found = [line.rsplit("\t", 1) for line in (shared / "thucnews_titles" / name).read_text("utf-8").splitlines()]
        chosen = sorted(rng.permutation(len(found))[:5000].tolist())
        rows += [{"text": found[i][0], "label": names[int(found[i][1])], "split": split} for i in chosen]
    return [table(scratch / "titles.csv", rows)]


def waimai(shared: Path, scratch: Path) -> list[Path]:
    """Reviews of food deliveries in Chinese: 4,000 of them."""
    with (shared / "chinese_sentiment" / "waimai_10k.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [
            {"text": row["review"], "label": {"0": "bad", "1": "good"}[row["label"]]} for row in csv.DictReader(file)
        ]
    order = np.random.default_rng(0).permutation(len(rows))[:4000]
    return [table(scratch / "reviews.csv", [rows[i] for i in sorted(order.tolist())])]


# ---- sound


def esc10(shared: Path, scratch: Path) -> list[Path]:
    """Sounds of ten kinds, in their own five folds."""
    with (shared / "esc10" / "index.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    audio = shared / "esc10" / "audio"
    return [
        table(
            scratch / f"fold{fold}.csv",
            [
                {
                    "path": str(audio / row["file"]),
                    "label": row["label"],
                    "split": "test" if row["fold"] == fold else "train",
                    "group": row["file"].split("-")[1],
                }
                for row in found
            ],
        )
        for fold in sorted({row["fold"] for row in found})
    ]


def fsdd(shared: Path, scratch: Path) -> list[Path]:
    """Spoken digits; each of six speakers in turn is heard in the test alone."""
    files = sorted((shared / "fsdd_1200" / "recordings").glob("*.wav"))
    speakers = sorted({path.stem.split("_")[1] for path in files})
    return [
        table(
            scratch / f"{out}.csv",
            [
                {
                    "path": str(path),
                    "label": f"digit {path.stem[0]}",
                    "speaker": path.stem.split("_")[1],
                    "split": "test" if path.stem.split("_")[1] == out else "train",
                }
                for path in files
            ],
        )
        for out in speakers
    ]


# ---- pictures


def xrays(shared: Path, scratch: Path) -> list[Path]:
    """Chest x-rays of 28 pixels, all of them, in their own division."""
    most = {"train": 4708, "validation": 524, "test": 624}
    return [written(pneumoniamnist(shared), most, 0, scratch / "pneumoniamnist")]


SETS: dict[str, Table] = {
    "sst2": Table(
        of_lines({"train": "stsa.binary.train.gz", "validation": "stsa.binary.dev.gz", "test": "stsa.binary.test.gz"}),
        band="tf-idf .802",
    ),
    "trec": Table(of_lines({"train": "TREC.train.all.gz", "test": "TREC.test.all.gz"}), band="tf-idf .888"),
    "subj": Table(of_lines({"all": "subj.all.gz"}), band="tf-idf .910"),
    "thucnews_titles": Table(thucnews, band="letters' tf-idf .864 (all titles)"),
    "chinese_sentiment": Table(waimai),
    "fsdd_1200, a speaker left out": Table(fsdd, band="log-mel .515 to .83", modality="audio"),
    "esc10, 5 folds": Table(esc10, band="random forest .742", published="humans .957 (Piczak 2015)", modality="audio"),
    "pneumoniamnist": Table(
        xrays, ("--budget", "180s"), "pixels .822", "ResNet-18 at 28 pixels .854 (Yang et al. 2023)", "image"
    ),
}


@dataclass
class Row:
    """Of all folds of a set together. right: "1" or "0" for each test item; baseline likewise."""

    right: str = ""
    baseline: str = ""
    seconds: float = 0.0
    verdicts: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)


def run(name: str, scratch: Path, extra: tuple[str, ...]) -> dict[str, Any]:
    """Fit every table of a set."""
    found, row = SETS[name], Row()
    for number, data in enumerate(found.tables(SHARED, scratch)):
        out = scratch / f"run{number}"
        command = [HEADSTART, "fit", str(data), "--out", str(out), *found.options, *extra]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Ended(f"{name}: {done.stderr[-2000:]}")
        row.seconds += time.perf_counter() - started
        metrics = json.loads((out / "metrics.json").read_text())
        answers = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
        row.right += "".join(str(int(a["predicted"] == a["label"])) for a in answers)
        n, simple = metrics["n"]["test"], metrics["baselines"]["no_transfer"]["accuracy"]["value"]
        row.baseline += "1" * round(simple * n) + "0" * (n - round(simple * n))
        row.verdicts.append(metrics["verdict"]["transfer"])
        row.sources.append(metrics["source"])
        row.methods.append(metrics["method"])
    return vars(row)


def text(result: dict[str, Any]) -> str:
    """The table, and what speaks against us above it."""
    cells, against = [], []
    for name, row in result["rows"].items():
        n, right, simple = len(row["right"]), row["right"].count("1"), row["baseline"].count("1")
        found = SETS[name]
        verdicts = ", ".join(f"{v} {row['verdicts'].count(v)}" for v in dict.fromkeys(row["verdicts"]))
        if row["verdicts"].count("positive") > len(row["verdicts"]) / 2 and right <= simple:
            against.append(f"**Against headstart:** {name}: called positive, and not above the simple baseline.")
        cells.append(
            [
                name,
                ", ".join(dict.fromkeys(f"{m} on {s}" for m, s in zip(row["methods"], row["sources"], strict=True))),
                str(wilson(right, n)),
                f"{simple / n:.3f}",
                found.band or "-",
                found.published or "-",
                verdicts if len(row["verdicts"]) > 1 else row["verdicts"][0],
                f"{row['seconds']:.0f}",
            ]
        )
    header = ["set", "what was fitted", "accuracy [95 %]", "simple baseline", "band", "published", "verdict", "seconds"]
    about = result["machine"]
    foot = f"{about['cpu']}, {about['cores']} cores; {about['date']}, commit {about['commit']}.\n"
    told = "".join(f"- {line}\n" for line in against)
    return "\n".join([*([told] if told else []), markdown(header, cells), foot])


def main(arguments: Iterable[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SETS), metavar="NAME")
    parser.add_argument("--again", default="", help="rows to run anew, separated by semicolons")
    parser.add_argument("--budget", help="as of headstart fit; without it, the probe and lp-ft")
    args = parser.parse_args(list(arguments))
    if not SHARED.is_dir():
        raise SystemExit(f"the data sets are not at {SHARED}")
    result: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {"rows": {}}
    for name in filter(None, args.again.split(";")):
        result["rows"].pop(name, None)
    extra = ("--budget", args.budget) if args.budget else ()
    for name in args.names:
        if name in result["rows"]:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            result["rows"][name] = run(name, Path(scratch), extra)
        result["machine"] = machine()
        KEPT.write_text(json.dumps(result, indent=1) + "\n")
        KEPT.with_suffix(".md").write_text(text(result))
        print(f"{name}: {wilson(result['rows'][name]['right'].count('1'), len(result['rows'][name]['right']))}")
    print(text(result))


if __name__ == "__main__":
    main(sys.argv[1:])
