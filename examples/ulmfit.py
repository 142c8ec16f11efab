"""A language model of one's own, gone on with on the target's texts, then unfrozen gradually (ULMFiT).

Run:     python examples/ulmfit.py [TEXTS.txt LABELLED.csv]
Cost:    about a minute on an idle CPU core without arguments, with the sentences of this repository's documents
Expect:  a perplexity that falls, and a classifier of the page that a sentence is from; 650 sentences to read and 110 to
         fit are too few for either to be good, and the verdict against the same network from scratch says so
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

import headstart

DOCS = Path(__file__).parent.parent / "docs"
OUT = Path("runs/examples/ulmfit")
PAGES = ("audio", "data", "sources", "tables")


def sentences(page: Path) -> list[str]:
    """Of a document, without its tables and code."""
    prose = re.sub(r"```[\s\S]*?```|^\|.*$|[`#*]", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [" ".join(found.split()) for found in re.split(r"(?<=[.:;?])\s", prose) if len(found.split()) > 3]


def documents() -> tuple[Path, Path]:
    """A file with a sentence a line, of pages without labels; and a table of sentences and the page each is from."""
    OUT.mkdir(parents=True, exist_ok=True)
    texts, labelled = OUT / "texts.txt", OUT / "labelled.csv"
    others = [page for page in sorted(DOCS.rglob("*.md")) if page.stem not in PAGES]
    texts.write_text("\n".join(line for page in others for line in sentences(page)), encoding="utf-8")
    with labelled.open("w", newline="", encoding="utf-8") as file:
        rows = [(line, name) for name in PAGES for line in sentences(DOCS / f"{name}.md")]
        csv.writer(file).writerows([("text", "label"), *rows])
    return texts, labelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="?", type=Path)
    parser.add_argument("labelled", nargs="?", type=Path)
    args = parser.parse_args()
    texts, labelled = (args.texts, args.labelled) if args.labelled else documents()
    language = headstart.pretrain(texts, source="lstm", epochs=8, out=OUT / "language", overwrite=True)
    print(language.summary())
    run = headstart.fit(
        labelled,
        source=str(language.path),
        method="gradual",
        verdict="full",
        options={"pretrain.epochs": 2, "learning_rate": 3e-3},
        out=OUT / "run",
        overwrite=True,
    )
    print(run.summary())


if __name__ == "__main__":
    main()
