from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import huggingface_hub.constants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.core.errors import ConfigError, DataError, MissingExtra, OfflineError, UserError
from headstart.data.dataset import SPLIT_NAMES, Dataset, Item, LabelKind
from headstart.data.read import read_dataset, read_inputs
from headstart.data.readers import READERS
from headstart.data.readers.base import Reader
from headstart.data.readers.table import infer_kind

ROWS = "image,label\na.jpg,cat\nb.jpg,dog\n"


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), "red").save(path)
    return path


def table(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def labels(dataset: Dataset) -> dict[str, Any]:
    return {item.id: item.label for item in dataset.items}


# -- folders --------------------------------------------------------------------------------------------------------


def test_a_flat_folder_has_a_class_a_folder(tmp_path: Path) -> None:
    for name in ("cat/a.jpg", "cat/deep/er/b.PNG", "dög/ü.jpg", "dog/" + "n" * 200 + ".jpg"):
        photo(tmp_path / name)
    data = read_dataset(tmp_path)
    assert labels(data) == {
        "cat/a.jpg": "cat",
        "cat/deep/er/b.PNG": "cat",
        "dog/" + "n" * 200 + ".jpg": "dog",
        "dög/ü.jpg": "dög",
    }
    assert data.kind == "class"
    assert data.splits == frozenset()
    assert data.findings == ()
    assert data.name == tmp_path.name
    assert read_dataset(data) is data


@pytest.mark.parametrize("name", sorted(SPLIT_NAMES))
def test_split_folders_go_by_every_name(tmp_path: Path, name: str) -> None:
    photo(tmp_path / name.upper() / "cat" / "a.jpg")
    (item,) = read_dataset(str(tmp_path)).items
    assert (item.split, item.label) == (SPLIT_NAMES[name], "cat")


def test_a_class_may_be_named_like_a_split(tmp_path: Path) -> None:
    for name in ("test/a.jpg", "control/b.jpg"):
        photo(tmp_path / name)
    data = read_dataset(tmp_path)
    assert data.classes == ("control", "test")
    assert data.splits == frozenset()


def test_split_folders_without_class_folders_are_refused(tmp_path: Path) -> None:
    for name in ("train/a.jpg", "test/b.jpg"):
        photo(tmp_path / name)
    with pytest.raises(DataError, match=r"split folders \(test, train\) with images directly in them"):
        read_dataset(tmp_path)


def test_names_that_are_no_unicode_can_be_printed(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        Path(os.fsdecode(folder)).mkdir()
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    photo(Path(os.fsdecode(folder + b"/\xff.jpg")))
    data = read_dataset(tmp_path)
    (item,) = data.items
    assert (item.id, item.label) == (r"caf\udce9/\udcff.jpg", r"caf\udce9")
    assert item.content()
    (unlabelled,) = read_inputs([tmp_path]).items
    unlabelled.id.encode()
    lone = table(tmp_path, '{"image": "\\ud800.jpg", "label": "\\ud800"}', "t.jsonl")
    (row,) = read_dataset(lone).items
    assert (row.id, row.label) == (r"\ud800.jpg", r"\ud800")
    with pytest.raises(DataError, match=r"ud800\.jpg: "):
        row.content()


def test_split_folders_beside_class_folders_are_refused(tmp_path: Path) -> None:
    for name in ("train/cat/a.jpg", "dog/b.jpg"):
        photo(tmp_path / name)
    with pytest.raises(DataError, match=r"split folders \(train\) beside other folders of images \(dog\)"):
        read_dataset(tmp_path)


def test_what_is_no_image_is_left_out_and_counted(tmp_path: Path) -> None:
    for name in ("cat/a.jpg", "dog/b.jpg", ".hidden/c.jpg", "cat/.d.jpg", "stray.jpg"):
        photo(tmp_path / name)
    for name in ("cat/notes.txt", "labels.csv", "README.md", "cat/Thumbs.db", ".DS_Store"):
        (tmp_path / name).write_text("x")
    data = read_dataset(tmp_path)
    assert len(data) == 2
    assert {f.code: f.items for f in data.findings} == {
        "stray-files": ("stray.jpg",),
        "ignored-files": ("labels.csv", "cat/notes.txt"),
    }


def test_an_empty_class_folder_is_an_error_in_train_and_a_warning_elsewhere(tmp_path: Path) -> None:
    for name in ("train/cat/a.jpg", "test/cat/b.jpg"):
        photo(tmp_path / name)
    (tmp_path / "train" / "dog").mkdir()
    (tmp_path / "test" / "hen").mkdir()
    assert [(f.level, f.code, f.items) for f in read_dataset(tmp_path).findings] == [
        ("warning", "empty-folder", ("hen",)),
        ("error", "empty-folder", ("dog",)),
    ]


def test_symlink_loops_end_and_dangling_links_are_items(tmp_path: Path) -> None:
    photo(tmp_path / "cat/a.jpg")
    (tmp_path / "cat/self").symlink_to(tmp_path / "cat")
    (tmp_path / "cat/up").symlink_to(tmp_path)
    (tmp_path / "cat/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "cat/folder.jpg").mkdir()
    assert [item.id for item in read_dataset(tmp_path).items] == ["cat/a.jpg", "cat/gone.jpg"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "is an empty folder: it holds no folders and no files to learn from"),
        (["cat/notes.md"], r"is an empty folder: it holds 1 folder\(s\) without images, recordings or texts \(cat\)"),
        (["a.jpg"], r"the 1 image\(s\) in .* lie in no class folder"),
    ],
)
def test_a_folder_without_labelled_images_says_what_it_holds(tmp_path: Path, files: list[str], says: str) -> None:
    for name in files:
        photo(tmp_path / name) if name.endswith("jpg") else (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match=says):
        read_dataset(tmp_path)


def test_options_of_tables_do_not_fit_a_folder(tmp_path: Path) -> None:
    photo(tmp_path / "cat/a.jpg")
    with pytest.raises(ConfigError, match="--label"):
        read_dataset(tmp_path, label="x")
    with pytest.raises(ConfigError, match="number"):
        read_dataset(tmp_path, kind="number")


def test_data_of_no_form_names_the_forms_and_near_names(tmp_path: Path) -> None:
    photo(tmp_path / "photos/cat/a.jpg")
    with pytest.raises(DataError, match=r"photoz does not exist. Did you mean .*photos\?.*\.csv"):
        read_dataset(tmp_path / "photoz")
    with pytest.raises(DataError, match="is a single image"):
        read_dataset(tmp_path / "photos/cat/a.jpg")
    with pytest.raises(DataError, match=r"no form that is known \(\.md\)"):
        read_dataset(table(tmp_path, "x", "x.md"))
    with pytest.raises(DataError, match="does not exist"):
        read_dataset(tmp_path / "no" / "where")


# -- inputs without labels ------------------------------------------------------------------------------------------


def test_inputs_are_files_and_folders(tmp_path: Path) -> None:
    for name in ("a/x.jpg", "a/b/y.png", "z.jpg", "a/.h.jpg"):
        photo(tmp_path / name)
    odd = table(tmp_path, "x", "odd.xyz")
    data = read_inputs([tmp_path / "z.jpg", tmp_path / "a", odd, tmp_path / "z.jpg"])
    assert [Path(item.id).name for item in data.items] == ["z.jpg", "x.jpg", "y.png", "odd.xyz"]
    assert (data.kind, set(data.labels)) == ("none", {None})


def test_inputs_that_are_not_there_are_named(tmp_path: Path) -> None:
    photo(tmp_path / "new.jpg")
    with pytest.raises(DataError, match=r"nwe\.jpg does not exist. Did you mean .*new\.jpg"):
        read_inputs([tmp_path / "nwe.jpg"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"there is no image in .*empty"):
        read_inputs([tmp_path / "empty"])
    with pytest.raises(DataError, match="empty list"):
        read_inputs([])


# -- tables ---------------------------------------------------------------------------------------------------------


def write(folder: Path, form: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"t.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    else:
        mark = "," if form == "csv" else "\t"
        lines = [mark.join(rows[0]), *(mark.join("" if v is None else str(v) for v in row.values()) for row in rows)]
        path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_every_form_of_table_reads_the_same(tmp_path: Path, form: str) -> None:
    rows: list[dict[str, Any]] = [
        {"who": "p1", "image": "x/a.jpg", "label": "cat", "split": "Train", "group": "p1", "domain": "night"},
        {"who": "p2", "image": "b.jpg", "label": "dog", "split": "dev", "group": None, "domain": None},
        {"who": "p3", "image": "c.jpg", "label": None, "split": None, "group": "p3", "domain": "day"},
    ]
    data = read_dataset(write(tmp_path, form, rows))
    assert [(i.id, i.input, i.label, i.split, i.group, i.domain) for i in data.items] == [
        ("x/a.jpg", tmp_path / "x/a.jpg", "cat", "train", "p1", "night"),
        ("b.jpg", tmp_path / "b.jpg", "dog", "validation", None, None),
        ("c.jpg", tmp_path / "c.jpg", None, None, "p3", "day"),
    ]


def test_images_inside_a_parquet_file(tmp_path: Path) -> None:
    content = photo(tmp_path / "a.png").read_bytes()
    path = write(
        tmp_path,
        "parquet",
        [
            {"image": {"bytes": content, "path": None}, "label": 3},
            {"image": {"bytes": content[::-1], "path": None}, "label": 4},
        ],
    )
    data = read_dataset(path)
    assert [(i.id, i.input, i.label) for i in data.items] == [("row 0", content, "3"), ("row 1", content[::-1], "4")]


def test_columns_may_be_named(tmp_path: Path) -> None:
    text = "left,right,cls,who,part\na.jpg,b.jpg,cat,p1,test\nc.jpg,d.jpg,dog,p2,train\n"
    data = read_dataset(table(tmp_path, text), input="right", label="cls", group="who", split="part")
    assert [(i.id, i.label, i.group, i.split) for i in data.items] == [
        ("b.jpg", "cat", "p1", "test"),
        ("d.jpg", "dog", "p2", "train"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        ("\ufeff" + ROWS).encode(),
        ROWS.encode("utf-16"),
        ROWS.encode("utf-32"),
        ROWS.replace("\n", "\r\n").encode(),
        ROWS.replace(",", ";").encode(),
        ROWS.replace(",", "\t").encode(),
        ROWS.replace("a.jpg", '"a.jpg"').encode(),
        (ROWS + "\n\n").encode(),
    ],
)
def test_dialects_and_encodings(tmp_path: Path, text: bytes) -> None:
    assert labels(read_dataset(table(tmp_path, text))) == {"a.jpg": "cat", "b.jpg": "dog"}


def test_a_table_in_an_older_encoding_is_read_and_says_so(tmp_path: Path) -> None:
    data = read_dataset(table(tmp_path, (ROWS + "c.jpg,naïveté\n").encode("cp1252")))
    assert labels(data)["c.jpg"] == "naïveté"
    assert [(f.level, f.code) for f in data.findings] == [("warning", "encoding")]
    assert labels(read_dataset(table(tmp_path, (ROWS + "c.jpg,猫和狗\n").encode("gb18030"))))["c.jpg"] == "猫和狗"


def test_paths_are_relative_to_the_table_and_may_be_absolute(tmp_path: Path) -> None:
    elsewhere = photo(tmp_path / "elsewhere/a.jpg")
    text = f"file,label\nsub\\b.jpg,x\n{elsewhere},y\n./c.jpg,z\n"
    data = read_dataset(table(tmp_path, text))
    assert [item.input for item in data.items] == [tmp_path / "sub/b.jpg", elsewhere, tmp_path / "c.jpg"]


def test_rows_that_repeat_are_left_out_and_ids_stay_unique(tmp_path: Path) -> None:
    data = read_dataset(table(tmp_path, ROWS + "a.jpg,cat\na.jpg,dog\n"))
    assert labels(data) == {"a.jpg (line 2)": "cat", "b.jpg": "dog", "a.jpg (line 5)": "dog"}
    assert [(f.code, f.items) for f in data.findings] == [("repeated-rows", ("line 4",))]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "", r"t\.csv is empty"),
        ("t.csv", "  \n\n", r"t\.csv is empty"),
        ("t.csv", "image,label\n", r"header \(image, label\) and no rows"),
        ("t.csv", ROWS + "c.jpg\n", r"line 4 has 1 fields where the header has 2 \(image, label\)"),
        ("t.csv", ROWS + "c.jpg,x,y\n", "line 4 has 3 fields"),
        ("t.csv", ROWS + 'c.jpg,"x\n', "line 4 is broken"),
        ("t.csv", "image,image\na.jpg,b.jpg\n", "2 columns named 'image'"),
        ("t.csv", "a,b\nx,y\n", r"no column is plainly the label. The columns are a, b; name it with --label"),
        ("t.csv", "a,b,label\nx.jpg,y.jpg,z\n", "columns a, b all hold"),
        ("t.csv", "image,a,b\nx.jpg,y,z\n", "no column is plainly the label. The columns are image, a, b"),
        ("t.csv", "image,label\n../x.jpg,y\n", r"line 2: the path \.\./x\.jpg leads out of the table's folder"),
        ("t.csv", "image,label\na/../../x.jpg,y\n", "leads out"),
        ("t.csv", "image,label\na.jpg,x\n,y\n", "line 3: column 'image' holds ''. Expected the path"),
        ("t.csv", "image,label\na.jpg,x\nb\0.jpg,y\n", "line 3: column 'image' holds"),
        ("t.csv", "image,label,split\na.jpg,x,tranie\n", "line 2: unknown split 'tranie'. Did you mean 'train'"),
        ("t.csv", ROWS.encode() + b"c.jpg,caf\x81\n", r"line 4 is not UTF-8 text \(byte 0x81 at offset 41\)"),
        ("t.csv", b"\xff\xfea", "line 1 is not UTF-16 text"),
        ("t.csv", ROWS + 'c.jpg,"x\n' + ROWS, "line 4 is broken: .*a quote that is opened must be closed"),
        ("t.csv", ROWS.encode("utf-16-le"), "no UTF-8 text: 50% of its bytes are zero, as in UTF-16"),
        ("t.jsonl", "", "is empty"),
        ("t.jsonl", '{"image": "a.jpg", "label": "x"}\n{"image": \n', "line 2 is not JSON"),
        ("t.jsonl", '{"image": "a.jpg", "label": "x"}\n\n[1]\n', "line 3 is a JSON list"),
        ("t.jsonl", '{"image": "a.jpg", "label": "x"}\n{"image": 3, "label": "x"}\n', "line 2: column 'image' holds 3"),
        ("t.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("t.parquet", "no parquet", "not a readable Parquet file"),
        ("t.parquet", "", "not a readable Parquet file"),
    ],
)
def test_a_broken_table_names_the_place(tmp_path: Path, name: str, text: str | bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_dataset(table(tmp_path, text, name))


@pytest.mark.parametrize("option", ["input", "label", "group", "split"])
def test_a_column_that_is_not_there_names_those_that_are(tmp_path: Path, option: str) -> None:
    path = table(tmp_path, ROWS)
    named: dict[str, Any] = {option: "labl"}
    with pytest.raises(
        DataError, match=rf"unknown column 'labl'. Did you mean 'label'\? Known: image, label. .*--{option}"
    ):
        read_dataset(path, **named)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(["csv", "tsv", "jsonl", "parquet"]),
    body=st.one_of(
        st.binary(max_size=80),
        st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")),
        st.text(alphabet='ab.jpg,;"|\n\t{}:[]1', max_size=120).map(lambda text: b"image,label\n" + text.encode()),
    ),
)
def test_any_table_is_read_or_refused_with_one_error(tmp_path: Path, form: str, body: bytes) -> None:
    try:
        data = read_dataset(table(tmp_path, body, f"fuzz.{form}"))
    except UserError as error:
        assert str(error).strip()  # noqa: PT017
    else:
        assert len({item.id for item in data.items}) == len(data)


# -- kinds of labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "doubtful"),
    [
        (["cat", "dog", ""], "class", False),
        (["0", "1", "1"], "class", False),
        ([str(n % 20) for n in range(99)], "class", False),
        ([str(n % 50) for n in range(500)], "class", True),
        ([str(n * 7) for n in range(50)], "number", True),
        (list(range(30)), "number", True),
        (["1.5", "2", ""], "number", False),
        (["1", "2", "nan"], "number", False),
        ([True, False], "class", False),
        (["a|b", "a", ""], "multilabel", True),
        ([["a"], []], "multilabel", False),
        (["", None], "class", False),
    ],
)
def test_kinds_are_inferred(values: list[Any], kind: LabelKind, doubtful: bool) -> None:
    assert infer_kind(values)[0] == kind
    assert bool(infer_kind(values)[1]) == doubtful


