"""Words of a text: where they stand, which tokens are theirs, and what a network is shown of each."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.card import TextInput
from headstart.core.errors import DataError
from headstart.core.passages import NOWHERE, Passage, Place, Units
from headstart.data.dataset import Dataset, Item
from headstart.data.modalities import MODALITIES
from headstart.data.passages import by_word, joined, surroundings, words_of
from headstart.data.tokens import collate, encode, encode_place, tokenizer
from headstart.data.transforms.places import described, shape
from headstart.sources.words import WordEncoder
from headstart.sources.words import by_word as word_source
from headstart.testing.sources import tiny_text_source

WORDS = ("the", "film", "good", "lovely", "xyzz", "day", "北", "京", "!", "U.S.", "7,5", "o'clock")
CONTRACT = cast(TextInput, tiny_text_source().card.input).model_copy(update={"by": "word"})

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=90)


def marked(place: Place) -> list[tuple[int, int]]:
    """Ids of the tokens that are said to be the word's, and the segment of each."""
    row = encode_place(place, CONTRACT)
    return [(int(i), int(s)) for i, s, m in row.T if m]


@settings(max_examples=60, deadline=None)
@given(texts, st.booleans())
def test_the_marked_tokens_are_the_words_own(words: list[str], asked: bool) -> None:
    """Those that the word has where it is alone; joined words of a script without spaces as well."""
    text, spans = joined(words)
    passage = Passage("p", text, spans, "was it good" if asked else "")
    assert [text[a:b] for a, b in spans] == words
    for number, word in enumerate(words):
        alone = tokenizer(CONTRACT).encode(word, add_special_tokens=False).ids
        assert [i for i, _ in marked(Place(passage, number))] == alone
        assert {s for _, s in marked(Place(passage, number))} == {int(asked)}


@settings(max_examples=60, deadline=None)
@given(texts)
def test_a_word_of_a_long_text_has_as_much_around_it_as_there_can_be(words: list[str]) -> None:
    text, spans = joined(words)
    passage = Passage("p", text, spans)
    sizes = [len(tokenizer(CONTRACT).encode(word, add_special_tokens=False).ids) for word in words]
    for number in range(len(words)):
        row = encode_place(Place(passage, number), CONTRACT)
        assert row.shape[1] <= CONTRACT.length
        inside = np.flatnonzero(row[2])
        before, after = inside[0] - 1, row.shape[1] - 2 - inside[-1]
        assert before >= min(1, sum(sizes[:number])), "stretches overlap, so no word is at an inner edge"
        assert after >= min(1, sum(sizes[number + 1 :]))


def test_a_short_text_is_seen_as_any_text_is() -> None:
    text = "the film was good"
    passage = Passage("p", text, words_of(text))
    for number in range(4):
        assert np.array_equal(encode_place(Place(passage, number), CONTRACT)[:2], encode([text], CONTRACT)[0])
    asked = Passage("p", text, words_of(text), "was it good")
    assert np.array_equal(encode_place(Place(asked, 0), CONTRACT)[:2], encode([("was it good", text)], CONTRACT)[0])
    nowhere = encode_place(Place(asked, NOWHERE), CONTRACT)
    assert nowhere[2].tolist() == [1] + [0] * (nowhere.shape[1] - 1)


def test_a_long_question_leaves_half_of_the_room() -> None:
    text = " ".join(["day"] * 60)
    passage = Passage("p", text, words_of(text), " ".join(["film"] * 50))
    row = encode_place(Place(passage, 30), CONTRACT)
    assert row.shape[1] == CONTRACT.length
    assert (row[1] == 1).sum() >= CONTRACT.length // 2 - 2
    assert row[2].sum() == 1


def test_a_prefix_moves_no_mark() -> None:
    text = "the film was good"
    passage = Passage("p", text, words_of(text))
    contract = CONTRACT.model_copy(update={"prefix": "very so "})
    ids = [int(i) for i, _, m in encode_place(Place(passage, 1), contract).T if m]
    assert ids == tokenizer(CONTRACT).encode("film", add_special_tokens=False).ids


def test_words_are_cut_at_spaces_marks_and_every_character_without_spaces() -> None:
    text = "Dr. Müller's 3,5 km in 北京, ok_1!"
    assert [text[a:b] for a, b in words_of(text)] == [
        "Dr", ".", "Müller's", "3", ",", "5", "km", "in", "北", "京", ",", "ok", "_", "1", "!",
    ]  # fmt: skip
    assert words_of(" \n") == ()


