"""Tables from reading to a judged model, without transfer and from one cohort to another."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.core.card import Column, TableInput
from headstart.core.errors import ConfigError, DataError
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset
from headstart.data.modalities.table import TABLE, columns_of
from headstart.data.read import read_dataset
from headstart.data.readers.cells import Cell
from headstart.nn import boosting
from headstart.recipes.choose import suited, training_items
from headstart.recipes.evaluate import evaluate
from headstart.recipes.fit import fit
from headstart.recipes.predict import predict
from headstart.recipes.prepare import prepare
from headstart.recipes.run import Run
from headstart.testing.sources import tiny_source, tiny_table_source

FAST = {"epochs": 8, "batch_size": 16}
HEADER = ["patient_id", "n0", "n1", "c0", "g_a", "g_b", "label"]


def patients(count: int, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> list[dict[str, Any]]:
    """Rows whose label n1 and c0 tell, measured on any scale; every tenth n0 is missing."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for i in range(count):
        sick = i % 2
        rows.append(
            {
                "patient_id": f"p{seed}-{i}",
                "n0": "" if i % 10 == 3 else shift + scale * rng.gauss(0, 1),
                "n1": shift + scale * (rng.gauss(0, 1) + 2.5 * sick),
                "c0": rng.choice(["red", "red", "blue"] if sick else ["green", "green", "blue"]),
                "g_a": rng.gauss(0, 1),
                "g_b": rng.gauss(0, 1),
                "label": "sick" if sick else "well",
            }
        )
    return rows


def table(path: Path, rows: Sequence[dict[str, Any]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table(tmp_path_factory.mktemp("tables") / "cohort.csv", patients(120))


@pytest.fixture(scope="module")
def finished(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(cohort, source="mlp", out=tmp_path_factory.mktemp("run") / "a", options=FAST, track=())


# -- reading --------------------------------------------------------------------------------------------------------


def test_columns_that_are_free_are_the_cells_of_a_row(cohort: Path) -> None:
    data = read_dataset(cohort)
    assert (data.modality, data.kind) == ("table", "class")
    assert data.columns == ("n0", "n1", "c0", "g_a", "g_b")
    assert data[3].cells["n0"] is None
    assert isinstance(data[0].cells["n1"], float)
    assert data[0].cells["c0"] in ("red", "green", "blue")
    assert [finding.code for finding in data.findings] == ["identifiers"]


def test_columns_are_named_by_pattern_and_identifiers_kept_where_they_are(cohort: Path) -> None:
    assert read_dataset(cohort, input="n1,g_*").columns == ("n1", "g_a", "g_b")
    assert read_dataset(cohort, input="*").columns == ("n0", "n1", "c0", "g_a", "g_b")
    assert read_dataset(cohort, input="patient_id,n0,n1").columns == ("patient_id", "n0", "n1")
    assert read_dataset(cohort, input="n0").modality == "table"


def test_the_order_of_columns_changes_neither_content_nor_view(cohort: Path, tmp_path: Path) -> None:
    other = table(tmp_path / "other.csv", patients(120), [HEADER[0], *reversed(HEADER[1:])])
    one, two = read_dataset(cohort), read_dataset(other)
    contract = TableInput(columns=columns_of([item.cells for item in one.items]))
    np.testing.assert_array_equal(TABLE.read(one[5], contract).view, TABLE.read(two[5], contract).view)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"g_a": "inf"}, "infinite"),
        ({"g_a": 7}, "constant-columns"),
        ({"g_a": "NaN"}, "missing-cells"),
    ],
)
def test_what_is_odd_about_columns_is_told(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    rows = patients(40)
    odd = rows[:1] if code == "infinite" else rows
    data = read_dataset(table(tmp_path / "t.csv", [row | change if row in odd else row for row in rows]))
    source = suited("mlp", data)
    target = prepare(data, source.card.input, seed=0, progress=Silent())
    (found,) = [finding for finding in target.findings if finding.code == code]
    assert "g_a" in found.message
    assert code != "infinite" or found.items == ("line 2",)
    for part in target.parts.values():
        views = part.batches.evaluation(range(len(part))).numpy()
        assert not np.isinf(views).any()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,label\n" + "".join(f"a{i},x\n" for i in range(12)), "only name their rows"),
        ("a,b,c\n1,2,3\n", "no column is plainly the label"),
        ("a,b,label\n", "a header .* and no rows"),
    ],
)
def test_bad_tables_are_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        read_dataset(path)