def test_a_doubtful_kind_says_how_it_was_read_and_how_to_override(tmp_path: Path) -> None:
    rows = "image,age\n" + "".join(f"{n}.jpg,{n * 3}\n" for n in range(40))
    path = table(tmp_path, rows)
    data = read_dataset(path)
    assert (data.kind, data.targets, data[2].label) == ("number", ("age",), 6.0)
    (finding,) = data.findings
    assert "age: 40 different whole numbers were read as a quantity. Say otherwise with --kind class" in finding.message
    as_class = read_dataset(path, kind="class")
    assert (as_class.kind, as_class.findings, as_class[2].label) == ("class", (), "6")


def test_several_numbers(tmp_path: Path) -> None:
    path = table(tmp_path, "image,x,y\na.jpg,1.5,2\nb.jpg,3,\nc.jpg,nan,4\n")
    data = read_dataset(path, label="x, y")
    assert (data.kind, data.targets, data.classes) == ("number", ("x", "y"), ("x", "y"))
    assert data.labels[:2] == [(1.5, 2.0), None]
    assert repr(data.labels[2]) == "(nan, 4.0)"
    with pytest.raises(DataError, match="--label names 2: x, y"):
        read_dataset(path, label="x,y", kind="class")


def test_a_number_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: column 'x' holds 'tall' where a number was expected"):
        read_dataset(table(tmp_path, "image,x\na.jpg,1.5\nb.jpg,tall\n"), kind="number")


