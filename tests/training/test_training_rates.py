"""How many items a batch has where nobody says it."""

from __future__ import annotations

import pytest

from headstart.core.errors import InternalError
from headstart.nn.model import Model
from headstart.testing.sources import tiny_source
from headstart.training.rates import largest_batch


@pytest.mark.parametrize(("items", "size"), [(5, 8), (100, 8), (200, 16), (639, 32), (640, 64), (100_000, 64)])
def test_an_epoch_has_ten_steps_where_that_leaves_eight_items_to_each(items: int, size: int) -> None:
    model = Model(tiny_source().load(), 2)

    def attempt(size: int) -> None:
        raise InternalError("memory of a processor is not tried out")

    assert largest_batch(model, items, attempt, most=64) == size
    assert largest_batch(model, items, attempt, most=16) == min(size, 16)
