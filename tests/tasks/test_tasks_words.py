"""Tags and answers: what is said of a text is the best that goes together, and what is judged is the whole."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError
from headstart.core.passages import Passage, Units
from headstart.metrics.spans import Scheme, companions, iob_violations, tells_entities, transitions
from headstart.tasks.question_answering import QuestionAnswering
from headstart.tasks.token_classification import TokenClassification

TAGS: dict[Scheme, tuple[str, ...]] = {
    "iob1": ("B-x", "I-x", "I-y", "O"),
    "iob2": ("B-x", "B-y", "I-x", "I-y", "O"),
    "iobes": ("B-x", "E-x", "I-x", "O", "S-x"),
}


def units_of(*sizes: int, asked: bool = False) -> Units:
    passages = [
        Passage(f"t{i}", "ab " * n, tuple((3 * k, 3 * k + 2) for k in range(n - asked)), "why?" if asked else "")
        for i, n in enumerate(sizes)
    ]
    return Units(tuple(passages), np.cumsum([0, *sizes]))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(TAGS)), st.integers(1, 4), st.integers(0, 10_000))
def test_the_tags_that_are_said_are_the_likeliest_that_the_scheme_allows(scheme: Scheme, words: int, seed: int) -> None:
    tags = TAGS[scheme]
    task = TokenClassification(tags, scheme=scheme)
    scores = np.random.default_rng(seed).dirichlet(np.full(len(tags), 0.5), words)
    allowed = [
        way for way in product(range(len(tags)), repeat=words) if not iob_violations([tags[i] for i in way], scheme)
    ]
    best = max(allowed, key=lambda way: np.log(np.maximum(scores[np.arange(words), list(way)], 1e-30)).sum())
    assert task.said(scores, units_of(words)).tolist() == list(best)


def test_what_goes_on_is_said_where_nothing_begins_it() -> None:
    start, follow, end = transitions(("I-x", "O"), "iob2")
    assert not start.any()
    assert not follow.any()
    assert not end.any()


def test_tags_that_training_lacks_are_known_by_their_companions() -> None:
    task = TokenClassification.from_labels([("B-x", "O"), ("B-y", "I-y")])
    assert task.classes == ("B-x", "B-y", "I-x", "I-y", "O")
    assert task.scheme == "iob2"
    assert companions(["S-x", "O"], "iobes") == {"B-x", "I-x", "E-x", "S-x"}
    assert companions(["L-x", "B-x", "U-x"], "iobes") == {"B-x", "I-x", "L-x", "U-x"}
    assert companions(["I-x", "O"], "iob1") == {"I-x"}
    assert not tells_entities(["NOUN", "O"])
    words = TokenClassification.from_labels([("NOUN", "VERB")])
    assert (words.scheme, words.primary) == (None, "accuracy")
    with pytest.raises(DataError, match="'B-z' is not one"):
        task.encode(["B-z"])


def test_an_entity_is_as_sure_as_its_least_sure_word() -> None:
    task = TokenClassification(("B-x", "I-x", "O"), scheme="iob2")
    scores = np.array([[0.9, 0.05, 0.05], [0.1, 0.6, 0.3], [0.0, 0.0, 1.0]])
    (found,) = task.decode(scores, units_of(3))
    assert found == [{"type": "x", "text": "ab ab", "start": 0, "end": 5, "probability": 0.6}]


def test_entities_do_not_reach_over_texts() -> None:
    task = TokenClassification(("B-x", "I-x", "O"), scheme="iob1")
    scores = np.eye(3)[[1, 1]]
    one, two = task.decode(scores, units_of(1, 1))
    assert [len(one), len(two)] == [1, 1]
    (both,) = task.decode(scores, units_of(2))
    assert len(both) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 8), st.booleans(), st.integers(0, 10_000))
def test_the_answer_is_the_best_stretch_of_all(words: int, longest: int, lacking: bool, seed: int) -> None:
    task = QuestionAnswering(longest, lacking)
    units = units_of(words + 1, asked=True)
    logits = np.random.default_rng(seed).normal(size=(words + 1, 2))
    ways = {
        (a, b): logits[1 + a, 0] + logits[1 + b, 1] for a in range(words) for b in range(a, min(words, a + longest))
    }
    (a, b), value = max(ways.items(), key=lambda pair: pair[1])
    lack = logits[0].sum()
    scores = task.scores(logits)
    expected = "" if lacking and lack > value else units.passages[0].between(a, b)
    assert task.texts(scores, units) == [expected]
    (told,) = task.decode(scores, units)
    assert told[0]["text"] == expected
    every = np.exp([*ways.values(), *([lack] if lacking else [])])
    assert told[0]["probability"] == pytest.approx(every.max() / every.sum(), rel=1e-6)
    assert [one["probability"] for one in told] == sorted((one["probability"] for one in told), reverse=True)


def test_answers_are_judged_as_texts_each_by_the_rules_of_its_script() -> None:
    english = Passage("e", "in the year 1990", ((0, 2), (3, 6), (7, 11), (12, 16)), "When?", ("1990", "the year 1990"))
    chinese = Passage("c", "在北京市", ((0, 1), (1, 2), (2, 3), (3, 4)), "哪里?", ("北京",))
    nothing = Passage("n", "ab", ((0, 2),), "?", ())
    units = Units((english, chinese, nothing), np.array([0, 5, 10, 12]))
    task = QuestionAnswering(4, True)
    scores = np.full((12, 2), 0.01)
    scores[[2, 4], [0, 1]] = 0.9  # the year 1990
    scores[[7, 9], [0, 1]] = 0.9  # 北京市
    scores[10] = 0.9  # there is none
    found = task.metrics(np.zeros((12, 2)), scores, units)
    assert task.texts(scores, units) == ["the year 1990", "北京市", ""]
    assert found["exact_match"] == pytest.approx(2 / 3)
    assert found["answer_f1"] == pytest.approx((1 + 0.8 + 1) / 3)


def test_answers_are_as_long_as_training_has_them_and_may_lack_where_it_lacks_some() -> None:
    flags = [[(0, 0), (1, 0), (0, 0), (0, 1)], [(0, 0), (1, 1), (0, 0), (0, 0)]]
    assert QuestionAnswering.from_labels(flags) == QuestionAnswering(3, False)
    assert QuestionAnswering.from_labels([[(1, 1), (0, 0)], *flags]) == QuestionAnswering(3, True)
    with pytest.raises(DataError, match="two flags"):
        QuestionAnswering(1, False).encode([(1, 0), (2, 0)])
