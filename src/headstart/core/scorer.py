"""The interface of a scorer: says how well a source would transfer, without training it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np


class Scorer(ABC):
    """A transferability score; larger means that the source suits the target better."""

    name: ClassVar[str]
    paper: ClassVar[str] = ""

    @abstractmethod
    def score(self, features: np.ndarray, labels: np.ndarray) -> float:
        """features: (N, D). labels: (N,), any hashable values; renaming them never changes the score."""
