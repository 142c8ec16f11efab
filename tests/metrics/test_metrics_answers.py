from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import ShapeError
from headstart.metrics.answers import Form, answer_f1, exact_match, form_of, metrics, normalised, segments
from headstart.metrics.intervals import bootstrap


@pytest.mark.parametrize(
    ("predicted", "right", "exact", "f1"),
    [
        ("Paris", ["Paris"], 1, 1),
        ("the  PARIS!", ["Paris"], 1, 1),
        ("a Theban in Anatolia", ["Theban in Anatolia"], 1, 1),  # articles go, words that begin so stay
        ("in Paris", ["Paris"], 0, 2 * 1 * 0.5 / 1.5),
        ("Paris France", ["Paris, Texas, France"], 0, 2 * 1 * (2 / 3) / (1 + 2 / 3)),
        ("cat cat cat", ["cat dog"], 0, 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2)),  # once only, as the right one has it
        ("Texas", ["Paris", "Paris, Texas", "Texas"], 1, 1),  # the best of several
        ("London", ["Paris", "Rome"], 0, 0),
        ("", ["Paris"], 0, 0),
        ("", [], 1, 1),  # rightly unanswered
        ("the", [], 1, 1),  # as the official script, which compares what is left
        ("Paris", [], 0, 0),
        ("naïve café", ["Naïve café."], 1, 1),
        ("U.S.A.", ["USA"], 1, 1),
        ("“Paris”", ["Paris"], 0, 0),  # only ASCII punctuation goes
    ],
)
def test_answers_by_the_rules_of_squad(predicted: str, right: list[str], exact: float, f1: float) -> None:
    assert exact_match([predicted], [right])[0] == exact
    assert answer_f1([predicted], [right])[0] == pytest.approx(f1)


@pytest.mark.parametrize(
    ("predicted", "right", "exact", "f1"),
    [
        ("北京", ["北京"], 1, 1),
        ("北京。", ["「北京」"], 1, 1),  # marks go
        ("北京市", ["北京"], 0, 2 * 2 / 5),
        ("北西京", ["北京"], 0, 2 * 1 / 5),  # the longest run, not what occurs anywhere
        ("光荣和ω-Force", ["光荣和ω-force"], 1, 1),
        ("1996年 Nintendo", ["1996年"], 0, 2 * 2 / 5),  # a number or a word is one segment
        ("上海", ["北京", "上海市"], 0, 2 * 2 / 5),
        ("上海", ["北京"], 0, 0),
        ("", [], 1, 1),
        ("上海", [], 0, 0),
    ],
)
def test_answers_by_the_rules_of_cmrc(predicted: str, right: list[str], exact: float, f1: float) -> None:
    assert exact_match([predicted], [right], "cmrc")[0] == exact
    assert answer_f1([predicted], [right], "cmrc")[0] == pytest.approx(f1)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("除了3.5%和1,000人外", ["除", "了", "3.5", "%", "和", "1,000", "人", "外"]),
        ("PS3 Game (日本語)", ["ps3", "game", "(", "日", "本", "語", ")"]),
        ("ひらがな", ["ひ", "ら", "が", "な"]),
        ("O'Neil, again.", ["o'neil", ",", "again", "."]),
        ("  ", []),
    ],
)
def test_segments(text: str, cut: list[str]) -> None:
    assert segments(text) == cut


@settings(deadline=None)
@given(st.text(), st.text(), st.sampled_from(["squad", "cmrc"]))
def test_f1_is_symmetric_lies_between_0_and_1_and_is_1_for_an_exact_match(one: str, other: str, form: Form) -> None:
    f1 = answer_f1([one, other, one], [[other], [one], [one]], form)
    assert f1[0] == pytest.approx(f1[1])
    assert 0 <= f1[0] <= 1 == f1[2]
    if exact_match([one], [[other]], form)[0]:
        assert normalised(one, form) == normalised(other, form)
        assert f1[0] == 1


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["Paris", "北京"], "squad"),
        (["北京是首都", "NFL"], "cmrc"),
        (["東京タワー"], "cmrc"),
        (["กรุงเทพ"], "cmrc"),
        (["서울 시청", "Москва"], "squad"),
        (["308", ""], "squad"),
    ],
)
def test_the_rules_follow_the_script(texts: list[str], form: Form) -> None:
    assert form_of(texts) == form


def test_means_have_intervals_over_questions() -> None:
    exact, f1 = np.repeat([1.0, 0.0], [30, 10]), np.repeat([1.0, 0.5], [30, 10])
    found = bootstrap(lambda counts: metrics(exact, f1, counts), 40, resamples=300)
    assert found["exact_match"].value == pytest.approx(0.75)
    assert found["answer_f1"].value == pytest.approx(0.875)
    assert found["exact_match"].low < 0.7 < 0.8 < found["exact_match"].high
    assert metrics(exact, f1, only="answer_f1").keys() == {"answer_f1"}


def test_a_missing_prediction_is_refused() -> None:
    with pytest.raises(ShapeError, match="1 predictions for 2 questions"):
        exact_match(["x"], [["x"], ["y"]])
