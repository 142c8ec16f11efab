"""The naive ranking by fame: take the network that was best on its own data."""

from __future__ import annotations

from headstart.core.scorer import Evidence, Score, Scorer


class SourceAccuracy(Scorer):
    """The source's published accuracy on what it was trained on (Kornblith et al. 2019), off its card.

    It looks at no item; a score worth its name beats it. Not defined where the card does not say.
    """

    name = "source-accuracy"
    paper = "Kornblith et al. 2019, arXiv:1805.08974"

    def score(self, evidence: Evidence) -> Score:
        accuracy = evidence.card.source_accuracy if evidence.card is not None else None
        return Score.undefined("the source's card does not say") if accuracy is None else Score(accuracy)
