"""AnnData files, written here as anndata lays them out (its format 0.1.0), read without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.cli import app as cli
from headstart.core.errors import DataError
from headstart.data.read import read_dataset, read_inputs
from headstart.data.readers import h5ad

h5py = pytest.importorskip("h5py", reason="needs headstart[h5ad]")

CELLS, GENES = 48, [f"GENE{i}" for i in range(6)]


def expression() -> np.ndarray:
    """(CELLS, genes) counts, mostly zero; of cells with an odd number the first gene is high."""
    counts = np.random.default_rng(0).poisson(0.5, (CELLS, len(GENES))).astype(np.float32)
    counts[1::2, 0] += 8
    return counts


def texts(group: Any, name: str, values: Sequence[str]) -> None:
    group.create_dataset(name, data=list(values), dtype=h5py.string_dtype())


def category(group: Any, name: str, codes: Sequence[int], levels: Sequence[str]) -> None:
    made = group.create_group(name)
    made.create_dataset("codes", data=np.array(codes, np.int8))
    texts(made, "categories", levels)


def sparse(file: Any, matrix: np.ndarray, form: str) -> None:
    """X by cell (csr_matrix) or by gene (csc_matrix)."""
    rows = matrix if form == "csr_matrix" else matrix.T
    group = file.create_group("X")
    group.attrs["encoding-type"] = form
    group.create_dataset("indptr", data=np.concatenate([[0], np.cumsum((rows != 0).sum(1))]))
    group.create_dataset("indices", data=np.nonzero(rows)[1].astype(np.int32))
    group.create_dataset("data", data=rows[rows != 0])


def write(path: Path, form: str = "dense", matrix: np.ndarray | None = None, change: Any = None) -> Path:
    """A file of CELLS cells, their type, donor, age and batch in obs. change: what is done to the open file last."""
    matrix = expression() if matrix is None else matrix
    with h5py.File(path, "w") as file:
        if form == "dense":
            file.create_dataset("X", data=matrix)
        else:
            sparse(file, matrix, form)
        obs = file.create_group("obs")
        obs.attrs["_index"] = "barcode"
        obs.attrs["column-order"] = ["cell_type", "donor", "age", "batch"]
        texts(obs, "barcode", [f"cell-{i}" for i in range(CELLS)])
        category(obs, "cell_type", [i % 2 for i in range(CELLS)], ["B", "T"])
        texts(obs, "donor", [f"d{i % 8}" for i in range(CELLS)])
        obs.create_dataset("age", data=np.linspace(20, 60, CELLS))
        batch = obs.create_group("batch")
        batch.create_dataset("values", data=np.arange(CELLS) // 24)
        batch.create_dataset("mask", data=np.arange(CELLS) == 5)
        var = file.create_group("var")
        var.attrs["_index"] = "_index"
        texts(var, "_index", GENES)
        if change is not None:
            change(file)
    return path


@pytest.mark.parametrize("form", ["dense", "csr_matrix", "csc_matrix"])
def test_cells_are_items_and_genes_their_columns(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h5ad, "_BLOCK", 7)  # so that blocks end within rows
    data = read_dataset(write(tmp_path / "a.h5ad", form), label="cell_type", group="donor", slice="batch")
    assert (data.modality, data.kind, data.classes) == ("table", "class", ("B", "T"))
    assert data.columns == tuple(GENES)
    np.testing.assert_array_equal(np.array([item.input for item in data.items]), expression())
    assert (data[9].id, data[9].label, data[9].group, data[9].slice) == ("cell-9", "T", "d1", "0")
    assert data[5].slice is None


def test_numbers_and_missing_values(tmp_path: Path) -> None:
    counts = expression()
    counts[2, 3], counts[4, 1] = np.nan, np.inf
    data = read_dataset(write(tmp_path / "a.h5ad", "csr_matrix", counts), label="age", input="GENE[13]*,GENE0")
    assert (data.kind, data.columns) == ("number", ("GENE1", "GENE3", "GENE0"))
    assert data[2].cells["GENE3"] is None
    assert data[4].cells["GENE1"] == np.inf


def test_categories_as_older_files_keep_them(tmp_path: Path) -> None:
    def older(file: Any) -> None:
        del file["obs/cell_type"]
        texts(file["obs"].create_group("__categories"), "cell_type", ["B", "T"])
        codes = file["obs"].create_dataset("cell_type", data=np.array([-1, 1] * (CELLS // 2), np.int8))
        codes.attrs["categories"] = file["obs/__categories/cell_type"].ref

    data = read_dataset(write(tmp_path / "a.h5ad", change=older), label="cell_type")
    assert data.labels[:4] == [None, "T", None, "T"]


def elsewhere(file: Any) -> None:
    del file["X"]
    file["X"] = h5py.ExternalLink("other.h5ad", "X")


def outside(file: Any) -> None:
    file["X/indices"][0] = len(GENES)


def twice(file: Any) -> None:
    file["var/_index"][0] = GENES[1]


def compound(file: Any) -> None:
    del file["obs"]
    file.create_dataset("obs", data=np.zeros(CELLS, dtype=[("index", "i8")]))


BAD: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "no-matrix": ("dense", lambda file: file.pop("X"), "there is no X in it"),
    "no-genes": ("dense", lambda file: file.pop("var"), "there is no var in it"),
    "another-file": ("dense", elsewhere, "X lies in another file"),
    "another-shape": ("csr_matrix", lambda file: file["X"].pop("indptr"), "there is no indptr in X"),
    "out-of-bounds": ("csr_matrix", outside, "outside its bounds"),
    "same-names": ("dense", twice, "several genes of one name (GENE1)"),
    "before-0.7": ("dense", compound, "since version 0.7"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    form, change, words = BAD[name]
    write(tmp_path / "other.h5ad")
    path = write(tmp_path / "bad.h5ad", form, change=change)
    assert cli.run(["fit", str(path), "--label", "cell_type", "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert len(told.splitlines()) == 1


def test_more_values_than_are_held_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.h5ad")
    monkeypatch.setattr(h5ad, "LARGEST", 3 * CELLS)
    with pytest.raises(DataError, match="48 cells by 6 genes, more than the 144"):
        read_dataset(path, label="cell_type")
    assert len(read_dataset(path, label="cell_type", input="GENE1,GENE2").columns) == 2


def test_a_model_of_cells_judges_new_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, run = write(tmp_path / "a.h5ad", "csc_matrix"), tmp_path / "run"
    words = ["--label", "cell_type", "--group", "donor", "--source", "mlp", "--set", "epochs=6", "--verdict", "none"]
    assert cli.run(["fit", str(path), *words, "--out", str(run)]) == 0
    capsys.readouterr()
    assert cli.run(["predict", str(run), str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    right = [row["label"] == "BT"[i % 2] for i, row in enumerate(found)]
    assert len(right) == CELLS
    assert sum(right) > 0.8 * CELLS
    assert found[3]["input"].endswith("a.h5ad cell-3")
    assert len(read_inputs([path], "table")) == CELLS
