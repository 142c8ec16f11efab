from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headstart.core.errors import ConfigError, DataError
from headstart.data.dataset import Dataset
from headstart.data.read import read_dataset
from headstart.data.readers.base import Columns
from headstart.data.readers.squad import SquadReader, wrong_answers

PARIS = "Paris is the capital of France. Paris has 2 million people."


def question(text: str, *answers: tuple[int, str], **more: Any) -> dict[str, Any]:
    return {"question": text, "id": text, "answers": [{"answer_start": s, "text": t} for s, t in answers], **more}


def article(*paragraphs: tuple[str, list[dict[str, Any]]], title: str = "") -> dict[str, Any]:
    return {"title": title, "paragraphs": [{"context": context, "qas": qas} for context, qas in paragraphs]}


def written(path: Path, *articles: dict[str, Any], encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps({"version": "1.1", "data": list(articles)}, ensure_ascii=False).encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path) -> Dataset:
    reader = SquadReader()
    assert reader.accepts(str(path))
    return reader.read(str(path), Columns())


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "A.JSON"])
def test_questions_contexts_and_answers(tmp_path: Path, name: str) -> None:
    asked = [
        question("Capital?", (0, "Paris"), (0, "Paris")),
        question("Mayor?", is_impossible=True),
        {"question": "Unlabelled?", "id": 7},
    ]
    data = read(written(tmp_path / name, article((PARIS, asked))))
    assert (data.modality, data.kind, data.findings) == ("text", "answers", ())
    assert [(item.id, item.input, item.label) for item in data.items] == [
        ("Capital?", ("Capital?", PARIS), ((0, "Paris"), (0, "Paris"))),
        ("Mayor?", ("Mayor?", PARIS), ()),
        ("7", ("Unlabelled?", PARIS), None),
    ]


def test_a_folder_of_them_is_not_taken_for_one_of_images(tmp_path: Path) -> None:
    written(tmp_path / "data" / "train.json", article((PARIS, [question("Capital?", (0, "Paris"))])))
    assert read_dataset(tmp_path / "data").kind == "answers"


def test_characters_are_counted_not_bytes_nor_halves_of_them(tmp_path: Path) -> None:
    data = read(written(tmp_path / "a.json", article(("😀中国的首都是北京。", [question("首都？", (7, "北京"))]))))
    assert data.findings == ()


def test_what_is_on_one_article_or_context_is_one_group(tmp_path: Path) -> None:
    written(
        tmp_path / "train.json",
        article(("a", [question("1")]), ("b", [question("2")]), title="A"),
        article(("c", [question("3")])),
        article(("d", [question("4")]), title="D"),
    )
    written(tmp_path / "dev.json", article(("b", [question("1")])), article(("e", [question("6")]), title="D"))
    groups = {(i.input[1], i.input[0]): i.group for i in read(tmp_path).items}  # type: ignore[index]
    assert groups["a", "1"] == groups["b", "2"] == groups["b", "1"]  # the id "1" alone ties nothing
    assert groups["d", "4"] == groups["e", "6"] != groups["a", "1"]
    assert len(set(groups.values())) == 3


def test_one_article_alone_is_grouped_by_context(tmp_path: Path) -> None:
    one = article(("a", [question("1"), question("2")]), ("b", [question("3")]))
    assert [i.group for i in read(written(tmp_path / "a.json", one)).items] == ["text 1", "text 1", "text 2"]


def test_translations_share_their_groups_and_name_their_language(tmp_path: Path) -> None:
    for language in ("de", "zh"):
        articles = [article((f"{language} {n}", [question(str(n))])) for n in range(3)]
        written(tmp_path / f"quiz.{language}.json", *articles)
    data = read(tmp_path)
    assert [(i.domain, i.split, i.group) for i in data.items] == [
        (language, None, f"text {n}") for language in ("de", "zh") for n in (1, 2, 3)
    ]
    assert data.items[0].id == "quiz.de.json 0"


def test_names_of_files_tell_the_split(tmp_path: Path) -> None:
    for name in ("train-v2.0.json", "dev-v2.0.json", "test/x.json", "odd.json"):
        written(tmp_path / name, article((name, [question(name)])))
    (tmp_path / "coco.json").write_text('{"images": []}')
    found = {item.input[0]: (item.split, item.domain) for item in read(tmp_path).items}  # type: ignore[index]
    assert found == {
        "train-v2.0.json": ("train", None),
        "dev-v2.0.json": ("validation", None),
        "test/x.json": ("test", None),
        "odd.json": (None, None),
    }


