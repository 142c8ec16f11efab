"""Texts whose every word is predicted by itself: sentences with tags, contexts in which answers stand.

U passages, N rows: one for each word, those of a passage in order; where a question is asked, one before them that says
that nothing answers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

NOWHERE: Final = -1
"""The place that stands for no word at all."""


@dataclass(frozen=True, eq=False, slots=True)
class Passage:
    """A text and its words.

    id: as the user names it. words: (start, end) of each, in characters. question: asked of the text, "" where none is.
    answers: right ones, as texts; () where the text holds none, or they are not known.
    """

    id: str
    text: str
    words: tuple[tuple[int, int], ...]
    question: str = ""
    answers: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """The word of its first row."""
        return NOWHERE if self.question else 0

    def shown(self, most: int = 300) -> str:
        """The question, and the text or its beginning, on one line."""
        whole = " ".join(self.text.split())
        cut = whole if len(whole) <= most else whole[: most - 1] + "…"
        return f"{self.question} — {cut}" if self.question else cut

    def between(self, first: int, last: int) -> str:
        """The text from one word to another, both with it."""
        return self.text[self.words[first][0] : self.words[last][1]]


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """A row: one word of a passage, or NOWHERE."""

    passage: Passage
    word: int

    @property
    def id(self) -> str:
        return f"{self.passage.id} word {self.word + 1}"


@dataclass(frozen=True, eq=False)
class Units:
    """Which rows belong to one passage. starts: (U + 1,) the first row of each, and N."""

    passages: tuple[Passage, ...]
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.passages)

    def rows(self, unit: int) -> slice:
        return slice(int(self.starts[unit]), int(self.starts[unit + 1]))

    @property
    def of(self) -> np.ndarray:
        """(N,) the unit of each row."""
        import numpy as np

        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def every(self, units: Sequence[int] | np.ndarray) -> np.ndarray:
        """The rows of some units, one unit after the other."""
        import numpy as np

        return np.concatenate([np.zeros(0, int), *(np.arange(self.starts[u], self.starts[u + 1]) for u in units)])

    def take(self, units: Sequence[int] | np.ndarray) -> Units:
        """Some of the units, as the whole of their rows (`every`)."""
        import numpy as np

        sizes = [int(self.starts[u + 1] - self.starts[u]) for u in units]
        return Units(tuple(self.passages[u] for u in units), np.concatenate([[0], np.cumsum(sizes, dtype=int)]))
