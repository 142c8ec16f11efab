from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError
from headstart.data.encodings import decoded, encoding_finding, read_text

CHINESE = "这家店的菜很好吃，服务员也很热情！ABC 123\n"
GERMAN = "Die Straße war naß – „schön“, sagte er; Größe 5 €.\n"


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8-sig"),
        (CHINESE, "utf-16", "utf-16"),
        (CHINESE, "utf-32", "utf-32"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "gb2312", "gb18030"),
        (GERMAN, "cp1252", "cp1252"),
        ("plain\r\n", "ascii", "utf-8"),
        ("", "ascii", "utf-8"),
        ("a sister\u00f0city, naïvely", "cp1252", "cp1252"),  # each pair here is valid GB18030, too
        ("“quoted” it’s", "cp1252", "cp1252"),
    ],
)
def test_what_was_written_is_read(text: str, encoding: str, named: str) -> None:
    assert decoded(text.encode(encoding), "file") == (text, named)


@settings(deadline=None)
@given(st.text())
def test_any_unicode_text_is_read_whether_marked_or_not(text: str) -> None:
    assert decoded(("\ufeff" + text).encode(), "file") == (text, "utf-8-sig")
    if not text.startswith("\ufeff"):
        assert decoded(text.encode(), "file") == (text, "utf-8")


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_give_their_text_or_a_data_error(data: bytes) -> None:
    with suppress(DataError):
        text, encoding = decoded(data, "file")
        assert text == data.decode(encoding)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("привет, как дела\n".encode("cp1251") * 3, r"line 1 is not UTF-8 text \(byte 0xef at offset 0\)"),
        (b"one\ntw\x81 three\n", r"line 2 is not UTF-8 text \(byte 0x81 at offset 6\).*GB18030 or Windows-1252"),
        (b"\xef\xbb\xbfone\n\xff", r"line 2 is not UTF-8 text \(invalid start byte at offset 7\), as the file's first"),
        (b"\xff\xfea", r"line 1 is not UTF-16 text.*truncated data"),
    ],
)
def test_text_of_another_encoding_names_its_place(data: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says):
        decoded(data, "file")


def test_a_guess_is_told_and_unicode_is_not() -> None:
    assert [f.message for f in encoding_finding("a.txt", "cp1252")] == [
        "a.txt is not UTF-8 and was read as cp1252. If letters look wrong, save it as UTF-8."
    ]
    assert encoding_finding("a.txt", "utf-8") == encoding_finding("a.txt", "utf-16") == []


def test_packed_files_are_unpacked_and_broken_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(CHINESE.encode()))
    assert read_text(path) == (CHINESE, "utf-8")
    for content in (b"no gzip", path.read_bytes()[:-9], path.read_bytes()[:-20] + bytes(20)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.json\.gz cannot be read \("):
            read_text(path)
    with pytest.raises(DataError, match="cannot be read .No such file"):
        read_text(tmp_path / "b")


def test_the_real_files_have_the_encodings_they_are_known_for(shared_data: Path) -> None:
    found = {path.name: read_text(path)[1] for path in (shared_data / "text_en").glob("*.gz")}
    assert {name for name, encoding in found.items() if encoding == "cp1252"} == {"subj.all.gz", "TREC.train.all.gz"}
    assert "sisterðcity" in read_text(shared_data / "text_en" / "TREC.train.all.gz")[0]
    titles = read_text(shared_data / "thucnews_titles" / "dev.txt")
    assert titles[1] == "utf-8"
    assert decoded(titles[0].encode("gb18030"), "dev.txt") == (titles[0], "gb18030")
