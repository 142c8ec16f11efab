"""The cross-validated linear probe: how well does the best linear head do on items that it was not fitted to?

The default. Over thousands of fine-tunings a linear probe or k-NN ranks sources as well as anything that was proposed
since, and fails least (Renggli et al. 2022; Agostinelli et al. 2022, "How stable are transferability metrics
evaluations?").
"""

from __future__ import annotations

import numpy as np

from headstart.core.scorer import Evidence, Score, Scorer
from headstart.nn.linear import held_out_losses
from headstart.ranking.shared import classes_of, columns_of, divisions, features_of, standardised


class LinearProbe(Scorer):
    """mean_i s_i over items, each judged by a head of five-fold cross-validation that did not see it or its group; of
    fewer than 600 items, the mean of two or three divisions into folds.

    One class an item: s_i is 1 where the class is right. Several labels: s_i = 1 - l_i / H, with l_i the log loss and H
    that of always saying the labels' frequencies (McFadden 1974). Numbers: s_i = 1 - e_i, with e_i the mean squared
    error in units of each quantity's variance, so that the mean is R^2. Labels or quantities that never vary are left
    out; where none is left, and with a single item or group, the score is not defined. A class with one item is never
    right.
    """

    name = "probe"
    paper = "Renggli et al. 2022, arXiv:2010.06402; Alain and Bengio 2017, arXiv:1610.01644"

    def score(self, evidence: Evidence) -> Score:
        features = features_of(evidence)
        unit = 1.0
        if evidence.kind == "single":
            targets = classes_of(evidence)
            outputs = int(targets.max()) + 1
        else:
            columns = columns_of(evidence)
            scaled = standardised(columns)
            if scaled is None:
                return Score.undefined("all items have the same labels")
            targets, outputs = scaled, scaled.shape[1]
            if evidence.kind == "multi":
                targets = (scaled > 0).astype(np.float64)
                share = targets.mean(axis=0)
                unit = float(-(share * np.log(share) + (1 - share) * np.log1p(-share)).mean())
        losses = [
            held_out_losses(
                features,
                targets,
                evidence.kind,
                outputs,
                groups=evidence.groups,
                criterion="accuracy" if evidence.kind == "single" else "log_loss",
                seed=seed,
            )
            for seed in divisions(evidence)
        ]
        told = [loss for loss in losses if loss is not None]
        if not told:
            return Score.undefined("a single item or group: nothing can be held out")
        items = 1 - np.mean(told, axis=0) / unit
        return Score(float(items.mean()), items)