def test_several_labels_by_mark_by_list_and_by_column(tmp_path: Path) -> None:
    marked = read_dataset(table(tmp_path, "image,label\na.jpg,x| y |x\nb.jpg,\n"))
    assert (marked.kind, marked.labels, marked.classes) == ("multilabel", [("x", "y"), ()], ("x", "y"))
    listed = read_dataset(table(tmp_path, 'image;label\na.jpg;"[""x"", ""y""]"\nb.jpg;[]\n'))
    assert (listed.kind, listed.labels) == ("multilabel", [("x", "y"), ()])
    rows = '{"image": "a.jpg", "label": ["x", "y"]}\n{"image": "b.jpg", "label": null}\n'
    assert read_dataset(table(tmp_path, rows, "t.jsonl")).labels == [("x", "y"), None]
    columns = table(tmp_path, "image,x,y\na.jpg,1,1\nb.jpg,0,true\n")
    flags = read_dataset(columns, label="x,y")
    assert (flags.kind, flags.labels, [f.code for f in flags.findings]) == (
        "multilabel",
        [("x", "y"), ("y",)],
        ["label-kind"],
    )
    with pytest.raises(DataError, match="line 2: column 'x' holds '7' where 0 or 1 was expected"):
        read_dataset(table(tmp_path, "image,x,y\na.jpg,7,1\n"), label="x,y", kind="multilabel")


