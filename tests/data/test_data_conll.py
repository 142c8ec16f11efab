from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from headstart.core.errors import ConfigError, DataError
from headstart.data.dataset import Dataset
from headstart.data.readers.base import Columns
from headstart.data.readers.conll import ConllReader

TWO = "Ada\tB-PER\nLovelace\tI-PER\nwrote\tO\n\nin\tO\nLondon\tB-LOC\n"


def read(path: Path) -> Dataset:
    reader = ConllReader()
    assert reader.accepts(str(path))
    return reader.read(str(path), Columns())


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def content(data: Dataset) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(item.input, item.label) for item in data.items]  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        TWO,
        TWO.replace("\n", "\r\n"),
        TWO.replace("\t", " "),
        TWO.replace("\t", "   "),
        TWO.replace("\t", "\tNN\t_\t"),  # what stands between is not read
        TWO.replace("\n\n", "\n\t\n \n\n"),  # as train.conll of WNUT 2017 has it
        "\n\n" + TWO.rstrip("\n"),
        "\ufeff" + TWO,
        TWO.encode("utf-16"),
        TWO.replace("\n\n", "\n\n# sent_id = 2\n# text = in London\n"),
    ],
)
def test_words_and_tags(tmp_path: Path, text: str | bytes) -> None:
    data = read(written(tmp_path / "a.conll", text))
    assert content(data) == [
        (("Ada", "Lovelace", "wrote"), ("B-PER", "I-PER", "O")),
        (("in", "London"), ("O", "B-LOC")),
    ]
    assert (data.modality, data.kind, data.findings) == ("text", "tags", ())
    assert data.classes == ("B-LOC", "B-PER", "I-PER", "O")


def test_a_word_that_begins_with_a_hash_is_no_comment(tmp_path: Path) -> None:
    data = read(written(tmp_path / "a.conll", "#fail\tO\n#\tB-X\n\n# \tO\n#1\tO\n\n#NN NN\tO\n"))
    assert [item.input for item in data.items] == [("#fail", "#"), ("# ", "#1"), ("#NN NN",)]


def test_sentences_of_a_document_share_a_group(tmp_path: Path) -> None:
    start = "-DOCSTART- -X- -X- O\n\n"
    data = read(written(tmp_path / "a.conll", start + "a NN I-NP O\n\nb NN I-NP O\n\n" + start + "c NN I-NP B-PER\n"))
    assert [item.group for item in data.items] == ["a.conll document 1", "a.conll document 1", "a.conll document 2"]
    assert [item.id for item in data.items] == ["a.conll line 3", "a.conll line 5", "a.conll line 9"]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train.txt", "train"),
        ("wnut17train.conll", "train"),
        ("a.conll", None),
        ("emerging.test.annotated", "test"),
        ("eng.testa", "validation"),
        ("eng.testb", "test"),
        ("dev.iob", "validation"),
        ("devil.iob", None),
        ("test/a.conll", "test"),
    ],
)
def test_the_name_of_a_file_tells_its_split(tmp_path: Path, name: str, role: str | None) -> None:
    written(tmp_path / "data" / name, TWO)
    written(tmp_path / "data" / "LICENSE.txt", "A licence.\n")
    (item, _) = read(tmp_path / "data").items
    assert (item.id, item.split, item.domain) == (f"{name} line 1", role, None)


def test_folders_above_are_domains(tmp_path: Path) -> None:
    for name in ("ai/train.txt", "music/train.txt", "music/old/test.txt"):
        written(tmp_path / name, TWO)
    assert Counter(item.domain for item in read(tmp_path).items) == {"ai": 2, "music": 2, "music/old": 2}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "A title\tsport\nAnother\tart\n"),
        ("a.txt", "No tags here at all.\n"),
        ("a.txt", ""),
        ("a.csv", TWO),
        ("a.tsv", "text\tlabel\nsome words\t0\n"),
    ],
)
def test_other_text_is_left_to_other_readers(tmp_path: Path, name: str, text: str) -> None:
    path = written(tmp_path / name, text)
    assert not ConllReader().accepts(str(path))
    assert not ConllReader().accepts(str(tmp_path))
    assert not ConllReader().accepts(str(tmp_path / "absent"))