# -- what a network sees --------------------------------------------------------------------------------------------


def test_numbers_are_standardised_and_categories_placed() -> None:
    rows: list[dict[str, Cell]] = [
        {"x": 1.0, "c": "b"},
        {"x": 3.0, "c": "a"},
        {"x": None, "c": None},
        {"x": float("inf"), "c": "a"},
    ]
    x, c = columns_of(rows)
    assert (x.mean, x.std) == (2.0, 1.0)
    assert c.levels == ("a", "b")
    assert columns_of([{"x": 5.0}, {"x": 5.0}]) == (Column(name="x", mean=5.0, std=1.0),)
    (huge,) = columns_of([{"x": 1e300}, {"x": -1e300}])
    assert huge.std == pytest.approx(1e300)


def test_no_item_but_those_of_training_describes_the_columns(cohort: Path) -> None:
    data = read_dataset(cohort)
    source = suited("mlp", data, seed=4)
    target = prepare(data, source.card.input, seed=4, progress=Silent())
    mine = [item.id for item in training_items(data, 4)]
    assert sorted(mine) == sorted(item.id for item in target.parts["train"].dataset.items)
    held_out = {item.id for role in ("validation", "test") for item in target.parts[role].dataset.items}
    declared = data.with_items([replace(i, split="test" if i.id in held_out else "train") for i in data.items])
    poisoned = declared.with_items(
        [
            replace(i, input=tuple(1e6 if isinstance(c, float) else "poison" for c in i.input))  # type: ignore[union-attr]
            if i.id in held_out
            else i
            for i in declared.items
        ]
    )
    twice = [suited("mlp", one, 4).card.input for one in (declared.where(lambda i: i.split == "train"), poisoned)]
    assert all("poison" not in column.levels for column in twice[1].columns)  # type: ignore[union-attr]
    assert max(abs(column.mean) for column in twice[1].columns) < 10  # type: ignore[union-attr]


# -- fitting --------------------------------------------------------------------------------------------------------


def test_a_run_without_transfer_says_so(finished: Run) -> None:
    metrics = finished.metrics
    assert metrics["task"] == "table-classification"
    assert metrics["method"] == "scratch"
    assert metrics["test"]["accuracy"]["value"] > 0.7
    assert metrics["verdict"]["transfer"] == "neutral"
    assert metrics["verdict"]["words"].startswith("Nothing was transferred")
    assert {"columns", "random_network", "no_transfer"} <= set(metrics["baselines"])
    assert "probe" not in metrics["baselines"]
    assert ("boosted trees" in metrics["baselines"]) == boosting.installed()
    assert "network with random weights" in (finished.model / "card.md").read_text()


@pytest.mark.parametrize("network", ["resnet", "ft-transformer"])
def test_other_networks_for_tables(cohort: Path, tmp_path: Path, network: str) -> None:
    run = fit(cohort, source=network, out=tmp_path / "r", options=FAST, track=(), verdict="none")
    assert run.metrics["source"] == network
    assert run.metrics["test"]["accuracy"]["value"] > 0.6


def test_predict_takes_tables_and_rows(finished: Run, tmp_path: Path) -> None:
    rows = patients(20, seed=5)
    answers = predict(finished.path, table(tmp_path / "new.csv", rows, HEADER[:-1]))
    assert len(answers) == 20
    assert np.mean([a.label == row["label"] for a, row in zip(answers, rows, strict=True)]) > 0.7
    cells: dict[str, Any] = {"n0": None, "n1": 9.0, "c0": "red", "g_a": 0.0, "g_b": 0.0}
    (alone,) = predict(finished.path, cells)
    assert alone.label == "sick"
    violet: dict[str, Any] = {**cells, "c0": "violet"}
    assert predict(finished.path, violet)[0].scores["sick"] > 0.0


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_predict_names_columns_that_are_missing_or_too_many(finished: Run, tmp_path: Path) -> None:
    heard = Heard()
    rows = [row | {"more": 1} for row in patients(4)]
    few = table(tmp_path / "few.csv", rows, ["n0", "n1", "c0", "more"])
    assert len(predict(finished.path, few, progress=heard)) == 4
    (said,) = heard.said
    assert "3 of 5 columns are shared" in said
    assert "g_a, g_b" in said
    assert "Passed over: more" in said
    with pytest.raises(DataError, match="has none of the 5 columns"):
        predict(finished.path, table(tmp_path / "none.csv", rows, ["more"]))
    with pytest.raises(DataError, match=r"line 2: column 'n1' holds 'tall'. Expected a number"):
        predict(finished.path, table(tmp_path / "words.csv", [row | {"n1": "tall"} for row in rows]))
    with pytest.raises(DataError, match="does not exist"):
        predict(finished.path, tmp_path / "absent.csv")


