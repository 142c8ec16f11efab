from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.config import AugmentConfig
from headstart.core.errors import ConfigError, DataError, ShapeError
from headstart.data.transforms.text import Eda, back_translated, neighbours, read_synonyms, reworded

TEXT = "The film was good, and the good cast played it well"
SYNONYMS = {"good": ("fine",), "film": ("movie", "picture"), "电影": ("影片",)}


def views(eda: Eda, text: str, number: int = 200) -> Counter[str]:
    return Counter(eda(text, np.random.default_rng(seed)) for seed in range(number))


def test_replacement_takes_synonyms_and_keeps_marks_and_capitals() -> None:
    found = views(Eda(replace=1.0, synonyms=SYNONYMS), TEXT)
    film = ("movie", "picture")
    assert set(found) == {TEXT, *(f"The {f} was fine, and the fine cast played it well" for f in film)}
    assert 60 < found[TEXT] < 140  # half of the views are the text as it stands
    assert set(views(Eda(replace=0.1, synonyms=SYNONYMS), "Good (film)")) == {
        "Good (film)", "Fine (film)", "Good (movie)", "Good (picture)",
    }  # fmt: skip


def test_insertion_adds_synonyms_of_words_that_are_there() -> None:
    for view in views(Eda(insert=0.2, synonyms=SYNONYMS), TEXT):
        added = Counter(view.split()) - Counter(TEXT.split())
        assert added.total() in (0, 2)
        assert set(added) <= {"fine", "movie", "picture"}


def test_swapping_keeps_the_words_and_deletion_their_order() -> None:
    swapped = views(Eda(swap=0.1), TEXT)
    assert len(swapped) > 20
    assert all(sorted(view.split()) == sorted(TEXT.split()) for view in swapped)
    for view in views(Eda(delete=0.3), TEXT):
        left = iter(TEXT.split())
        assert len(view.split()) in (8, 11)
        assert all(word in left for word in view.split())
    assert set(views(Eda(delete=1.0), "one two")) == {"one two", "one", "two"}


def test_each_change_that_is_on_is_as_likely_as_none() -> None:
    found = views(Eda(replace=0.1, delete=0.1, synonyms={"b": ("x",)}), "a b", 600)
    assert 150 < found["a x"] < 250
    assert 150 < found["a b"] < 250
    assert 150 < found["a"] + found["b"] < 250


def test_text_without_spaces_is_cut_by_the_table_and_into_characters() -> None:
    text = "这部电影 iPhone15 拍得好"
    assert set(views(Eda(replace=1.0, synonyms=SYNONYMS), text)) == {text, "这部影片 iPhone15 拍得好"}
    deleted = views(Eda(delete=0.01), "这部电影很好")
    assert {len(view) for view in deleted} == {5, 6}
    assert len(deleted) == 7
    assert all("电影" in view or "影片" in view for view in views(Eda(swap=0.5, synonyms=SYNONYMS), text))


@settings(deadline=None)
@given(st.text(), st.integers(0, 2**32))
def test_any_text_gives_the_same_view_for_the_same_seed(text: str, seed: int) -> None:
    augment = AugmentConfig(word_swap=0.3, word_delete=0.3)
    assert reworded(text, augment, seed) == reworded(text, augment, seed)
    assert bool(reworded(text, augment, seed)) == bool(text)


def test_views_of_pairs_and_of_texts_by_their_settings(tmp_path: Path) -> None:
    table = tmp_path / "s.tsv"
    table.write_text("good\tfine\n")
    assert reworded(TEXT, AugmentConfig(), 0) is TEXT
    assert reworded(("good", "bad"), AugmentConfig(), 0) == ("good", "bad")
    augment = AugmentConfig(word_replace=0.1, synonyms=str(table))
    found = {reworded(("a good one", "good"), augment, seed) for seed in range(50)}
    assert found == {(a, b) for a in ("a good one", "a fine one") for b in ("good", "fine")}
    with pytest.raises(ConfigError, match=r"need synonyms. Name a file of them with --set augment\.synonyms=FILE"):
        reworded(TEXT, AugmentConfig(word_insert=0.1), 0)
    with pytest.raises(DataError, match="cannot be read"):
        reworded(TEXT, AugmentConfig(word_insert=0.1, synonyms=str(tmp_path / "absent")), 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.tsv", "Good\tfine\tgreat\r\n\ngood\tfine\tgood\n 电影 \t影片\n"),
        ("s.json", json.dumps({"Good": ["fine", " great ", "good", ""], "电影": ["影片"], "none": []})),
    ],
)
def test_tables_of_synonyms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_synonyms(tmp_path / name) == {"good": ("fine", "great"), "电影": ("影片",)}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("s.tsv", "good\tfine\nbad poor\n", "line 2 has no synonym: 'bad poor'. Expected word, tab"),
        ("s.tsv", "\tfine\n", "line 1 has no synonym"),
        ("s.json", "[", "is not JSON"),
        ("s.json", "[]", "holds no JSON object"),
        ("s.json", '{"good": "fine"}', "synonyms of 'good' are not a list"),
    ],
)
def test_a_broken_table_of_synonyms_names_the_place(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        read_synonyms(tmp_path / name)


def test_neighbours_are_the_nearest_by_angle() -> None:
    vectors = np.array([[1.0, 0.0], [2.0, 0.2], [1.0, 1.0], [0.0, 3.0], [0.0, 0.0]])
    words = ["good", "fine", "odd", "green", "none"]
    found = neighbours(words, vectors, ["Good", "green", "none", "absent"], count=2, least=0.7)
    assert found == {"good": ("fine", "odd"), "green": ("odd",)}
    assert neighbours(words, vectors, ["good"], count=1) == {"good": ("fine",)}


def test_back_translation_goes_there_and_back() -> None:
    forth = {"the dog": "der Hund", "a cat": "eine Katze", "mute": ""}
    back = {"der Hund": "the hound", "eine Katze": "a cat", "": " "}
    texts = list(forth)
    assert back_translated(texts, lambda t: [forth[x] for x in t], lambda t: [back[x] for x in t]) == [
        "the hound", "a cat", "mute",
    ]  # fmt: skip
    with pytest.raises(ShapeError, match="a translator gave 2 texts for 3"):
        back_translated(texts, lambda t: t, lambda t: t[1:])
    with pytest.raises(ValueError, match="back_translation"):
        AugmentConfig(back_translation="only-one")
