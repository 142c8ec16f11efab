"""Texts as weighted counts, against scikit-learn's."""

from __future__ import annotations

import random

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from headstart.data.transforms.tfidf import RANK, terms, tfidf

WORDS = [
    "the",
    "of",
    "storm",
    "rain",
    "sun",
    "wind",
    "sea",
    "ship",
    "harbour",
    "bread",
    "salt",
    "oven",
    "flour",
    "baker",
    "night",
    "day",
    "雨",
    "风",
    "船",
]


def texts(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 12))) for _ in range(count)]


def test_terms_are_words_their_pairs_and_runs_of_letters() -> None:
    runs = "#_ #a #b #_ #_a #ab #b_ #_ab #ab_ #_ #c #_ #_c #c_ #_c_"
    assert list(terms("Ab c")) == ["ab", "c", "ab c", *runs.split()]
    assert "#船" in set(terms("船长"))


def test_products_of_texts_are_scikit_learns() -> None:
    """Where nothing is cut off, a turned matrix has the same inner products."""
    train, other = texts(60), texts(20, seed=1)
    ours, theirs = tfidf(train, [other])
    vectorizer = TfidfVectorizer(analyzer=lambda text: list(terms(text)), sublinear_tf=True, min_df=2)
    reference = vectorizer.fit_transform(train)
    np.testing.assert_allclose(ours @ ours.T, (reference @ reference.T).toarray(), atol=2e-3)
    np.testing.assert_allclose(theirs @ ours.T, (vectorizer.transform(other) @ reference.T).toarray(), atol=2e-3)


def test_of_very_many_texts_the_main_directions_are_kept() -> None:
    rng = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=5)) for _ in range(3000)]
    train = [" ".join(rng.choices(words, k=8)) for _ in range(RANK + 200)]
    ours, _ = tfidf(train, [train[:3]])
    assert ours.shape == (RANK + 200, RANK)
    exact = tfidf(train[:RANK], [train[RANK:]])[0]
    assert exact.shape[1] <= RANK
    squares = (ours**2).sum(0)
    assert (squares[:-1] >= squares[1:] * 0.97).all()
    assert squares.sum() > 0.8 * len(train)


def test_nothing_known_and_no_texts() -> None:
    assert tfidf(["a"], [["b"], []])[0].shape == (1, 1)
    train, other, none = tfidf(["one two", "one two"], [["three"], []])
    assert np.isfinite(other).all()
    assert none.shape == (0, train.shape[1])