def test_an_answer_in_the_wrong_place_is_an_error_that_says_how_to_mend_it(tmp_path: Path) -> None:
    asked = [
        question("Of what?", (25, "France"), (24, "France")),
        question("Which?", (1, "Paris"), (-1, "2")),
        question("Who?", (3, "Rome")),
        question("Right?", (32, "Paris")),
    ]
    data = read(written(tmp_path / "a.json", article((PARIS, asked))))
    assert [(a.item, a.start, a.places) for a in wrong_answers(data)] == [
        ("Of what?", 25, (24,)),
        ("Which?", 1, (0, 32)),
        ("Which?", -1, (42,)),
        ("Who?", 3, ()),
    ]
    moved, absent = data.findings
    assert (moved.level, moved.code, moved.items) == ("error", "answer-start", ("Of what?", "Which?"))
    assert moved.message.startswith("3 answer(s) do not stand at their answer_start, 2 of which stand at one other")
    assert "Of what?: 'France' is not at 25 but at 24 (set answer_start to 24)" in moved.message
    assert "Which?: 'Paris' is not at 1 but at 0 and 32" in moved.message
    assert (absent.level, absent.code, absent.items) == ("error", "answer-absent", ("Who?",))
    assert "1 answer(s) do not stand in their context at all: Who?: 'Rome'" in absent.message


@pytest.mark.parametrize(
    ("asked", "code", "level"),
    [
        ([question("", (0, "Paris"))], "empty-text", "error"),
        ([question("Empty?", (0, ""))], "empty-text", "error"),
        ([question("Both?", (0, "Paris"), is_impossible=True)], "impossible-answered", "error"),
        ([question("Twice?", (0, "Paris")), question("Twice?", (0, "Paris"))], "repeated-ids", "warning"),
    ],
)
def test_contradictions_are_found(tmp_path: Path, asked: list[dict[str, Any]], code: str, level: str) -> None:
    data = read(written(tmp_path / "a.json", article((PARIS, asked))))
    assert [(f.code, f.level) for f in data.findings] == [(code, level)]
    assert len({item.id for item in data.items}) == len(asked)


def test_answers_that_overlap_are_all_kept(tmp_path: Path) -> None:
    asked = question("What?", (9, "the capital"), (13, "capital of France"))
    data = read(written(tmp_path / "a.json", article((PARIS, [asked]))))
    assert (data[0].label, data.findings) == (((9, "the capital"), (13, "capital of France")), ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"data": [\n{"paragraphs": [}', r"a\.json line 2 is not JSON"),
        ('["paragraphs"]', r"a\.json: 'data' is not a list. Expected SQuAD's form"),
        ('{"data": [{"paragraphs": 3}]}', r"a\.json article 0: 'paragraphs' is not a list"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "article 0 paragraph 0: 'context' is not a text"),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": ["why"]}]}]}',
            "article 0 paragraph 0 question 0: 'question' is not a text",
        ),
        (
            '{"data": [{"paragraphs": [{"context": "x", "qas": [{"question": "?", "answers": [{"text": "x"}]}]}]}]}',
            "'answer_start' is not a whole number",
        ),
        ('{"data": [], "paragraphs": 0}', "holds no question"),
        ('{"paragraphs":' + "[" * 100_000, "is nested too deeply|is not JSON"),
    ],
)
def test_a_broken_file_names_the_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        read(path)


def test_other_data_and_options_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"images": [], "annotations": []}')
    (tmp_path / "b.json.gz").write_bytes(b"no gzip")
    for data in (path, tmp_path / "b.json.gz", tmp_path, tmp_path / "absent.json"):
        assert not SquadReader().accepts(str(data))
    written(path, article((PARIS, [question("Capital?", (0, "Paris"))])), encoding="gb18030")
    with pytest.raises(ConfigError, match="--input name columns of a table; the data given is a SQuAD file"):
        SquadReader().read(str(path), Columns(input="question"))


def test_real_sets_have_the_questions_and_the_faults_that_they_are_known_for(shared_data: Path) -> None:
    xquad = read(shared_data / "xquad")
    assert Counter(item.domain for item in xquad.items) == dict.fromkeys(("ar", "de", "en", "es", "ru", "zh"), 1190)
    assert len({item.group for item in xquad.items}) == 48
    assert xquad.findings == ()
    cmrc = read(shared_data / "cmrc2018" / "cmrc2018_dev.json.gz")
    wrong = wrong_answers(cmrc)
    assert (len(cmrc), len(wrong), sum(len(answer.places) == 1 for answer in wrong)) == (3219, 200, 7)
    assert [finding.code for finding in cmrc.findings] == ["answer-start", "answer-absent"]
