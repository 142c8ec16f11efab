"""Trained on one language, tested on others: topics of the same sentences in 14 languages (SIB-200).

Run:     python benchmarks/cross_lingual.py [--sources NAME,...] [--shots 0,5] [--again]
Cost:    about 15 minutes on 2 CPU cores; what is finished is kept and not run again
Expect:  a table for each number of shots; it ends with an error unless e5-small-multilingual is above tf-idf in every
         language, and but for English above minilm-l6

A probe on 701 English sentences (99 validate), then the 204 test sentences in each language, which are translations of
the same. shots: so many labelled sentences a class of the tested language in the training, too. Intervals: Wilson. All
of it goes through `headstart.fit` and `headstart.predict`, as a user would do it.

Needs `headstart sources install use-multilingual e5-small-multilingual` once.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, ROOT, machine, markdown

import headstart
from headstart.data.dataset import Dataset, Item, Role
from headstart.data.transforms.tfidf import tfidf
from headstart.metrics.intervals import wilson
from headstart.nn.linear import fit_linear

DATA = ROOT.parent / "shared" / "data" / "sib200_14langs"
KEPT = RESULTS / "cross_lingual.json"
PLAIN, SINGLE, MULTILINGUAL = "tf-idf", "minilm-l6", "e5-small-multilingual"
SOURCES = f"{SINGLE},use-multilingual,{MULTILINGUAL}"
Counts = dict[str, dict[str, int]]
"""By source, by language: test sentences it has right."""
ENGLISH = "eng_Latn"
PARTS: dict[str, Role] = {"train": "train", "dev": "validation", "test": "test"}


def sentences(language: str, part: str) -> list[tuple[str, str, str]]:
    """(number, topic, text), in order of the numbers, which say the same in every language."""
    with (DATA / language / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return sorted((row["index_id"], row["category"], row["text"]) for row in rows)


def english(few: Iterable[tuple[str, str, str]] = (), language: str = "") -> Dataset:
    """The English sentences in their splits, and a few of another language to train on."""
    items = [
        Item(f"{ENGLISH} {part} {number}", text, topic, role)
        for part, role in PARTS.items()
        for number, topic, text in sentences(ENGLISH, part)
    ]
    items += [Item(f"{language} {number}", text, topic, "train") for number, topic, text in few]
    return Dataset("SIB-200, English", tuple(items), modality="text")


def few(language: str, shots: int) -> list[tuple[str, str, str]]:
    """So many training sentences a topic."""
    taken: Counter[str] = Counter()
    chosen = []
    rows = sentences(language, "train")
    for at in np.random.default_rng(0).permutation(len(rows)).tolist():
        topic = rows[at][1]
        if taken[topic] < shots:
            taken[topic] += 1
            chosen.append(rows[at])
    return chosen


def right(source: str, languages: list[str], shots: int, scratch: Path) -> dict[str, int]:
    """Test sentences of each language that a model has right."""
    found: dict[str, int] = {}
    run: Any = None
    for language in languages:
        if run is None or shots:
            data = english(few(language, shots) if language != ENGLISH else (), language)
            out = scratch / f"{source}-{language}-{shots}"
            run = headstart.fit(data, source=source, method="probe", verdict="none", track=(), out=out)
        tested = sentences(language, "test")
        answers = headstart.predict(run.path, [text for _, _, text in tested])
        found[language] = sum(a.label == topic for a, (_, topic, _) in zip(answers, tested, strict=True))
    return found


def simple(language: str, shots: int) -> int:
    """The same of a linear head on tf-idf."""
    train = [*sentences(ENGLISH, "train"), *(few(language, shots) if language != ENGLISH else ())]
    tested = sentences(language, "test")
    topics = sorted({topic for _, topic, _ in train})
    rows, others = tfidf([text for *_, text in train], [[text for *_, text in tested]])
    labels = np.array([topics.index(topic) for _, topic, _ in train])
    answers = fit_linear(rows, labels, "single", len(topics), scaling="all").logits(others).argmax(1)
    return sum(topics[k] == topic for k, (_, topic, _) in zip(answers.tolist(), tested, strict=True))


def below(rows: Counts, source: str, other: str, languages: Iterable[str]) -> list[str]:
    """Languages in which a source is not above another."""
    return [k for k in languages if rows[source][k] <= rows[other][k]]


def missed(rows: Counts) -> list[str]:
    """What is expected of the multilingual source and is not so."""
    if not {MULTILINGUAL, SINGLE} <= set(rows):
        return []
    others = [language for language in rows[PLAIN] if language != ENGLISH]
    lines = []
    for other, languages in ((PLAIN, [ENGLISH, *others]), (SINGLE, others)):
        if found := below(rows, MULTILINGUAL, other, languages):
            lines.append(f"{MULTILINGUAL} is not above {other} in {', '.join(found)}.")
    return lines


def table(rows: Counts, n: int) -> str:
    """What speaks against us, then a row a language, a column a source."""
    own, against = [name for name in rows if name != PLAIN], missed(rows)
    for name in own:
        if found := below(rows, name, PLAIN, rows[PLAIN]):
            line = f"{name} is not above {PLAIN} in {', '.join(found)}."
            against += [line] if line not in against else []
    names = [PLAIN, *own]
    cells = [[language, *(str(wilson(rows[name][language], n)) for name in names)] for language in rows[PLAIN]]
    others = [language for language in rows[PLAIN] if language != ENGLISH]
    cells.append(["mean but English", *(f"{np.mean([rows[s][k] for k in others]) / n:.3f}" for s in names)])
    lines = "".join(f"- **Against headstart:** {line}\n" for line in against)
    return f"{lines}\n{markdown(['', *names], cells)}"


def text(result: dict[str, Any]) -> str:
    """A table for each number of shots."""
    n, about = result["n"], result["machine"]
    titles = {"0": "### Zero-shot", "5": "### Five sentences a topic"}
    parts = [
        f"{titles.get(k, f'### {k} sentences a topic')}\n\n{table(rows, n)}" for k, rows in result["shots"].items()
    ]
    foot = f"{n} test sentences a language; {about['cpu']}; {about['date']}, commit {about['commit']}.\n"
    return "\n".join([*parts, foot])


def main(arguments: Iterable[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", default=SOURCES)
    parser.add_argument("--shots", default="0,5", help="labelled sentences a class of the tested language")
    parser.add_argument("--again", action="store_true", help="run them anew, also where a result is kept")
    args = parser.parse_args(list(arguments))
    if not DATA.is_dir():
        raise SystemExit(f"the data set is not at {DATA}")
    languages = sorted(
        (path.name for path in DATA.iterdir() if path.is_dir()), key=lambda name: (name != ENGLISH, name)
    )
    result: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {"shots": {}}
    result["n"] = len(sentences(ENGLISH, "test"))
    for shots in args.shots.split(","):
        rows = result["shots"].setdefault(shots, {})
        for source in [PLAIN, *args.sources.split(",")]:
            if source in rows and not args.again:
                continue
            if source == PLAIN:
                rows[source] = {language: simple(language, int(shots)) for language in languages}
            else:
                with tempfile.TemporaryDirectory() as scratch:
                    rows[source] = right(source, languages, int(shots), Path(scratch))
            print(source, shots, rows[source], flush=True)
            result["machine"] = machine()
            KEPT.write_text(json.dumps(result, indent=1) + "\n")
    KEPT.with_suffix(".md").write_text(text(result))
    print(text(result))
    if lines := [line for rows in result["shots"].values() for line in missed(rows)]:
        raise SystemExit("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
