"""The interface of a task: what the head predicts, how it is judged and how it is decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from headstart.core.passages import Units

    Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]


class Task(ABC):
    """What is predicted. A task is a frozen value: its outputs are fixed when it is made.

    Arrays of targets are `(N,)` class indices for a single label, `(N, K)` zeros and ones for
    many labels, `(N, K)` float for numbers. Where the words of a text are predicted, a word is a row, and `units` say
    which rows are of one text; they are None elsewhere.
    """

    kind: ClassVar[Literal["single", "multi", "number"]]
    by_word: ClassVar[bool] = False
    """Whether a row is a word, and what is judged is what its words together say of a text."""
    batch: ClassVar[int] = 64
    """Items of a batch, or texts whose words are predicted, at most, where nobody says how many. A text has many rows,
    of which few say anything, and takes much memory: what it needs is steps."""
    modality: str
    """Of the items that it is asked about: "image", "text", "audio" or "table"."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As in `metrics.json`, e.g. "image-classification"."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the K outputs: classes, labels or quantities."""

    @property
    @abstractmethod
    def primary(self) -> str:
        """The metric that choices look at unless the user names another; larger is better."""

    @abstractmethod
    def encode(self, labels: Sequence[Any]) -> np.ndarray:
        """Raw labels -> array of targets. Raises DataError naming a label that it does not know."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor, *, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
        """Mean loss of a batch, a scalar. logits: (B, K). targets: (B,) indices, or (B, K) soft labels or numbers.

        weight: (K,) per-class weights. smoothing: label smoothing in [0, 1).
        """

    @abstractmethod
    def scores(self, logits: np.ndarray) -> np.ndarray:
        """(N, K) raw outputs -> (N, K) probabilities (or predicted numbers, in the user's units)."""

    @abstractmethod
    def decode(self, scores: np.ndarray, units: Units | None = None) -> list[Any]:
        """(N, K) scores -> one JSON-ready prediction an item; a text, where words are predicted."""

    @abstractmethod
    def statistic(
        self, targets: np.ndarray, scores: np.ndarray, units: Units | None = None, only: str | None = None
    ) -> Statistic:
        """What gives every metric of the task (or `only` one), (R,) each, of counts (N, R) that say how often each item
        is in each of R samples; (U, R) of texts, where words are predicted."""

    def metrics(self, targets: np.ndarray, scores: np.ndarray, units: Units | None = None) -> dict[str, float]:
        """Every point metric of the task; `primary` is among the keys."""
        import numpy as np

        every = np.ones((len(targets) if units is None else len(units), 1), np.float32)
        return {name: float(value[0]) for name, value in self.statistic(targets, scores, units)(every).items()}

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to make the task again: `{"name": ..., ...}`; see `headstart.tasks.from_json`."""
