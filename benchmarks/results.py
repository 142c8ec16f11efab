"""What headstart reaches on real sets of every modality, beside simple models and what was published.

Run:     python benchmarks/results.py [SET ...] [--again]     (make results)
Cost:    about an hour on 2 CPU cores for all; a set that is finished is kept and not run again
Expect:  a table, docs/results.md; it ends with an error if a verdict says positive and the simple baseline is no lower

One `headstart fit` a row (one a fold, where a set has folds), as a user would type it, on the set's own division where
it has one. The simple baseline is the best of headstart's own, on the same test items; the band is what simple models
reached on the set before; seconds are those of whole processes that begin without stored features.

Needs `headstart sources install whisper-tiny.en aisfx resemblyzer e5-small-multilingual` once.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from common import HEADSTART, RESULTS, ROOT, Ended, machine, markdown, timed
from time_to_accuracy import pneumoniamnist, written

from headstart.core.cache import cache_dir
from headstart.metrics.intervals import bootstrap, wilson
from headstart.metrics.paired import bootstrap_difference
from headstart.metrics.resampling import once
from headstart.nn.linear import fit_linear
from headstart.tasks.classification import Classification

SHARED = ROOT.parent / "shared" / "data"
KEPT = RESULTS / "results.json"
ARTICLES = np.random.default_rng(0).permutation(48).tolist()
"""Of XQuAD, in the order in which they train, validate and test."""
TRANSFER = ("probe", "scratch")
"""Baselines that are not simple. Of the simple ones the best on the test items is shown, which flatters them."""
Rows = list[dict[str, str]]
Tables = Callable[[Path], dict[str, Path]]
"""Writes tables, or a folder, below the folder that is given, and says where: by the name of the fold, "" for none."""
Found = dict[str, Any]
"""A row: `metric`, `n`, `value`, `low`, `high`, `simple` (None where it was not made), `seconds`, and `folds`: by name
the same of each, with `source`, `method` and `verdict`."""


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


def of_lines(parts: dict[str, str]) -> Tables:
    """parts: split -> file. The one split "all" is divided by headstart itself."""

    def make(scratch: Path) -> dict[str, Path]:
        rows = [
            {"text": text, "label": f"class {label}"} | ({} if split == "all" else {"split": split})
            for split, name in parts.items()
            for label, text in lines(name)
        ]
        return {"": table(scratch / "texts.csv", rows)}

    return make


def thucnews(scratch: Path) -> dict[str, Path]:
    """Titles of news in Chinese: 5,000 of dev.txt to train and validate, 5,000 of test.txt to test."""
    names = (SHARED / "thucnews_titles" / "class.txt").read_text(encoding="utf-8").split()
    rows: Rows = []
    rng = np.random.default_rng(0)
    for split, name in (("train", "dev.txt"), ("test", "test.txt")):
        found = [line.rsplit("\t", 1) for line in (SHARED / "thucnews_titles" / name).read_text("utf-8").splitlines()]
        chosen = sorted(rng.permutation(len(found))[:5000].tolist())
        rows += [{"text": found[i][0], "label": names[int(found[i][1])], "split": split} for i in chosen]
    return {"": table(scratch / "titles.csv", rows)}


def waimai(scratch: Path) -> dict[str, Path]:
    """Reviews of food deliveries in Chinese: 4,000 of them."""
    with (SHARED / "chinese_sentiment" / "waimai_10k.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [
            {"text": row["review"], "label": {"0": "bad", "1": "good"}[row["label"]]} for row in csv.DictReader(file)
        ]
    order = np.random.default_rng(0).permutation(len(rows))[:4000]
    return {"": table(scratch / "reviews.csv", [rows[i] for i in sorted(order.tolist())])}


def entities(*parts: str) -> Tables:
    """A folder of CoNLL files as it is."""
    return lambda scratch: {"": SHARED.joinpath(*parts)}


def xquad(language: str) -> list[dict[str, Any]]:
    """48 articles with their questions, the same in each language, in SQuAD's form."""
    articles: list[dict[str, Any]] = json.loads(
        gzip.decompress((SHARED / "xquad" / f"xquad.{language}.json.gz").read_bytes())
    )["data"]
    return articles