def test_rows_know_their_text_their_group_and_their_label() -> None:
    items = (
        Item("a", ("the", "film"), ("O", "B-x"), "train"),
        Item("b", ("good",), ("O",), "train", group="doc"),
    )
    rows, units = by_word(Dataset("d", items, "text", "tags"))
    assert [(item.id, item.label, item.group) for item in rows.items] == [
        ("a word 1", "O", "a"),
        ("a word 2", "B-x", "a"),
        ("b word 1", "O", "doc"),
    ]
    assert units.of.tolist() == [0, 0, 1]
    assert len(units) == 2
    assert units.every([1, 0]).tolist() == [2, 0, 1]
    turned = units.take([1, 0])
    assert turned.starts.tolist() == [0, 1, 3]
    assert [passage.id for passage in turned.passages] == ["b", "a"]
    assert Units((), np.array([0])).of.tolist() == []
    with pytest.raises(DataError, match="c holds no word"):
        by_word(Dataset("d", (Item("c", " "),), "text", "none"))


def test_more_words_than_can_be_held_are_refused_with_how_many_can(monkeypatch: pytest.MonkeyPatch) -> None:
    items = tuple(Item(f"s{i}", ("a", "day"), ("O", "O")) for i in range(9))
    monkeypatch.setattr("headstart.data.passages.MOST", 7)
    with pytest.raises(DataError, match=r"and 4 of them alone have more than 7 words .* at most 3 texts"):
        by_word(Dataset("d", items, "text", "tags"))


def test_answers_are_flags_at_their_first_and_last_word() -> None:
    context = "The Nile, at 6,650 km, is long"
    answers = ((4, "Nile"), (13, "6,650 km"), (5, "ile, a"))
    rows, units = by_word(Dataset("d", (Item("q", ("How long?", context), answers),), "text", "answers"))
    (passage,) = units.passages
    assert passage.answers == ("Nile", "6,650 km", "ile, a")
    words = [context[a:b] for a, b in passage.words]
    flags = np.array(rows.labels)
    assert flags[0].tolist() == [0, 0], "there is an answer"
    assert [words[i] for i in np.flatnonzero(flags[1:, 0])] == ["Nile", "6"]
    assert [words[i] for i in np.flatnonzero(flags[1:, 1])] == ["Nile", "at", "km"]
    lacking, _ = by_word(Dataset("d", (Item("q", ("Who?", context), ()),), "text", "answers"))
    assert np.array(lacking.labels).tolist() == [[1, 1]] + [[0, 0]] * len(words)


def test_a_place_is_shown_among_its_neighbours() -> None:
    text = "a " * 100 + "film " + "b " * 100
    passage = Passage("p", text, words_of(text))
    shown = surroundings(Place(passage, 100), reach=6)
    assert shown == "…a a a [film] b b …" or shown == "…a a a [film] b b b…"
    asked = Passage("p", "a film", words_of("a film"), "What?")
    assert surroundings(Place(asked, 1)) == "What? — a [film]"
    assert surroundings(Place(asked, NOWHERE)) == "What? — [no answer]"


def test_padding_belongs_to_no_word() -> None:
    short, long = Passage("s", "good", ((0, 4),)), Passage("l", "the film was good", words_of("the film was good"))
    batch = collate([encode_place(Place(short, 0), CONTRACT), encode_place(Place(long, 3), CONTRACT)], 0)
    assert batch.shape == (2, 3, 8)
    assert batch[:, 2].sum(1).tolist() == [1, 1]
    assert (batch[0, 1, 3:] == -1).all()
    MODALITIES["text"].require(batch, CONTRACT)


def test_features_of_words_are_the_means_of_their_tokens_and_each_text_is_read_once() -> None:
    source = word_source(tiny_text_source())
    encoder = source.load()
    assert isinstance(encoder, WordEncoder)
    passages = [
        Passage(text, text, words_of(text)) for text in ("the film was unknownword", "a good day", "a good day")
    ]
    places = [Place(passage, n) for passage in passages for n in range(len(passage.words))]
    batch = collate([encode_place(place, CONTRACT) for place in places], 0)
    seen: list[int] = []
    encoder.read.register_forward_hook(lambda module, given, found: seen.append(len(given[0])))
    with torch.no_grad():
        found = encoder(batch).pooled
        assert seen == [2]
        for row, vector in zip(batch, found, strict=True):
            tokens = encoder.read(row[None, :2]).tokens
            assert tokens is not None
            assert torch.allclose(vector, tokens[0, row[2] > 0].mean(0), atol=1e-5)
    assert word_source(source) is source


def test_looks_of_words_know_neighbours_shape_and_question() -> None:
    assert [shape(word) for word in ("iPhone", "McDonald", "1999", "U.S.", "北京")] == [
        "xXxxx",
        "XxXxxx",
        "000",
        "X.X.",
        "xx",
    ]
    text = "Angela Merkel spoke"
    plain, asked = (Passage("p", text, words_of(text), question) for question in ("", "Who spoke?"))
    rows = described([Place(plain, n) for n in range(3)] + [Place(asked, n) for n in (NOWHERE, 0, 2)])
    assert rows.shape == (6, 1024)
    assert len(np.unique(rows, axis=0)) == 6
    assert np.array_equal(rows, described([Place(plain, n) for n in range(3)] + [Place(asked, n) for n in (-1, 0, 2)]))
