"""Texts become ids by the contract's tokenizer: cut at its length, padded to a multiple of eight, never mixed up."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from headstart.core import assets
from headstart.core.card import TextInput
from headstart.core.errors import SourceError
from headstart.data import tokens
from headstart.testing.sources import tiny_tokenizer


def contract(length: int = 32, prefix: str = "") -> TextInput:
    return TextInput(tokenizer=assets.keep(tiny_tokenizer()), length=length, prefix=prefix)


def words(row: np.ndarray) -> list[str]:
    return [str(tokens.tokenizer(contract()).id_to_token(int(i))) for i in row[0]]


def test_a_text_gets_its_special_tokens_and_segment_zero() -> None:
    (row,) = tokens.encode(["The film was great!"], contract())
    assert words(row) == ["[CLS]", "the", "film", "was", "great", "!", "[SEP]"]
    assert row[1].tolist() == [0] * 7
    assert row.dtype == np.int64


def test_words_are_spelled_and_chinese_characters_stand_alone() -> None:
    (row,) = tokens.encode(["dogs 书很好。"], contract())
    assert words(row) == ["[CLS]", "d", "##o", "##g", "##s", "书", "很", "好", "。", "[SEP]"]


def test_of_a_pair_each_token_knows_its_text() -> None:
    (row,) = tokens.encode([("who ate?", "a man")], contract())
    assert words(row) == ["[CLS]", "who", "ate", "?", "[SEP]", "a", "man", "[SEP]"]
    assert row[1].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_of_a_pair_the_longer_text_is_cut_first() -> None:
    (row,) = tokens.encode([("who ate", " ".join(["food"] * 40))], contract(length=12))
    assert row.shape == (2, 12)
    assert words(row)[:4] == ["[CLS]", "who", "ate", "[SEP]"]


def test_what_is_too_long_keeps_its_beginning() -> None:
    (row,) = tokens.encode(["good " + "food " * 40], contract(length=6))
    assert words(row) == ["[CLS]", "good", "food", "food", "food", "[SEP]"]


def test_the_prefix_stands_before_every_text() -> None:
    one, pair = tokens.encode(["film", ("film", "book")], contract(prefix="what: "))
    assert words(one) == ["[CLS]", "what", ":", "film", "[SEP]"]
    assert words(pair) == ["[CLS]", "what", ":", "film", "[SEP]", "what", ":", "book", "[SEP]"]


@pytest.mark.parametrize(("lengths", "limit", "width"), [([3, 9], 32, 16), ([8], 32, 8), ([0], 32, 8), ([9], 12, 12)])
def test_a_batch_is_as_wide_as_a_multiple_of_eight_and_no_wider_than_allowed(
    lengths: list[int], limit: int, width: int
) -> None:
    rows = [np.stack([np.full(t, 9), np.zeros(t, np.int64)]) for t in lengths]
    batch = tokens.collate(rows, 7, limit)
    assert batch.shape == (len(rows), 2, width)
    for row, length in zip(batch.numpy(), lengths, strict=True):
        assert row[0].tolist() == [9] * length + [7] * (width - length)
        assert row[1].tolist() == [0] * length + [-1] * (width - length)


def test_padding_is_what_the_tokenizer_calls_so() -> None:
    assert tokens.pad_id(contract()) == 0


def test_threads_get_what_one_would() -> None:
    texts = [f"{word} film {i}" for i in range(50) for word in ("good", "awful")]
    expected = tokens.encode(texts, contract())
    found: dict[int, list[np.ndarray]] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.setdefault(i, tokens.encode(texts, contract()))) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows in found.values():
        assert all(np.array_equal(a, b) for a, b in zip(rows, expected, strict=True))
    assert len(found) == 4


def test_a_tokenizer_that_is_not_here_is_said() -> None:
    with pytest.raises(SourceError, match="the tokenizer 000000000000 that this network needs is not on this machine"):
        tokens.encode(["a"], TextInput(tokenizer="0" * 64))


def test_a_tokenizer_that_is_none_is_said() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        tokens.tokenizer(TextInput(tokenizer=assets.keep(b"{}")))


def test_a_tokenizer_of_ones_own_spells_what_it_never_met() -> None:
    texts = [f"the {word} film" for word in ("good", "bad", "good")] * 5 + ["很好的书"]
    made = tokens.train_tokenizer(texts, 400)
    assert made == tokens.train_tokenizer(iter(texts), 400), "the same texts gave another tokenizer"
    contract = TextInput(tokenizer=assets.keep(made), length=64)
    found = tokens.tokenizer(contract)
    assert found.encode("The GOOD film").tokens == ["[BOS]", "Ġthe", "Ġgood", "Ġfilm", "[EOS]"]
    unknown = found.encode("œuvre 书, zzz")
    assert found.decode(unknown.ids) == " œuvre 书 , zzz"
    pair = tokens.encode([("good", "bad film")], contract)[0]
    assert pair[1].tolist() == [0, 0, 0, 1, 1, 1]
    assert tokens.pad_id(contract) == 0
    assert {found.id_to_token(i) for i in tokens.special_ids(contract)} == {"[PAD]", "[BOS]", "[SEP]", "[EOS]"}
    assert tokens.mask_id(contract) is None


def test_the_mask_token_of_a_tokenizer() -> None:
    assert tokens.mask_id(contract()) == tokens.tokenizer(contract()).token_to_id("[MASK]")
