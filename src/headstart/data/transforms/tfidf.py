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
SPARE, ROUNDS = 16, 2
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
    (randomised range finder, Halko et al. 2011, algorithm 4.4). Terms that one training text alone has are left out.
    """
    counted = [[Counter(terms(text)) for text in part] for part in (train, *others)]
    frequency = Counter(term for text in counted[0] for term in text)
    known = {term: i for i, term in enumerate(sorted(term for term, n in frequency.items() if n > 1))}
    if not known:
        return [np.zeros((len(part), 1), np.float32) for part in counted]
    idf = np.log((1 + len(train)) / (1 + np.array([frequency[term] for term in known]))) + 1
    matrices = [_matrix(part, known, idf) for part in counted]
    basis = _directions(matrices[0])
    return [np.asarray(matrix @ basis, np.float32) for matrix in matrices]


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
    """(terms, D) orthonormal: an approximate basis of the space that the rows span, strongest first."""
    rng = np.random.default_rng(0)
    size = min(RANK + SPARE, *matrix.shape)
    basis = np.linalg.qr(matrix.T @ rng.standard_normal((matrix.shape[0], size)).astype(np.float32))[0]
    for _ in range(ROUNDS if size < min(matrix.shape) else 0):
        basis = np.linalg.qr(matrix.T @ np.linalg.qr(matrix @ basis)[0])[0]
    small = np.asarray(matrix @ basis)
    strength, turn = np.linalg.eigh(small.T @ small)
    kept = np.argsort(strength)[::-1][:RANK]
    directions: np.ndarray = basis @ turn[:, kept]
    return directions