# ---- sound


def esc10(scratch: Path) -> dict[str, Path]:
    """Sounds of ten kinds, in their own five folds."""
    with (SHARED / "esc10" / "index.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    audio = SHARED / "esc10" / "audio"
    return {
        f"fold {fold}": table(
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
    }


def fsdd(scratch: Path) -> dict[str, Path]:
    """Spoken digits; each of six speakers in turn is heard in the test alone."""
    files = sorted((SHARED / "fsdd_1200" / "recordings").glob("*.wav"))
    speakers = sorted({path.stem.split("_")[1] for path in files})
    return {
        out: table(
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
    }


# ---- pictures


def xrays(scratch: Path) -> dict[str, Path]:
    """Chest x-rays of 28 pixels, all of them, in their own division."""
    most = {"train": 4708, "validation": 524, "test": 624}
    return {"": written(pneumoniamnist(SHARED), most, 0, scratch / "pneumoniamnist")}


# ---- gene expression


def leukaemia(scratch: Path) -> dict[str, Path]:
    """Two kinds of leukaemia by the expression of 7,129 genes: 38 patients to train, 34 of another laboratory."""
    rows: Rows = []
    for split in ("train", "test"):
        with gzip.open(SHARED / "golub" / f"golub_{split}.csv.gz", "rt", encoding="utf-8", newline="") as file:
            rows += [{**row, "split": split} for row in csv.DictReader(file)]
    return {"": table(scratch / "golub.csv", rows)}


def cohort(name: str) -> Path:
    return SHARED / "breast_two_cohort" / f"{name}s.csv.gz"


def cohort_rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(150, 254) expression of genes, a gap as the gene's mean, and (150,) the oestrogen receptor."""
    with gzip.open(cohort(name), "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    genes = [column for column in rows[0] if column.startswith("g")]
    levels = np.array([[float(row[gene]) if row[gene] not in ("", "NA") else np.nan for gene in genes] for row in rows])
    return np.where(np.isnan(levels), np.nanmean(levels, axis=0), levels), np.array([int(r["clin_er"]) for r in rows])


# ---- what is run


class Set(Protocol):
    def run(self, name: str, scratch: Path) -> dict[str, Found]:
        """The rows of a set by their names."""


def fitted(data: Path, scratch: Path, out: Path, *options: str, against: str = "") -> Found:
    """What `headstart fit` says of its test items, and the seconds of its process. against: the baseline that the
    verdict is of; "" is the best of the simple ones."""
    seconds = timed([HEADSTART, "fit", str(data), "--out", str(out), *options], HEADSTART_CACHE=str(fresh(scratch)))
    metrics = json.loads((out / "metrics.json").read_text())
    metric = metrics["primary"]
    return {
        "metric": metric,
        "n": metrics["n"]["test"],
        **metrics["test"][metric],
        "simple": max(
            row[metric]["value"]
            for name, row in metrics["baselines"].items()
            if name == against or (not against and name not in TRANSFER)
        ),
        "seconds": seconds,
        "source": metrics["source"],
        "method": metrics["method"],
        "verdict": (metrics["verdicts"][against] if against else metrics["verdict"])["transfer"],
    }


def answered(*command: str, scratch: Path) -> tuple[Any, float]:
    """What `headstart COMMAND --json` prints, and the seconds of its process."""
    started = time.perf_counter()
    done = subprocess.run(
        [HEADSTART, *command, "--json"],
        env=os.environ | {"HEADSTART_CACHE": str(fresh(scratch))},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Ended(f"headstart {' '.join(command)}\nended with {done.returncode}:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout), time.perf_counter() - started


def fresh(scratch: Path) -> Path:
    """A cache with the sources of this machine and no features."""
    cache = scratch / "cache"
    for name in ("sources", "assets"):
        (cache_dir() / name).mkdir(parents=True, exist_ok=True)
        cache.mkdir(exist_ok=True)
        if not (cache / name).exists():
            (cache / name).symlink_to((cache_dir() / name).absolute(), target_is_directory=True)
    return cache


@dataclass(frozen=True)
class Plain:
    """A set as tables by the names of its folds, whose test items together are judged as one. options: of `fit`.
    against: as of `fitted`."""

    tables: Tables
    options: tuple[str, ...] = ()
    against: str = ""

    def run(self, name: str, scratch: Path) -> dict[str, Found]:
        folds = {}
        for number, (fold, data) in enumerate(self.tables(scratch).items()):
            folds[fold] = fitted(data, scratch, scratch / f"run{number}", *self.options, against=self.against)
            if fold:
                print(f"{name}, {fold}: {folds[fold]['value']:.3f}", flush=True)
        return {name: together(folds)}


def together(folds: dict[str, Found]) -> Found:
    """One row of all folds: shares of their test items, with Wilson's interval."""
    if len(folds) == 1:
        (only,) = folds.values()
        return {key: only[key] for key in ("metric", "n", "value", "low", "high", "simple", "seconds")} | {
            "folds": folds
        }
    counts = np.array([fold["n"] for fold in folds.values()])
    value, simple = (float(np.average([f[key] for f in folds.values()], weights=counts)) for key in ("value", "simple"))
    share = wilson(value * counts.sum(), int(counts.sum()))
    return {
        "metric": next(iter(folds.values()))["metric"],
        "n": int(counts.sum()),
        "value": value,
        "low": share.low,
        "high": share.high,
        "simple": simple,
        "seconds": sum(fold["seconds"] for fold in folds.values()),
        "folds": folds,
    }


@dataclass(frozen=True)
class Cohorts:
    """A network fitted to one cohort: judged on the whole of the other, and as the source of a model of the other."""

    first: str
    second: str

    def run(self, name: str, scratch: Path) -> dict[str, Found]:
        columns, source = ("--input", "g*", "--label", "clin_er"), f"mlp of {self.first}"
        one = fitted(cohort(self.first), scratch, scratch / "first", *columns, "--source", "mlp")
        whole, seconds = self._carried_over(scratch / "first", scratch)
        start = ("--source", str(scratch / "first"), "--set", "standardise=per-cohort")
        next_one = fitted(cohort(self.second), scratch, scratch / "second", *columns, *start)
        whole |= {"seconds": one["seconds"] + seconds, "source": source, "method": "predict"}
        return {
            f"{name}, all of it": together({"": whole}),
            f"{name}, fitted on": together({"": next_one | {"source": source}}),
        }

    def _carried_over(self, model: Path, scratch: Path) -> tuple[Found, float]:
        """The first cohort's model on the second, beside a logistic regression of the first; both see each cohort
        standardised by itself. The verdict is by the paired bootstrap of the difference."""
        (train, wanted), (test, truth) = (cohort_rows(name) for name in (self.first, self.second))
        rows, others = ((x - x.mean(0)) / x.std(0) for x in (train, test))
        answers, seconds = answered(
            "predict", str(model), str(cohort(self.second)), "--standardise", "per-cohort", scratch=scratch
        )
        ours = np.array([[answer["scores"][name] for name in ("0", "1")] for answer in answers])
        simple = fit_linear(rows, wanted, "single", 2).logits(others)
        metric, task = "balanced_accuracy", Classification(("0", "1"), "table")
        mine, plain = (task.statistic(truth, scores, only=metric) for scores in (ours, simple))
        gain = bootstrap_difference(mine, plain, metric, len(truth)).gain
        found = {
            "metric": metric,
            "n": len(truth),
            **bootstrap(mine, len(truth))[metric].to_json(),
            "simple": float(plain(once(len(truth)))[metric][0]),
            "verdict": "positive" if gain.low > 0 else "negative" if gain.high < 0 else "neutral",
        }
        return found, seconds


@dataclass(frozen=True)
class Languages:
    """Questions on English articles, 32 of them to train and 6 to validate; 10 test, in English and in the others."""

    options: tuple[str, ...]

    def run(self, name: str, scratch: Path) -> dict[str, Found]:
        folder = scratch / "english"
        folder.mkdir()
        articles = [xquad("en")[i] for i in ARTICLES]
        for split, part in (("train", articles[:32]), ("dev", articles[32:38]), ("test", articles[38:])):
            (folder / f"{split}.json").write_text(json.dumps({"data": part}))
        one = fitted(folder, scratch, scratch / "run", *self.options)
        rows = {f"{name}, en": together({"": one})}
        print(f"{name}, en: {one['value']:.3f}", flush=True)
        for language in ("de", "es", "ru", "ar", "zh"):
            data = scratch / f"{language}.json"
            data.write_text(json.dumps({"data": [xquad(language)[i] for i in ARTICLES[38:]]}))
            judged, seconds = answered("evaluate", str(scratch / "run"), str(data), scratch=scratch)
            found = {
                "metric": one["metric"],
                "n": judged["n"]["test"],
                **judged["test"][one["metric"]],
                "simple": None,
                "seconds": seconds,
                "source": one["source"],
                "method": "evaluate",
                "verdict": "-",
            }
            rows[f"{name}, {language}"] = together({"": found})
        return rows


PICTURED = (
    *("--source", "efficientnet-lite0", "--method", "lp-ft", "--epochs", "8", "--set", "augment.time_shift=0.2"),
    *("--set", "augment.mask_bands=0.15", "--set", "augment.mask_frames=0.15"),
)
ASKING = "--source", "e5-small-multilingual", "--method", "partial", "--set", "method.blocks=8", "--epochs", "5"
SETS: dict[str, Set] = {
    "sst2": Plain(
        of_lines({"train": "stsa.binary.train.gz", "validation": "stsa.binary.dev.gz", "test": "stsa.binary.test.gz"}),
        ("--budget", "300s"),
    ),
    "trec": Plain(of_lines({"train": "TREC.train.all.gz", "test": "TREC.test.all.gz"}), ("--budget", "300s")),
    "subj": Plain(of_lines({"all": "subj.all.gz"}), ("--budget", "300s")),
    "thucnews_titles": Plain(thucnews, ("--budget", "300s")),
    "chinese_sentiment": Plain(waimai, ("--budget", "300s")),
    **{
        f"crossner, {domain}": Plain(entities("crossner", domain), ("--source", "minilm-l6"))
        for domain in ("politics", "science", "music", "literature", "ai")
    },
    "wnut17": Plain(entities("wnut17"), ("--source", "minilm-l6")),
    "xquad": Languages(ASKING),
    "fsdd_1200": Plain(fsdd, ("--budget", "60s")),
    "esc10": Plain(esc10, ("--budget", "120s")),
    "esc10, efficientnet-lite0": Plain(esc10, PICTURED, against="probe"),
    "pneumoniamnist": Plain(xrays, ("--budget", "600s")),
    "golub": Plain(leukaemia, ("--label", "label")),
    "breast, VDX to NKI": Cohorts("vdx", "nki"),
    "breast, NKI to VDX": Cohorts("nki", "vdx"),
}
KNOWN: Mapping[str, tuple[str, str]] = {
    "sst2": ("tf-idf .802", "CNN .872 (Kim 2014), BERT-base .935 (Devlin et al. 2019)"),
    "trec": ("tf-idf .888", "CNN .936 (Kim 2014)"),
    "subj": ("tf-idf .910", "CNN .934 (Kim 2014)"),
    "thucnews_titles": ("tf-idf of letters .864", ""),
    "wnut17": ("", "best of the shared task .419 (Derczynski et al. 2017)"),
    "fsdd_1200": ("log-mel .515 to .83", ""),
    "esc10": ("random forest .742", "humans .957 (Piczak 2015)"),
    "esc10, efficientnet-lite0": ("simple is its own probe here", ""),
    "pneumoniamnist": ("pixels .822", "ResNet-18 .854 (Yang et al. 2023)"),
    "golub": ("", "29 of 34 decided, all right (Golub et al. 1999)"),
    "breast, VDX to NKI, all of it": ("raw .763, by cohort .929", ""),
    "breast, NKI to VDX, all of it": ("raw .500, by cohort .790", ""),
}
"""Band and published figure of a row, where there are any."""


def contradictions(rows: Mapping[str, Found]) -> list[str]:
    """Where a verdict says positive and the simple baseline is as good."""
    lines = []
    for name, row in rows.items():
        folds = {f"{name}, {fold}".rstrip(", "): found for fold, found in row["folds"].items()}
        lines += [
            f"{where}: called positive at {found['value']:.3f}, and the simple baseline is at {found['simple']:.3f}."
            for where, found in folds.items()
            if found["verdict"] == "positive" and found["value"] <= found["simple"]
        ]
    return lines


def text(result: Mapping[str, Any]) -> str:
    """What speaks against us, then the table, then each fold of what has folds."""
    rows = result["rows"]
    cells = []
    for name, row in rows.items():
        folds = list(row["folds"].values())
        verdicts = [fold["verdict"] for fold in folds]
        band, published = KNOWN.get(name, ("", ""))
        cells.append(
            [
                name,
                row["metric"].replace("_", " "),
                f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
                "-" if row["simple"] is None else f"{row['simple']:.3f}",
                band,
                published,
                ", ".join(f"{v} {verdicts.count(v)}" for v in dict.fromkeys(verdicts))
                if len(folds) > 1
                else verdicts[0],
                ", ".join(dict.fromkeys(f"{fold['method']} on {fold['source']}" for fold in folds)),
                f"{row['seconds']:.0f}",
            ]
        )
    header = [
        "set",
        "metric",
        "headstart [95 %]",
        "simple",
        "band",
        "published",
        "verdict",
        "what it shipped",
        "seconds",
    ]
    by_fold = [
        f"- {name}: " + ", ".join(f"{fold} {found['value']:.3f}" for fold, found in row["folds"].items())
        for name, row in rows.items()
        if len(row["folds"]) > 1
    ]
    about = result["machine"]
    foot = f"{about['cpu']}, {about['cores']} cores; {about['date']}, commit {about['commit']}.\n"
    against = [f"- **Against headstart:** {line}" for line in contradictions(rows)]
    return "\n".join([*against, *[""][: len(against)], markdown(header, cells), *by_fold, "", foot])


def main(arguments: Iterable[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="SET", help=f"{'; '.join(SETS)}; by default all")
    parser.add_argument("--again", action="store_true", help="run them anew, also where a result is kept")
    args = parser.parse_args(list(arguments))
    names = args.names or list(SETS)
    for unknown in set(names) - set(SETS):
        parser.error(f"{unknown!r} is no set. Sets: {'; '.join(SETS)}")
    if not SHARED.is_dir():
        raise SystemExit(f"the data sets are not at {SHARED}")
    result: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {"sets": {}}
    for name in names:
        if name in result["sets"] and not args.again:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            result["sets"][name] = SETS[name].run(name, Path(scratch))
        result["machine"] = machine()
        result["rows"] = {row: found for of in SETS for row, found in result["sets"].get(of, {}).items()}
        KEPT.write_text(json.dumps(result, indent=1) + "\n")
        KEPT.with_suffix(".md").write_text(text(result))
        for row, found in result["sets"][name].items():
            print(f"{row}: {found['value']:.3f} in {found['seconds']:.0f} s, simple {found['simple']}", flush=True)
    print("\n" + text(result))
    if lines := contradictions(result["rows"]):
        raise SystemExit("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
