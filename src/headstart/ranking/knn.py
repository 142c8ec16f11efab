"""Cross-validated nearest neighbours: do items that the source finds alike have the same label?"""

from __future__ import annotations

import numpy as np

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.nn.linear import FOLDS, assign_folds
from headstart.ranking.shared import classes_of, columns_of, divisions, features_of, standardised

CANDIDATES = (1, 3, 5, 10, 20)
TOGETHER = 1000
"""Rows of the similarity matrix that are held at once."""


class Neighbours(Scorer):
    """mean_i s_i, where item i is told from the k items of other folds whose features have the largest cosine.

    One class an item: the neighbours vote, ties to the nearer ones; s_i is 1 where they are right. Several labels and
    numbers: the mean of the neighbours is the prediction, and s_i = 1 - its squared error in units of the variance, so
    that the mean is R^2. k is the best of 1, 3, 5, 10, 20, ties to the larger. Features of length 0 are like nothing.
    Of fewer than 600 items, the mean of two or three divisions into folds. Not defined where nothing can be held out or
    no label varies.
    """

    name = "knn"
    paper = "Renggli et al. 2022, arXiv:2010.06402; Puigcerver et al. 2021, arXiv:2009.13239"

    def score(self, evidence: Evidence) -> Score:
        features = features_of(evidence)
        classes = classes_of(evidence) if evidence.kind == "single" else np.zeros(len(features), dtype=int)
        columns = columns_of(evidence) if evidence.kind == "single" else standardised(columns_of(evidence))
        folds = [assign_folds(classes, evidence.groups, FOLDS, seed) for seed in divisions(evidence)]
        if folds[0].max() == 0:
            return Score.undefined("a single item or group: nothing can be held out")
        if columns is None:
            return Score.undefined("all items have the same labels")
        length = np.linalg.norm(features, axis=1, keepdims=True)
        rows = features / np.where(length > 0, length, 1)
        judged = {k: np.zeros(len(rows)) for k in CANDIDATES}
        for fold in folds:
            for f in range(fold.max() + 1):
                known = np.flatnonzero(fold != f)
                held = np.flatnonzero(fold == f)
                for part in np.array_split(held, range(TOGETHER, len(held), TOGETHER)):
                    nearest = known[_largest(rows[part] @ rows[known].T, CANDIDATES[-1])]
                    for k in CANDIDATES:
                        right = _judge(columns[nearest[:, :k]], columns[part], evidence.kind == "single")
                        judged[k][part] += right / len(folds)
        best = max(CANDIDATES, key=lambda k: (judged[k].mean(), k))
        return Score(float(judged[best].mean()), judged[best])


def _largest(similarity: np.ndarray, k: int) -> np.ndarray:
    """(B, M) -> (B, k) columns of the k largest values (all M where there are fewer), largest first."""
    k = min(k, similarity.shape[1])
    some = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(similarity, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def _judge(neighbours: np.ndarray, wanted: np.ndarray, vote: bool) -> np.ndarray:
    """neighbours: (B, k, K), nearest first. wanted: (B, K). (B,) how right each item is told."""
    if vote:
        nearer = 1 + 1e-6 * np.arange(neighbours.shape[1], 0, -1)  # breaks ties
        right: np.ndarray = (neighbours * nearer[:, None]).sum(axis=1).argmax(axis=1) == wanted.argmax(axis=1)
        return right.astype(np.float64)
    error: np.ndarray = ((neighbours.mean(axis=1) - wanted) ** 2).mean(axis=1)
    return 1 - error
