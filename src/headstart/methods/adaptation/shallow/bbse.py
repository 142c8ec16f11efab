"""Black box shift estimation: class shares by which the classifier's known confusions explain what it predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Correction


@dataclass(eq=False)
class BBSE(Correction):
    """Solve C w = m for w_y = p_t(y) / p_s(y): C_ij = p_s(predicted i, class j), m_i = p_t(predicted i).

    By least squares, negative w set to 0: a confusion matrix that tells some classes not apart leaves their ratio near
    what it was. soft: predictions count by their probability, not as the likeliest class.
    """

    name = "bbse"
    paper = "Lipton et al. 2018, Detecting and correcting for label shift with black box predictors, arXiv:1802.03916"

    soft: bool = False

    def _estimate(self, source: np.ndarray, labels: np.ndarray, target: np.ndarray) -> np.ndarray:
        classes = source.shape[1]
        said, now = (rows if self.soft else np.eye(classes)[rows.argmax(axis=1)] for rows in (source, target))
        confusion = said.T @ np.eye(classes)[labels] / len(labels)
        even = (self.source_priors_ > 0).astype(float)
        # The change from even weights is solved for: what C cannot tell stays even, and does not become 0.
        weights = even + np.linalg.lstsq(confusion, now.mean(axis=0) - confusion @ even, rcond=1e-6)[0]
        shares = np.maximum(weights, 0) * self.source_priors_
        return shares / shares.sum() if shares.sum() > 0 else self.source_priors_
