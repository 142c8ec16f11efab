"""LogME: how probable are the labels under a Bayesian linear model of the features, at its best prior?"""

from __future__ import annotations

import numpy as np

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.ranking.shared import columns_of, features_of

NULL = 1e-10
"""Singular values below this share of the largest count as zero."""
STEPS, ENOUGH = 11, 1e-3
"""The published fixed-point iteration ends after so many steps, or where alpha / beta moves by less."""
SMALL = 1e-5


class LogME(Scorer):
    """mean_k log p(y_k | F) / N, maximised over the precisions alpha of the weights and beta of the noise (eq. 2).

    With F = U S V', x = U' y of the R directions that are not null, m = sum s^2 x^2 / (alpha/beta + s^2)^2 the squared
    length of the weights and r the squared residual:
    log p = R/2 log alpha + N/2 log beta - 1/2 sum log(alpha + beta s^2) - beta r / 2 - alpha m / 2 - N/2 log 2 pi,
    maximised by the fixed point alpha = g / m, beta = (N - g) / r with g = sum s^2 / (alpha/beta + s^2).
    y_k: an indicator a class or label, or a quantity. Null directions add nothing, so that fewer items than dimensions
    and constant features do no harm. With all features 0 the labels are noise alone.
    """

    name = "logme"
    paper = "You et al. 2021, arXiv:2102.11005"

    def score(self, evidence: Evidence) -> Score:
        u, s, _ = np.linalg.svd(features_of(evidence), full_matrices=False)
        keep = s > NULL * max(float(s.max(initial=0)), np.finfo(float).tiny)
        columns = columns_of(evidence)
        evidences = [_log_evidence(u[:, keep], s[keep] ** 2, y) for y in columns.T]
        return Score(float(np.mean(evidences)))


def _log_evidence(u: np.ndarray, sigma: np.ndarray, y: np.ndarray) -> float:
    """log p(y | F) / N. u: (N, R). sigma: (R,) squared singular values. y: (N,)."""
    number = len(y)
    x2 = (u.T @ y) ** 2
    outside = max(float(y @ y - x2.sum()), 0.0)
    alpha = beta = 1.0
    for _ in range(STEPS):
        ratio = alpha / beta
        gamma = float((sigma / (sigma + ratio)).sum())
        length = float((sigma * x2 / (ratio + sigma) ** 2).sum())
        residual = float((x2 / (1 + sigma / ratio) ** 2).sum()) + outside
        alpha = gamma / (length + SMALL) if len(sigma) else 1.0
        beta = max(number - gamma, SMALL) / (residual + SMALL)
        if abs(alpha / beta - ratio) <= ENOUGH * ratio:
            break
    fit = len(sigma) * np.log(alpha) + number * np.log(beta / (2 * np.pi)) - np.log(alpha + beta * sigma).sum()
    return float(fit - beta * residual - alpha * length) / (2 * number)
