"""Penalties against plain numpy and finite differences."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call

from headstart.losses.penalties import elastic_net, l1, l2_sp


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    return nn.Sequential(OrderedDict(encoder=body, head=nn.Linear(4, 2))).double()


def moved_from_start(seed: int = 0) -> tuple[nn.Sequential, dict[str, Tensor]]:
    model = network(seed)
    start = {n: p.detach().clone() for n, p in model.named_parameters() if n.startswith("encoder.")}
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    return model, start


def arrays(model: nn.Module) -> dict[str, np.ndarray]:
    return {n: p.detach().numpy() for n, p in model.named_parameters()}


@settings(deadline=None, max_examples=25)
@given(alpha=st.floats(0, 10), beta=st.floats(0, 10), seed=st.integers(0, 1000))
def test_l2_sp_is_the_papers_sum(alpha: float, beta: float, seed: int) -> None:
    model, start = moved_from_start(seed)
    w = arrays(model)
    shared = sum(float(((w[n] - start[n].numpy()) ** 2).sum()) for n in start)
    new = sum(float((w[n] ** 2).sum()) for n in w if n not in start)
    assert l2_sp(model, start, alpha, beta).item() == pytest.approx(alpha / 2 * shared + beta / 2 * new, rel=1e-6)


def test_l2_sp_is_zero_where_training_starts_with_a_zero_head() -> None:
    model = network()
    start = {n: p.detach().clone() for n, p in model.named_parameters() if n.startswith("encoder.")}
    for p in model.get_submodule("head").parameters():
        nn.init.zeros_(p)
    assert l2_sp(model, start, 1.0, 1.0).item() == 0.0


def test_l2_sp_pulls_along_the_way_back() -> None:
    model, start = moved_from_start()
    l2_sp(model, start, 0.3, 0.7).backward()  # type: ignore[no-untyped-call]
    for name, p in model.named_parameters():
        expected = 0.3 * (p - start[name]) if name in start else 0.7 * p
        assert p.grad is not None
        torch.testing.assert_close(p.grad, expected.detach())


@settings(deadline=None, max_examples=25)
@given(a=st.floats(0, 5), b=st.floats(0, 5), seed=st.integers(0, 1000), towards_start=st.booleans())
def test_elastic_net_against_numpy(a: float, b: float, seed: int, towards_start: bool) -> None:
    model, start = moved_from_start(seed)
    expected = 0.0
    for name, w in arrays(model).items():
        if towards_start and name in start:
            d = w - start[name].numpy()
        elif w.ndim > 1:
            d = w
        else:
            continue
        expected += a * np.abs(d).sum() + b / 2 * (d**2).sum()
    value = elastic_net(model, a, b, start if towards_start else None)
    assert value.item() == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert elastic_net(model, a, 0.0, start).item() == pytest.approx(l1(model, a, start).item())


def test_what_does_not_train_is_left_out() -> None:
    model, start = moved_from_start()
    for p in model.parameters():
        p.requires_grad_(False)
    assert l2_sp(model, start, 1.0, 1.0).item() == 0.0
    assert elastic_net(model, 1.0, 1.0).item() == 0.0
    weight = model.get_parameter("head.weight").requires_grad_(True)
    assert float(l1(model, 1.0).detach()) == pytest.approx(float(weight.detach().abs().sum()))


@pytest.mark.parametrize("penalty", ["l2-sp", "elastic"])
def test_gradients_by_finite_differences(penalty: str) -> None:
    model, start = moved_from_start()
    names = [n for n, _ in model.named_parameters()]

    class Probe(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self) -> Tensor:
            if penalty == "l2-sp":
                return l2_sp(self.inner, start, 0.3, 0.7)
            return elastic_net(self.inner, 0.3, 0.7, start)

    def value(*weights: Tensor) -> Tensor:
        out = functional_call(Probe(), {f"inner.{n}": w for n, w in zip(names, weights, strict=True)}, ())
        assert isinstance(out, Tensor)
        return out

    weights = tuple(p.detach().clone().requires_grad_() for p in model.parameters())
    assert torch.autograd.gradcheck(value, weights)