def test_a_cohort_measured_on_another_scale_is_judged_by_itself(finished: Run, tmp_path: Path) -> None:
    other = table(tmp_path / "other.csv", patients(60, seed=9, shift=40.0, scale=6.0))
    by_source, by_cohort = (evaluate(finished.path, other, standardise=how) for how in ("source", "per-cohort"))
    accuracy = [found["test"]["accuracy"]["value"] for found in (by_source, by_cohort)]
    assert accuracy[1] > max(0.7, accuracy[0])
    assert "standardised by themselves" in by_cohort["items"]


def test_a_run_on_one_cohort_is_the_source_of_the_next(finished: Run, tmp_path: Path) -> None:
    rows = [row | {"more": 1 + i % 3} for i, row in enumerate(patients(60, seed=2, shift=40.0, scale=6.0))]
    other = table(tmp_path / "b.csv", rows, ["n0", "n1", "c0", "g_a", "more", "label"])
    run = fit(
        other,
        source=str(finished.path),
        method="lp-ft",
        out=tmp_path / "b",
        options={**FAST, "standardise": "per-cohort"},
        track=(),
    )
    assert run.metrics["test"]["accuracy"]["value"] > 0.7
    assert not run.metrics["verdict"]["words"].startswith("Nothing was transferred")
    assert "probe" in run.metrics["baselines"]
    (overlap,) = [w["message"] for w in run.metrics["warnings"] if w["code"] == "columns-differ"]
    assert overlap.startswith("4 of 5 columns are shared")
    assert predict(run.path, {"n0": 40.0, "n1": 70.0, "c0": "red", "g_a": 0.0})[0].label == "sick"


def test_the_same_seed_gives_the_same_run(cohort: Path, finished: Run, tmp_path: Path) -> None:
    again = fit(cohort, source="mlp", out=tmp_path / "a", options=FAST, track=())
    assert {k: v for k, v in again.metrics.items() if k != "cost"} == {
        k: v for k, v in finished.metrics.items() if k != "cost"
    }


def test_numbers_of_a_row_and_a_dataset_made_in_python(cohort: Path, tmp_path: Path) -> None:
    data = read_dataset(cohort, input="n0,c0,g_a", label="n1")
    assert data.kind == "number"
    named = Dataset("mine", data.items, "table", "number", ("n1",))
    run = fit(named, source=tiny_table_source(), method="probe", out=tmp_path / "r", track=(), verdict="none")
    assert run.metrics["task"] == "table-regression"


def test_a_source_of_pictures_refuses_tables(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"takes items of the modality image, and cohort.csv holds rows of a table"):
        fit(cohort, source=tiny_source(), out=tmp_path / "r")


@pytest.mark.parametrize(
    ("kind", "targets", "outputs"),
    [
        ("single", np.arange(60) % 2, 2),
        ("single", np.arange(60) % 3, 3),
        ("multi", np.stack([np.arange(60) % 2, np.arange(60) % 3 == 0], 1).astype(float), 2),
        ("number", (np.arange(60) % 3 - 1.0)[:, None], 1),
    ],
)
def test_boosted_trees_answer_as_a_head_does(kind: Any, targets: np.ndarray, outputs: int) -> None:
    pytest.importorskip("lightgbm", reason="needs headstart[tables]")
    features = np.stack([np.arange(60) % 2, np.arange(60) % 3, np.zeros(60)], 1).astype(np.float32)
    raw = boosting.fit_boosted(features, targets, kind, outputs)(features)
    assert raw.shape == (60, outputs)
    if kind == "single":
        assert (raw.argmax(1) == targets).all()
    elif kind == "multi":
        assert ((raw > 0) == (targets > 0.5)).all()
    else:
        np.testing.assert_allclose(raw, targets, atol=0.1)