def test_words_without_tags_have_no_labels(tmp_path: Path) -> None:
    data = read(written(tmp_path / "a.conll", "Ada\nwrote\n\nLondon\n"))
    assert [(item.input, item.label) for item in data.items] == [(("Ada", "wrote"), None), (("London",), None)]
    assert data.kind == "none"


@pytest.mark.parametrize(
    ("text", "says", "left"),
    [
        (TWO.replace("wrote\tO", "wrote"), "line 3 has 1 column(s)", 1),
        (TWO.replace("wrote\tO", "wrote\tVB\tO"), "line 3 has 3 column(s)", 1),
        (TWO.replace("wrote\t", "\t"), "line 3 has an empty one", 1),
        (TWO.replace("\n\n", "\nA sentence that was not split\n"), "line 4 has 1 column(s)", 0),
    ],
)
def test_a_line_with_other_columns_is_an_error_that_names_it(tmp_path: Path, text: str, says: str, left: int) -> None:
    data = read(written(tmp_path / "a.conll", text))
    (finding,) = data.findings
    assert (finding.level, finding.code, finding.items) == ("error", "columns", ("a.conll line 1",))
    assert finding.message.startswith(f"a.conll has 2 column(s), but {says}.")
    assert len(data) == left


@pytest.mark.parametrize(
    ("text", "scheme", "says"),
    [
        (TWO + "\nx\tO\ny\tI-LOC\n", "IOB2", "a.conll line 9: I-LOC follows O"),
        ("# comment\n" + TWO.replace("I-PER", "I-LOC"), "IOB2", "a.conll line 3: I-LOC follows B-PER"),
        ("a\tS-X\n\nb\tB-X\nc\tO\n", "IOBES", "a.conll line 3: B-X is not ended by E before O"),
    ],
)
def test_violations_of_the_scheme_are_warned_of_by_line(tmp_path: Path, text: str, scheme: str, says: str) -> None:
    (finding,) = read(written(tmp_path / "a.conll", text)).findings
    assert (finding.level, finding.code) == ("warning", "iob-violation")
    assert finding.message.startswith(f"1 tag(s) break the scheme {scheme}: {says}. An entity was taken to begin")


def test_a_mistyped_tag_is_an_error_and_other_sorts_of_tags_are_not_judged(tmp_path: Path) -> None:
    (finding,) = read(written(tmp_path / "a.conll", TWO * 5 + "x\t0\ny\tB_PER\n")).findings
    assert (finding.level, finding.code) == ("error", "tag")
    assert "2 tag(s) are neither O" in finding.message
    assert "a.conll line 32: 'B_PER'" in finding.message
    data = read(written(tmp_path / "b.conll", "a\tDT\ndog\tNN\n\nbarks\tVB\n"))
    assert (data.classes, data.findings) == (("DT", "NN", "VB"), ())


def test_older_encodings_are_read_and_told(tmp_path: Path) -> None:
    data = read(written(tmp_path / "a.conll", "北\tB-LOC\n京\tI-LOC\n的\tO\n".encode("gb18030")))
    assert content(data) == [(("北", "京", "的"), ("B-LOC", "I-LOC", "O"))]
    assert [f.code for f in data.findings] == ["encoding"]


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = str(written(tmp_path / "a.conll", "\n\n"))
    with pytest.raises(DataError, match="holds no sentence. Expected one word a line"):
        ConllReader().read(path, Columns())
    with pytest.raises(ConfigError, match="--label name columns of a table; the data given is a CoNLL file"):
        ConllReader().read(path, Columns(label="tag"))
    with pytest.raises(ConfigError, match="are tags, not 'number'"):
        ConllReader().read(path, Columns(kind="number"))


def test_real_corpora_have_the_sentences_that_were_published(shared_data: Path) -> None:
    crossner = read(shared_data / "crossner")
    assert crossner.findings == ()
    assert Counter(i.split for i in crossner.items if i.domain == "ai") == {
        "train": 100,
        "validation": 350,
        "test": 431,
    }
    wnut = read(shared_data / "wnut17")
    assert wnut.findings == ()
    assert Counter(item.split for item in wnut.items) == {"train": 3394, "validation": 1009, "test": 1287}
    assert {tag[2:] for tag in wnut.classes} - {""} == {
        "corporation", "creative-work", "group", "location", "person", "product",
    }  # fmt: skip
