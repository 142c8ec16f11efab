"""Schedules against the formulas of their papers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.core.errors import ConfigError
from headstart.training.schedule import SCHEDULES, make_schedule


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@given(progress=st.floats(0, 1, exclude_max=True), warmup=st.floats(0, 0.9))
def test_a_factor_is_a_share_of_the_base_rate(name: str, progress: float, warmup: float) -> None:
    assert 0 <= make_schedule(name, warmup)(progress) <= 1 + 1e-9


def test_cosine_rises_then_falls_to_zero() -> None:
    schedule = make_schedule("cosine", 0.1)
    assert schedule(0.05) == pytest.approx(0.5)
    assert schedule(0.1) == pytest.approx(1.0)
    assert schedule(0.55) == pytest.approx(0.5)
    assert schedule(0.9999) == pytest.approx(0.0, abs=1e-6)


def test_slanted_triangle_as_in_ulmfit() -> None:
    """Howard and Ruder 2018, eq. 3, on their own counters: T = 1000 steps, cut_frac = 0.1, ratio = 32."""
    total, cut_share, ratio = 1000, 0.1, 32
    cut = math.floor(total * cut_share)
    schedule = make_schedule("slanted", cut_share)
    for step in (0, 1, 50, 99, 100, 101, 500, 999):
        p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / cut_share - 1))
        assert schedule(step / total) == pytest.approx((1 + p * (ratio - 1)) / ratio)


def test_one_cycle_matches_torch() -> None:
    import torch

    total = 200
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=total + 1, pct_start=0.3, cycle_momentum=False
    )
    ours = make_schedule("one-cycle", 0.3)
    for step in range(total):
        # torch peaks at step pct * total_steps - 1, we at pct * total_steps: a step apart.
        assert ours(step / total) == pytest.approx(theirs.get_last_lr()[0], abs=0.02)
        optimizer.step()
        theirs.step()


def test_an_unknown_schedule_names_the_closest() -> None:
    with pytest.raises(ConfigError, match="unknown schedule 'cosin'.*Did you mean 'cosine'"):
        make_schedule("cosin", 0.1)
