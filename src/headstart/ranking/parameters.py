"""The naive ranking by size: take the largest network."""

from __future__ import annotations

from headstart.core.scorer import Evidence, Score, Scorer


class Parameters(Scorer):
    """The number of the source's parameters, off its card. It looks at no item; a score worth its name beats it."""

    name = "parameters"

    def score(self, evidence: Evidence) -> Score:
        count = evidence.card.parameters if evidence.card is not None else None
        return Score.undefined("the source's card does not say") if count is None else Score(float(count))
