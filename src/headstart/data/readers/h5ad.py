"""Gene expression as AnnData keeps it (.h5ad): a matrix of cells by genes, and tables that describe both.

HDF5 is read directly: of anndata itself, which brings pandas, scipy and zarr along, nothing is needed. Nothing in such
a file is executed, and links to other files are not followed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from headstart.core.errors import DataError, UserError, some
from headstart.core.extras import require
from headstart.data.dataset import Dataset, Item, printable
from headstart.data.readers import columns as find
from headstart.data.readers.base import Columns, Reader
from headstart.data.readers.cells import Cell
from headstart.data.readers.table import Measured, Row, dataset_from_rows

SUFFIX: Final = ".h5ad"
LARGEST: Final = 50_000_000
"""Values that are taken of a matrix, zeros included: every one is held, at 8 bytes a zero and 32 another number."""
_BLOCK: Final = 1 << 22
"""Values that are read at a time."""
_SINCE: Final = "Expected a file as anndata has written it since version 0.7"


class H5adReader(Reader):
    """A cell (a row of `obs`) is an item, its expression (`X`) the input, by the names of genes in `var`.

    --input names genes or patterns of genes; --label, --group, --split and --slice name columns of `obs`.
    """

    form = "an AnnData file (.h5ad) whose cells have a label"

    def accepts(self, data: str) -> bool:
        return is_h5ad(Path(data))

    def read(self, data: str, columns: Columns) -> Dataset:
        path = Path(data)
        rows, measured = _read(path, columns.input)
        return dataset_from_rows(path.name, rows, replace(columns, input=None), base=None, measured=measured)


def is_h5ad(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX and path.is_file()


def read_unlabelled(path: Path) -> Dataset:
    """All genes of a file as the inputs of its cells, whichever of them a model will ask for."""
    rows, (names, values) = _read(path, None)
    items = [Item(f"{path} {row.name}", value, columns=names) for row, value in zip(rows, values, strict=True)]
    return Dataset(path.name, tuple(items), modality="table", kind="none")


def _read(path: Path, wanted: str | None) -> tuple[list[Row], Measured]:
    """What is said of each cell, and its expression. wanted: genes, as --input names them.

    Raises DataError for what is no AnnData file, or more than LARGEST values. MissingExtra without h5py.
    """
    h5py = require("h5py", "h5ad", "reading .h5ad files")
    try:
        with h5py.File(path, "r") as file:
            genes = _index(file, "var")
            twice = [gene for gene, times in Counter(genes).items() if times > 1]
            if twice:
                raise DataError(
                    f"{path} has several genes of one name ({some(twice)}). Tell them apart (in Python: "
                    "adata.var_names_make_unique()) and write it again."
                )
            names = find.several(path.name, "input", wanted, genes, genes) if wanted not in (None, "*") else genes
            cells = _index(file, "obs")
            if len(cells) * len(names) > LARGEST:
                raise DataError(
                    f"{path} holds {len(cells)} cells by {len(names)} genes, more than the {LARGEST:,} values that are "
                    "read at once. Name fewer genes with --input (patterns such as 'MT-*', too), or write a file of "
                    "fewer cells or of the most variable genes."
                )
            described = _columns(file, len(cells))
            values = _expression(file, len(cells), genes, names)
    except UserError:
        raise
    except (
        Exception
    ) as error:  # h5py raises whatever its library says: OSError, KeyError, RuntimeError, ValueError, ...
        raise DataError(f"{path} is not a readable AnnData file: {_reason(error)}. {_SINCE}.") from None
    rows = [
        Row(printable(cell), order, {name: column[order] for name, column in described.items()})
        for order, cell in enumerate(cells)
    ]
    if not rows:
        raise DataError(f"{path} holds no cell. Expected one row of obs per cell.")
    return rows, (tuple(map(printable, names)), values)


def _reason(error: Exception) -> str:
    return printable(str(error.args[0] if error.args else error).partition("\n")[0]).strip("'\". ") or "it is damaged"


# -- obs and var ----------------------------------------------------------------------------------------------------


def _inside(group: Any, name: str) -> Any:
    """What a name stands for in this very file. Raises ValueError where that is in another one, or nowhere."""
    if name not in group:
        raise ValueError(f"there is no {name} in {group.name.strip('/') or 'it'}")
    found = group[name]
    if found.file != group.file or getattr(found, "external", None) or getattr(found, "is_virtual", False):
        raise ValueError(f"{name} lies in another file")
    return found


def _index(file: Any, table: str) -> list[str]:
    """Names of the rows of `obs` or `var`."""
    group = _inside(file, table)
    return [str(name) for name in _column(group, group.attrs["_index"])]


def _columns(file: Any, rows: int) -> dict[str, list[Any]]:
    group = _inside(file, "obs")
    found = {str(name): _column(group, name) for name in group.attrs["column-order"]}
    for name, values in found.items():
        if len(values) != rows:
            raise ValueError(f"column {name} of obs has {len(values)} rows where there are {rows} cells")
    return found


def _column(group: Any, name: str) -> list[Any]:
    """Numbers, truth values or texts of a column; None where one is missing."""
    found = _inside(group, name)
    if hasattr(found, "dtype"):
        if "categories" not in found.attrs:
            return _values(found)
        levels, codes = _values(found.file[found.attrs["categories"]]), found  # as anndata wrote it before 0.8
    elif "mask" in found:
        values = zip(_column(found, "values"), _inside(found, "mask")[:].tolist(), strict=True)
        return [None if hidden else value for value, hidden in values]
    else:
        levels, codes = _column(found, "categories"), _inside(found, "codes")
    return [None if code < 0 else levels[code] for code in codes[:].tolist()]


def _values(array: Any) -> list[Any]:
    values: list[Any] = (array.asstr() if array.dtype.kind in "OS" else array)[:].tolist()
    return values


# -- X --------------------------------------------------------------------------------------------------------------


def _expression(file: Any, cells: int, genes: Sequence[str], names: Sequence[str]) -> list[tuple[Cell, ...]]:
    """Of each cell the values of the genes in `names`, in their order."""
    found = _inside(file, "X")
    place = {gene: i for i, gene in enumerate(names)}
    to = np.array([place.get(gene, -1) for gene in genes], dtype=np.int64)
    if hasattr(found, "dtype"):
        matrix = _dense(found, cells, to, len(names))
    else:
        matrix = _sparse(found, cells, to, len(names))
    return [_row(row) for row in matrix]


def _dense(array: Any, cells: int, to: np.ndarray, width: int) -> np.ndarray:
    """(cells, width). to: (genes,) the place of each gene among those that are wanted, -1 of others."""
    if array.shape != (cells, len(to)):
        raise ValueError(f"X is of shape {array.shape} where there are {cells} cells and {len(to)} genes")
    matrix = np.zeros((cells, width), np.promote_types(array.dtype, np.float32))
    step = max(1, _BLOCK // max(1, len(to)))
    for start in range(0, cells, step):
        matrix[start : start + step, to[to >= 0]] = array[start : start + step][:, to >= 0]
    return matrix


def _sparse(group: Any, cells: int, to: np.ndarray, width: int) -> np.ndarray:
    """As `_dense`, of a matrix whose values other than zero are stored by cell (CSR) or by gene (CSC)."""
    by_cell = {"csr_matrix": True, "csc_matrix": False}[group.attrs["encoding-type"]]
    begins, minor, data = (_inside(group, name) for name in ("indptr", "indices", "data"))
    starts = begins[:]
    if len(starts) != (cells if by_cell else len(to)) + 1 or starts[-1] != len(data) or len(minor) != len(data):
        raise ValueError(f"X does not fit {cells} cells and {len(to)} genes")
    matrix = np.zeros((cells, width), np.promote_types(data.dtype, np.float32))
    for first in range(0, len(data), _BLOCK):
        inner = minor[first : first + _BLOCK]
        outer = np.searchsorted(starts, np.arange(first, first + len(inner)), side="right") - 1
        cell, gene = (outer, inner) if by_cell else (inner, outer)
        if len(inner) and (inner.min() < 0 or inner.max() >= (len(to) if by_cell else cells)):
            raise ValueError("X has values outside its bounds")
        wanted = to[gene] >= 0
        matrix[cell[wanted], to[gene[wanted]]] = data[first : first + _BLOCK][wanted]
    return matrix


def _row(row: np.ndarray) -> tuple[Cell, ...]:
    """The values of a cell, all zeros one object; what is no number is missing."""
    values: list[Cell] = [0.0] * len(row)
    known = np.flatnonzero(row)
    for place, value in zip(known.tolist(), row[known].tolist(), strict=True):
        values[place] = value if value == value else None
    return tuple(values)
