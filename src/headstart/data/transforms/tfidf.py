"""Texts as weighted counts of their words and letters: what a classifier can have without a pretrained network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from headstart.core.extras import require

RANK: Final = 1024
"""Dimensions that are kept, the strongest ones. Of as many training texts, or fewer, nothing is lost: a linear model
with an L2 penalty stays within what its training items span."""
SPARE, ROUNDS = 16, 3
TOGETHER: Final = 128
"""Directions that are held at once for every term."""
_WORD: Final = re.compile(r"\w+|[^\w\s]")
LETTERS: Final = (1, 2, 3)
"""Lengths of runs of letters within words; in Chinese and its like these are the words."""


def terms(text: str) -> Iterator[str]:
    """Words, pairs of neighbouring words, and runs of one to three letters of a text, in lower case."""
    words = _WORD.findall(text.casefold())
    yield from words
    yield from (f"{a} {b}" for a, b in pairwise(words))
    for word in words:
        inside = f"_{word}_"
        for n in LETTERS:
            yield from (f"#{inside[i : i + n]}" for i in range(len(inside) - n + 1))


def tfidf(train: Sequence[str], others: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """(N, D) float32 of the training texts and of each other part, D at most 1024.

    Counts are 1 + ln(count), weighted by the inverse document frequency ln((1 + N) / (1 + df)) + 1 over the training
    texts, each text of length one (Salton and Buckley 1988), turned onto the main directions of the training texts
    (randomised subspace iteration, Halko et al. 2011, algorithm 4.4). Terms that only one training text has are left
    out.
    """
    counted = [[Counter(terms(text)) for text in part] for part in (train, *others)]
    frequency = Counter(term for text in counted[0] for term in text)
    known = {term: i for i, term in enumerate(sorted(term for term, n in frequency.items() if n > 1))}
    if not known:
        return [np.zeros((len(part), 1), np.float32) for part in counted]
    idf = np.log((1 + len(train)) / (1 + np.array([frequency[term] for term in known]))) + 1
    matrices = [_matrix(part, known, idf) for part in counted]
    train_rows, dual = matrices[0], _directions(matrices[0])
    return [_across(matrix, train_rows, dual) for matrix in matrices]


def _matrix(part: Sequence[Counter[str]], known: dict[str, int], idf: np.ndarray) -> Any:
    sparse = require("scipy.sparse", "train", "the baseline of texts")
    rows, columns, values = [], [], []
    for row, text in enumerate(part):
        found = [(known[term], count) for term, count in text.items() if term in known]
        weights = np.array([(1 + np.log(count)) * idf[column] for column, count in found])
        weights /= np.linalg.norm(weights) or 1.0
        rows += [row] * len(found)
        columns += [column for column, _ in found]
        values += weights.tolist()
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(part), len(known)), dtype=np.float32)


def _directions(matrix: Any) -> np.ndarray:
    """(N, D): the main directions of the rows, strongest first, each as the sum of rows that it is."""
    count = matrix.shape[0]
    size = min(RANK + SPARE, *matrix.shape)
    basis = np.eye(count, dtype=np.float32)
    if size < count:
        basis = np.linalg.qr(np.random.default_rng(0).standard_normal((count, size), np.float32))[0]
        for _ in range(ROUNDS):
            basis = np.linalg.qr(_across(matrix, matrix, basis))[0]
    squares, turn = np.linalg.eigh((basis.T @ _across(matrix, matrix, basis)).astype(np.float64))
    order = np.argsort(squares)[::-1][:RANK]
    order = order[squares[order] > 1e-6 * squares[order[0]]]
    dual: np.ndarray = (basis @ (turn[:, order] / np.sqrt(squares[order]))).astype(np.float32)
    return dual


def _across(rows: Any, others: Any, dual: np.ndarray) -> np.ndarray:
    """(M, V), (N, V) and (N, D) -> (M, D): how the rows lie on sums of the others, some directions at a time."""
    starts = range(0, dual.shape[1], TOGETHER)
    return np.hstack([np.asarray(rows @ (others.T @ dual[:, at : at + TOGETHER]), np.float32) for at in starts])