def test_labels_may_be_left_out(tmp_path: Path) -> None:
    data = read_dataset(table(tmp_path, ROWS), kind="none")
    assert (data.kind, data.labels) == ("none", [None, None])


# -- the hub --------------------------------------------------------------------------------------------------------


class _ClassLabel:
    names = ("cat", "dog")

    def int2str(self, value: int) -> str:
        return self.names[value]


class _Image:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class _Table:
    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.features = {"image": _Image(), "label": _ClassLabel()}
        self.rows = rows

    def cast_column(self, column: str, feature: _Image) -> _Table:
        assert (column, feature.decode) == ("image", False)
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A stand-in for `datasets` that knows one data set."""
    module: Any = types.ModuleType("datasets")

    def load_dataset(name: str, config: str | None) -> dict[str, _Table]:
        if name != "pets":
            raise FileNotFoundError(f"no data set {name}\nlong story")
        row = {"image": {"bytes": str(config).encode(), "path": None}, "label": 1}
        return {"train": _Table([row, {**row, "label": -1}]), "validation": _Table([{**row, "label": 0}])}

    module.ClassLabel, module.Image, module.load_dataset = _ClassLabel, _Image, load_dataset
    module.disable_progress_bars = lambda: None
    monkeypatch.setitem(sys.modules, "datasets", module)
    return cast(types.ModuleType, module)


def test_a_hub_data_set(library: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # as for a copy in the cache
    data = read_dataset("hf:pets@small")
    assert [(i.id, i.input, i.label, i.split) for i in data.items] == [
        ("train[0]", b"small", "dog", "train"),
        ("train[1]", b"small", None, "train"),
        ("validation[0]", b"small", "cat", "validation"),
    ]


def test_the_hub_offline_is_one_line_at_once(library: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OfflineError, match=r"^hf:pets cannot be fetched: .*127\.0\.0\.1.*folder or table[^\n]*$"):
        read_dataset("hf:pets")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineError, match="HF_HUB_OFFLINE is set and it is not in the cache"):
        read_dataset("hf:other")


def test_a_hub_data_set_that_is_not_there(
    library: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy").mkdir()
    with pytest.raises(DataError, match=r"hf:copy cannot be loaded: no data set copy\. Check"):
        read_dataset("hf:copy")
    with pytest.raises(DataError, match="names no data set"):
        read_dataset("hf:")


def test_the_hub_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'headstart\[hub\]'"):
        read_dataset("hf:pets")


def test_every_registered_reader_is_one() -> None:
    assert set(READERS) >= {"folder", "table", "hub"}
    for name in READERS:
        assert issubclass(READERS[name], Reader)
        assert READERS[name].form


def test_texts_pairs_and_columns_have_content_that_tells_them_apart() -> None:
    assert Item("a", "naïve 中文").content() == "naïve 中文".encode()
    assert Item("a", "\ud800").content() == b"\xed\xa0\x80"  # JSON may hold half a character
    contents = [Item("a", parts).content() for parts in [("a", "b"), ("a,b",), ("a", "b", ""), ('a","b',), ("", "ab")]]
    assert len(set(contents)) == len(contents)
    assert json.loads(Item("a", ("中", 1.5, None)).content()) == ["中", 1.5, None]


def test_what_the_classes_are_of_each_kind_of_label() -> None:
    tags = Dataset("t", (Item("a", ("x", "y"), ("O", "B-PER")), Item("b", ("z",), None)), "text", "tags")
    assert tags.classes == ("B-PER", "O")
    assert Dataset("q", (Item("a", ("why?", "so"), ((0, "so"),)),), "text", "answers").classes == ()


def test_data_without_labels_is_read_where_labels_are_not_needed(tmp_path: Path) -> None:
    lines = tmp_path / "texts.txt"
    lines.write_bytes("first\n\n  second text \nthird".encode("utf-8-sig"))
    found = read_dataset(lines, labelled=False)
    assert [(item.id, item.input) for item in found.items] == [
        ("line 1", "first"),
        ("line 3", "second text"),
        ("line 4", "third"),
    ]
    assert (found.kind, found.modality) == ("none", "text")
    table = tmp_path / "t.csv"
    table.write_text("text,source\na good long film,web\na bad long book,web\n")
    found = read_dataset(table, labelled=False, input="text")
    assert (found.kind, found.labels) == ("none", [None, None])
    cells = tmp_path / "c.csv"
    cells.write_text("a,b\n1,red\n2,blue\n3,red\n4,red\n")
    found = read_dataset(cells, labelled=False)
    assert (found.kind, found.modality, found.columns) == ("none", "table", ("a", "b"))
    cells.write_text("a,b,label\n1,2.5,x\n2,3.5,y\n")
    found = read_dataset(cells, labelled=False)
    assert (found.kind, found.columns, found.labels) == ("class", ("a", "b"), ["x", "y"])
