"""Learning from items without labels, as the first phase of a fit and by itself."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from headstart.recipes.fit import fit
from headstart.testing.sources import tiny_text_source


def sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Sentences of one form, in which a word tells the next; the label is that of the judgement."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        word = rng.choice(("good", "great", "fine") if i % 2 else ("bad", "poor", "dull"))
        rows.append((f"the {rng.choice(('film', 'book', 'food'))} was so very {word} that night", "ud"[i % 2]))
    return rows


def table(path: Path, rows: list[tuple[str, ...]], columns: tuple[str, ...] = ("text", "label")) -> Path:
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerows([columns, *rows])
    return path


def test_a_fit_begins_with_masked_tokens(tmp_path: Path) -> None:
    rows = [(f"{text} {i}", label) for i, (text, label) in enumerate(sentences(120))]
    data = table(tmp_path / "t.csv", rows)
    options = {"pretrain.epochs": 2, "pretrain.learning_rate": 1e-3}
    run = fit(data, source=tiny_text_source(), method="probe", out=tmp_path / "r", options=options)
    told = run.metrics["pretraining"]
    assert told["objective"] == "masked-tokens"
    assert told["after"]["loss"]["value"] < told["before"]["loss"]["value"]
