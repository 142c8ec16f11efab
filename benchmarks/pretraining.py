"""What learning from unlabelled texts is worth where few are labelled.

Run:     python benchmarks/pretraining.py [--sets TREC,SST-2] [--labelled 200] [--unlabelled N] [--epochs 3]
                 [--lstm-epochs 6]
Cost:    about an hour on one idle CPU core, most of it the recurrent network's pretraining; a tenth with
         --unlabelled 2000 --epochs 2 --lstm-epochs 3 --sets TREC
Expect:  a table; it ends with an error only where a run fails, for pretraining need not help, and the table says so

200 labelled texts train, 200 validate, the set's own test part tests; all other training texts (N of each set at most)
are there without their labels. Two pairs are held against each other on the same test texts: minilm-l6 by lp-ft, as it
is and after masked tokens on the unlabelled texts (a phase of the same fit); and a recurrent network from scratch (the
same network, tokenizer and time) against ULMFiT: pretrained on the training texts of SST-2, TREC and Subj, gone on with
on the target's own, then unfrozen gradually.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, machine, markdown

import headstart
from headstart.data.dataset import Dataset, Item, Role

DATA = ROOT.parent / "shared" / "data" / "text_en"
SETS = {
    "TREC": ("TREC.train.all.gz", "TREC.test.all.gz"),
    "SST-2": ("stsa.binary.train.gz", "stsa.binary.test.gz"),
}
CORPUS = ("stsa.binary.train.gz", "TREC.train.all.gz", "subj.all.gz")
VALIDATION = 200


def lines(name: str) -> list[tuple[str, str]]:
    """(label, text) of a file, each text once."""
    data = gzip.decompress((DATA / name).read_bytes())
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("cp1252")
    cut = (line.split(" ", 1) for line in text.split("\n") if line.strip())
    return [(label, words) for words, label in {words.strip(): label for label, words in cut}.items()]


def target(name: str, labelled: int, unlabelled: int, seed: int) -> tuple[Dataset, Dataset]:
    """The labelled texts in their splits, and other training texts without labels."""
    train, test = map(lines, SETS[name])
    random.Random(seed).shuffle(train)
    parts: dict[Role, list[tuple[str, str]]] = {
        "train": train[:labelled],
        "validation": train[labelled : labelled + VALIDATION],
        "test": test,
    }
    items = [
        Item(f"{role} {i}", text, label, role) for role, rows in parts.items() for i, (label, text) in enumerate(rows)
    ]
    rest = [Item(f"unlabelled {i}", text) for i, (_, text) in enumerate(train[labelled + VALIDATION :][:unlabelled])]
    return Dataset(name, tuple(items), modality="text"), Dataset("the rest", tuple(rest), "text", "none")


def write(texts: Dataset, path: Path) -> Path:
    """A text a line."""
    path.write_text("\n".join(str(item.input) for item in texts.items), encoding="utf-8")
    return path


def language(folder: Path, epochs: int, most: int) -> headstart.PretrainedRun:
    """The recurrent network, pretrained on training texts of all sets."""
    texts = [Item(f"{name} {i}", text) for name in CORPUS for i, (_, text) in enumerate(lines(name)[:most])]
    corpus = Dataset("SST-2, TREC and Subj", tuple(texts), "text", "none")
    return headstart.pretrain(corpus, source="lstm", epochs=epochs, out=folder, track=())


def measure(name: str, args: argparse.Namespace, lstm: Path, scratch: Path) -> dict[str, Any]:
    data, rest = target(name, args.labelled, args.unlabelled, args.seed)
    file = write(rest, scratch / f"{name}.txt")
    again = {"pretrain.epochs": args.epochs, "pretrain.data": str(file)}
    common: dict[str, Any] = {"seed": args.seed, "track": ()}
    plain = headstart.fit(data, source="minilm-l6", method="lp-ft", out=scratch / f"{name}-plain", **common)
    adapted = headstart.fit(
        data, source="minilm-l6", method="lp-ft", out=scratch / f"{name}-adapted", options=again, **common
    )
    ulmfit = headstart.fit(
        data,
        source=str(lstm),
        method="gradual",
        verdict="full",
        out=scratch / f"{name}-ulmfit",
        options={**again, "learning_rate": 2e-3, "dropout": 0.2},
        **common,
    )
    compared = headstart.compare(adapted.path, plain.path)["verdict"]
    return {
        "set": name,
        "test": plain.metrics["n"]["test"],
        "tf-idf": plain.metrics["baselines"]["tf-idf"]["accuracy"],
        "plain": plain.metrics["test"]["accuracy"],
        "adapted": adapted.metrics["test"]["accuracy"],
        "adapted against plain": compared,
        "masked tokens": adapted.metrics["pretraining"],
        "scratch": ulmfit.metrics["baselines"]["scratch"]["accuracy"],
        "ulmfit": ulmfit.metrics["test"]["accuracy"],
        "ulmfit against scratch": ulmfit.metrics["verdicts"]["scratch"],
        "next tokens": ulmfit.metrics["pretraining"],
        "seconds": {run.path.name: run.metrics["cost"]["seconds"] for run in (plain, adapted, ulmfit)},
    }


def words(found: dict[str, Any]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def gain(found: dict[str, Any]) -> str:
    return f"{found['gain']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def perplexity(found: dict[str, Any]) -> str:
    return " to ".join(f"{found[when]['perplexity']['value']:.1f}" for when in ("before", "after"))


def table(rows: list[dict[str, Any]]) -> str:
    header = ["", *(f"{row['set']} ({row['test']} test texts)" for row in rows)]
    lines = [
        ["tf-idf", *(words(row["tf-idf"]) for row in rows)],
        ["minilm-l6, lp-ft", *(words(row["plain"]) for row in rows)],
        ["the same after masked tokens", *(words(row["adapted"]) for row in rows)],
        ["difference, paired", *(gain(row["adapted against plain"]) for row in rows)],
        ["perplexity of hidden tokens", *(perplexity(row["masked tokens"]) for row in rows)],
        ["lstm from scratch", *(words(row["scratch"]) for row in rows)],
        ["lstm, ULMFiT", *(words(row["ulmfit"]) for row in rows)],
        ["difference, paired", *(gain(row["ulmfit against scratch"]) for row in rows)],
        ["perplexity of next tokens", *(perplexity(row["next tokens"]) for row in rows)],
    ]
    found: str = markdown(header, lines)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="TREC,SST-2")
    parser.add_argument("--labelled", type=int, default=200)
    parser.add_argument("--unlabelled", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lstm-epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        lstm = language(scratch / "lstm", args.lstm_epochs, args.unlabelled)
        print(lstm.summary(), flush=True)
        rows = []
        for name in args.sets.split(","):
            rows.append(measure(name, args, lstm.path, scratch))
            print(json.dumps(rows[-1], indent=1), flush=True)
        found = {
            "machine": machine(),
            "arguments": vars(args),
            "lstm": {**lstm.metrics["pretraining"], "seconds": lstm.metrics["cost"]["seconds"]},
            "rows": rows,
        }
    (RESULTS / "pretraining.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "pretraining.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
