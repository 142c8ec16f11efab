"""The interface of a scorer: says how well a source would transfer, without training it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np

    from headstart.core.card import SourceCard


@dataclass(frozen=True)
class Evidence:
    """What a score may look at: training items alone, as one source sees them.

    features: (N, D), what the source's encoder says of the items, finite.
    labels: (N,) any hashable values where each item has one class; (N, K) zeros and ones where it has several labels;
        (N, K) numbers. kind says which.
    groups: (N,) what must not be held out apart (a patient's items), or None.
    source_probabilities: (N, S) what the source's own head says of the items, rows that sum to 1; None where it has no
        head.
    card: what is known of the source without loading it. seed: of the division into folds.
    """

    features: np.ndarray
    labels: np.ndarray
    kind: Literal["single", "multi", "number"] = "single"
    groups: np.ndarray | None = None
    source_probabilities: np.ndarray | None = None
    card: SourceCard | None = None
    seed: int = 0


@dataclass(frozen=True)
class Score:
    """value: finite, larger is better; None where the score is not defined, and then `reason` says why.

    items: (N,) what the value is the mean of, where it is a mean over items: it gives the value an interval and lets
    two sources be compared item by item.
    """

    value: float | None
    items: np.ndarray | None = None
    reason: str = ""

    @classmethod
    def undefined(cls, reason: str) -> Score:
        return cls(None, reason=reason)


class Scorer(ABC):
    """A transferability score; larger means that the source suits the target better.

    Renaming the labels never changes it, whatever their values. It is never NaN or infinite.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = ""

    @abstractmethod
    def score(self, evidence: Evidence) -> Score:
        """Raises ShapeError where the evidence does not fit together."""
