"""Points on a line between networks, and their averages."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headstart.core.errors import ShapeError
from headstart.nn.interpolate import average, interpolate


def state(seed: int, counter: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    for _ in range(counter):
        net(torch.randn(5, 3))
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


@settings(deadline=None, max_examples=20)
@given(share=st.floats(0, 1))
def test_a_point_on_the_line(share: float) -> None:
    a, b = state(0, 1), state(1, 2)
    for name, tensor in interpolate(a, b, share).items():
        assert tensor.dtype == a[name].dtype
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (1 - share) * a[name] + share * b[name])
        else:
            assert torch.equal(tensor, (b if share >= 0.5 else a)[name])


def test_the_ends_are_exact_and_nothing_is_shared() -> None:
    a, b = state(0, 1), state(1, 2)
    for share, end in ((0.0, a), (1.0, b)):
        mixed = interpolate(a, b, share)
        assert all(torch.equal(mixed[name], end[name]) for name in end)
        mixed["0.weight"].zero_()
        mixed["1.num_batches_tracked"].zero_()
    assert a["0.weight"].any()
    assert int(b["1.num_batches_tracked"]) == 2


def test_averages() -> None:
    states = [state(seed, seed) for seed in range(3)]
    mean = average(states)
    torch.testing.assert_close(mean["0.weight"], torch.stack([s["0.weight"] for s in states]).mean(0))
    torch.testing.assert_close(mean["1.running_var"], torch.stack([s["1.running_var"] for s in states]).mean(0))
    assert int(mean["1.num_batches_tracked"]) == 2
    assert mean["0.weight"].dtype == torch.float32
    same = average([states[1]] * 3)
    assert all(torch.equal(same[name], states[1][name]) for name in same)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    net.load_state_dict(mean)


def test_networks_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeError, match=r"'0.weight' is \(4, 3\) in one and \(2, 3\) in another"):
        interpolate(state(0), {**state(0), "0.weight": torch.zeros(2, 3)}, 0.5)
    with pytest.raises(ShapeError, match="'more' is absent"):
        average([state(0), {**state(0), "more": torch.zeros(1)}])
    with pytest.raises(ShapeError, match="nothing to average"):
        average([])
