from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headstart.training.randomness import derive, permutation

positions = st.lists(st.one_of(st.text(max_size=5), st.integers(0, 9)), max_size=4)


@given(st.integers(0, 2**31), positions, positions)
def test_positions_do_not_share_seeds(seed: int, a: list[str | int], b: list[str | int]) -> None:
    same = "\x1f".join(["", *map(str, a)]) == "\x1f".join(["", *map(str, b)])
    assert 0 <= derive(seed, *a) < 2**63
    assert (derive(seed, *a) == derive(seed, *b)) == same


@given(st.integers(0, 200), st.integers(0, 100))
def test_a_permutation_is_one_and_repeats(count: int, epoch: int) -> None:
    order = permutation(count, 1, "full", epoch)
    assert sorted(order) == list(range(count))
    assert np.array_equal(order, permutation(count, 1, "full", epoch))


def test_epochs_differ() -> None:
    assert not np.array_equal(permutation(100, 1, "full", 0), permutation(100, 1, "full", 1))


def test_seeds_are_the_same_on_every_machine_and_version() -> None:
    assert derive(0, "full", "step", 3) == 2345085812376081795
