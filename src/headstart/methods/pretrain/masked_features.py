"""Masked features (VIME, Yoon et al. 2020): some cells of a row are another row's, and the network says which, and what
stood there.

A share of the cells is taken from other rows of the batch, column by column, so that each column's values stay as
frequent as they were. From what the encoder makes of such a row one linear layer says of every cell how likely it is
that it was changed, of a number what it was (squared error) and of a category which (cross-entropy).
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.card import TableInput
from headstart.methods.pretrain.pretext import Pretext
from headstart.nn.encoder import Encoder

SHARE: Final = 0.3
WEIGHT: Final = 2.0
"""Of what stood there, against which were changed (alpha of the paper)."""


class MaskedFeatures(Pretext):
    """For networks that take the columns of a table. Of a category that is missing or new nothing is asked, nor of a
    number that is missing."""

    name: ClassVar[str] = "masked-features"
    asks: ClassVar[Literal["token", "row"]] = "row"
    paper: ClassVar[str] = "Yoon et al. 2020, NeurIPS 33"

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        levels = _levels(encoder)
        self._numbers = [i for i, count in enumerate(levels) if not count]
        self._categories = [i for i, count in enumerate(levels) if count]
        self._sizes = [len(levels), len(self._numbers), *(levels[i] for i in self._categories)]

    @staticmethod
    def answers(encoder: Encoder) -> int:
        """Whether each column was changed, the numbers, and the levels of each category."""
        return sum(2 if not count else 1 + count for count in _levels(encoder))

    @staticmethod
    def misfit(encoder: Encoder) -> str:
        return "" if isinstance(encoder.input, TableInput) else "takes no columns of a table"

    def ask(self, encoder: Encoder, batch: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, 2): the loss of each row, a mean over its columns, and 1."""
        shape, device = batch.shape, batch.device
        taken = torch.rand(shape, generator=generator, device=device) < SHARE
        order = torch.rand(shape, generator=generator, device=device).argsort(0)
        shown = torch.where(taken, batch.gather(0, order), batch)
        changed = (shown != batch) & ~(shown.isnan() & batch.isnan())
        answers = torch.split(self.answer(encoder(shown).pooled).float(), self._sizes, dim=1)
        found = functional.binary_cross_entropy_with_logits(answers[0], changed.float(), reduction="none").sum(1)
        numbers = batch[:, self._numbers]
        errors = (answers[1] - numbers.nan_to_num()).square() * ~numbers.isnan()
        told = errors.sum(1)
        for i, logits in zip(self._categories, answers[2:], strict=True):
            told = told + functional.cross_entropy(logits, batch[:, i].long(), ignore_index=-1, reduction="none")
        return torch.stack([(found + WEIGHT * told) / shape[1], torch.ones_like(found)], dim=1)


def _levels(encoder: Encoder) -> list[int]:
    """Of each column how many levels it has, 0 for a number."""
    assert isinstance(encoder.input, TableInput)
    return [len(column.levels) for column in encoder.input.columns]
