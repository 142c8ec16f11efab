"""Soft metrics against naive loops, scikit-learn on hard predictions, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score
from torch.nn.functional import one_hot

from headstart.core.errors import ConfigError, ShapeError
from headstart.losses.soft_metrics import SURROGATES, metric_term, soft_f1, soft_precision, soft_recall


def slow(name: str, p: np.ndarray, t: np.ndarray) -> float:
    """One class after the other, one item after the other."""
    values = []
    for k in range(p.shape[1]):
        tp = sum(p[i, k] * t[i, k] for i in range(len(p)))
        fp = sum(p[i, k] * (1 - t[i, k]) for i in range(len(p)))
        fn = sum((1 - p[i, k]) * t[i, k] for i in range(len(p)))
        if tp + fn == 0:
            continue
        values.append(
            {"soft-f1": 2 * tp / (2 * tp + fp + fn), "soft-precision": tp / (tp + fp), "soft-recall": tp / (tp + fn)}[
                name
            ]
        )
    return float(np.mean(values)) if values else 1.0


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(sorted(SURROGATES)),
    seed=st.integers(0, 10_000),
    items=st.integers(1, 9),
    classes=st.integers(2, 5),
    soft=st.booleans(),
)
def test_against_the_slow_reference(name: str, seed: int, items: int, classes: int, soft: bool) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 3.0), items)
    t = rng.dirichlet(np.full(classes, 3.0), items) if soft else np.eye(classes)[rng.integers(0, classes, items)]
    value = float(SURROGATES[name](torch.from_numpy(p), torch.from_numpy(t)))
    assert value == pytest.approx(slow(name, p, t), abs=1e-9)
    assert 0 <= value <= 1 + 1e-9
    assert float(metric_term(name, torch.from_numpy(p), torch.from_numpy(t))) == pytest.approx(1 - value)


def test_hard_predictions_give_the_ordinary_macro_metrics_over_present_classes() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)  # class 3 never occurs
    said = np.where(rng.random(60) < 0.6, truth, rng.integers(0, 4, 60))
    p, t = one_hot(torch.from_numpy(said), 4).double(), torch.from_numpy(truth)
    options = {"labels": [0, 1, 2], "average": "macro"}
    assert float(soft_f1(p, t)) == pytest.approx(f1_score(truth, said, **options), abs=1e-6)
    assert float(soft_precision(p, t)) == pytest.approx(precision_score(truth, said, **options), abs=1e-6)
    assert float(soft_recall(p, t)) == pytest.approx(recall_score(truth, said, **options), abs=1e-6)


def test_indices_and_one_hot_targets_agree() -> None:
    p = torch.softmax(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), 1)
    t = torch.tensor([0, 1, 2, 1, 0, 0])
    for surrogate in SURROGATES.values():
        torch.testing.assert_close(surrogate(p, t), surrogate(p, one_hot(t, 3)))


def test_nothing_present_costs_nothing() -> None:
    p = torch.full((4, 3), 0.5, requires_grad=True)
    penalty = metric_term("soft-f1", p, torch.zeros(4, 3))
    assert penalty.item() == 0.0
    penalty.backward()  # type: ignore[no-untyped-call]
    assert p.grad is not None
    assert torch.isfinite(p.grad).all()


@pytest.mark.parametrize("name", sorted(SURROGATES))
def test_gradients_by_finite_differences(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    t = torch.tensor([0, 2, 2, 0, 0])
    assert torch.autograd.gradcheck(lambda z: metric_term(name, torch.softmax(z, 1), t), (logits,))


@pytest.mark.parametrize("name", sorted(SURROGATES))
def test_descent_raises_the_metric(name: str) -> None:
    logits = torch.zeros(8, 3, requires_grad=True)
    t = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    optimizer = torch.optim.SGD([logits], lr=5.0)
    first = metric_term(name, torch.softmax(logits, 1), t).item()
    for _ in range(100):
        optimizer.zero_grad()
        metric_term(name, torch.softmax(logits, 1), t).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert metric_term(name, torch.softmax(logits, 1), t).item() < 0.2 * first


def test_wrong_shapes_and_names_are_told() -> None:
    with pytest.raises(ShapeError, match="expected \\(items, classes\\)"):
        soft_f1(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ShapeError, match="same shape"):
        soft_f1(torch.zeros(3, 2), torch.zeros(3, 4))
    with pytest.raises(ConfigError, match="soft-f1"):
        metric_term("soft-f2", torch.zeros(3, 2), torch.zeros(3, 2))
