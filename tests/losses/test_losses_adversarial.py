"""Attacks against closed forms on linear models, and against a naive numpy loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from headstart.losses.adversarial import Ball, Box, fgsm, freelb, pgd, robust_accuracy

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


def pictures(seed: int, n: int = 4, size: int = 5) -> Tensor:
    """Normalised pictures whose pixels include the extremes 0 and 1."""
    rng = np.random.default_rng(seed)
    pixels = rng.choice([0.0, 1.0, rng.random(), rng.random()], (n, 3, size, size))
    return normalise(torch.from_numpy(pixels).float())


def normalise(pixels: Tensor) -> Tensor:
    return (pixels - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def pixels_of(batch: Tensor) -> Tensor:
    return batch * torch.tensor(STD).view(1, 3, 1, 1) + torch.tensor(MEAN).view(1, 3, 1, 1)


def classifier(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(75, 8), nn.Tanh(), nn.Linear(8, 3))


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 500),
    epsilon=st.floats(0.002, 0.5),
    steps=st.integers(1, 4),
    attack=st.sampled_from(["fgsm", "pgd"]),
)
def test_attacks_stay_in_the_box_and_in_the_pixel_range(seed: int, epsilon: float, steps: int, attack: str) -> None:
    model, batch, targets = classifier(seed), pictures(seed), torch.tensor([0, 1, 2, 0])
    box = Box(epsilon, MEAN, STD)

    def loss(x: Tensor) -> Tensor:
        return cross_entropy(model(x), targets)

    out = fgsm(batch, loss, box) if attack == "fgsm" else pgd(batch, loss, box, steps)
    change = (pixels_of(out) - pixels_of(batch)).abs()
    assert float(change.max()) <= epsilon + 1e-5
    assert float(pixels_of(out).min()) >= -1e-5
    assert float(pixels_of(out).max()) <= 1 + 1e-5
    assert not out.requires_grad
    assert all(p.grad is None for p in model.parameters())


def test_fgsm_on_a_linear_loss_is_the_sign_of_the_weights() -> None:
    weights = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))
    batch = normalise(torch.full((2, 3, 5, 5), 0.5))
    out = fgsm(batch, lambda x: (x * weights).sum(), Box(0.1, MEAN, STD))
    torch.testing.assert_close(pixels_of(out), 0.5 + 0.1 * weights.sign().expand(2, 3, 5, 5), atol=1e-5, rtol=0)


def test_pgd_follows_a_naive_loop() -> None:
    """The same ascent with numpy, pixels in 0..1, gradient written by hand, from the same random start."""
    w = np.random.default_rng(0).normal(size=(3, 5, 5))
    std, mean = np.array(STD).reshape(1, 3, 1, 1), np.array(MEAN).reshape(1, 3, 1, 1)
    batch, epsilon, steps = pictures(3).double(), 0.2, 3
    torch.manual_seed(7)
    out = pgd(batch, lambda x: ((x * torch.from_numpy(w)).sum((1, 2, 3)) ** 2).sum(), Box(epsilon, MEAN, STD), steps)
    torch.manual_seed(7)
    noise = torch.empty_like(batch).uniform_(-1, 1).numpy()
    real = batch.numpy() * std + mean
    low, high = np.maximum(real - epsilon, 0), np.minimum(real + epsilon, 1)
    pixels = np.clip(real + epsilon * noise, low, high)
    for _ in range(steps):
        x = (pixels - mean) / std
        gradient = 2 * (x * w).sum((1, 2, 3)).reshape(-1, 1, 1, 1) * w
        pixels = np.clip(pixels + 2.5 * epsilon / steps * np.sign(gradient), low, high)
    np.testing.assert_allclose(pixels_of(out).numpy(), pixels, atol=1e-6)


def test_attacks_raise_the_loss_and_more_steps_raise_it_more() -> None:
    model, batch, targets = classifier(), pictures(0, n=32), torch.arange(32) % 3
    box = Box(0.05, MEAN, STD)

    def loss(x: Tensor) -> Tensor:
        return cross_entropy(model(x), targets)

    torch.manual_seed(0)
    plain, single, many = loss(batch), loss(fgsm(batch, loss, box)), loss(pgd(batch, loss, box, 20, step=0.01))
    assert plain < single
    assert plain < many
    assert many > single - 1e-3


def test_freelb_averages_gradients_along_the_ascent() -> None:
    model, batch, targets = classifier(), pictures(1), torch.tensor([0, 1, 2, 0])
    box, steps = Box(0.1, MEAN, STD), 3
    passed: list[Tensor] = []

    def loss(x: Tensor) -> Tensor:
        passed.append(x.detach().clone())
        return cross_entropy(model(x), targets)

    total = freelb(batch, loss, lambda value: value.backward(), box, steps)  # type: ignore[no-untyped-call]
    assert len(passed) == steps
    got = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    mean = sum((cross_entropy(model(x), targets) for x in passed), torch.zeros(())) / steps
    mean.backward()  # type: ignore[no-untyped-call]
    for p, g in zip(model.parameters(), got, strict=True):
        assert p.grad is not None
        torch.testing.assert_close(g, p.grad)
    torch.testing.assert_close(total, mean.detach())
    assert all(float((pixels_of(x) - pixels_of(batch)).abs().max()) <= 0.1 + 1e-5 for x in passed)
    losses = [cross_entropy(model(x), targets).item() for x in passed]
    assert losses[-1] > losses[0]


def test_robust_accuracy_falls_with_the_radius_and_leaves_the_model_alone() -> None:
    model = classifier()
    model.append(nn.Dropout(0.5))
    model.train()
    batch = pictures(2, n=64)
    model.eval()
    targets = model(batch).argmax(1)
    model.train()
    torch.manual_seed(0)
    shares = [robust_accuracy(model, batch, targets, Box(e, MEAN, STD), steps=5) for e in (1e-6, 0.02, 0.5)]
    assert shares[0] == 1.0
    assert shares[0] >= shares[1] > shares[2]
    assert all(m.training for m in model.modules())
    wrong = (targets + 1) % 3
    assert robust_accuracy(model, batch, wrong, Box(0.3, MEAN, STD)) == 0.0


@pytest.mark.parametrize(("steps", "step", "expected"), [(1, None, 0.1), (5, None, 0.05), (5, 0.03, 0.03)])
def test_step_size(steps: int, step: float | None, expected: float) -> None:
    assert Box(0.1, MEAN, STD).step_size(steps, step) == pytest.approx(expected)


# -- the ball: vectors of words, of which some are padding ------------------------------------------------------------


def words(seed: int, lengths: tuple[int, ...] = (6, 3, 1)) -> tuple[Tensor, Tensor]:
    """Vectors (B, T, 4) and which are real (B, T)."""
    vectors = torch.randn(len(lengths), max(lengths), 4, generator=torch.Generator().manual_seed(seed)).double()
    return vectors, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 500),
    epsilon=st.floats(0.002, 0.9),
    steps=st.integers(1, 4),
    attack=st.sampled_from(["fgsm", "pgd"]),
)
def test_attacks_stay_in_the_ball_and_off_the_padding(seed: int, epsilon: float, steps: int, attack: str) -> None:
    vectors, real = words(seed)
    direction = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(seed + 1)).double()

    def loss(x: Tensor) -> Tensor:  # it looks at padding, too: whatever the network does, that never moves
        return (x * direction).sum().tanh() + x.square().sum()

    ball = Ball(epsilon, real)
    for out in (
        fgsm(vectors, loss, ball) if attack == "fgsm" else pgd(vectors, loss, ball, steps),
        ball.random_start(vectors),
    ):
        assert torch.equal(out[~real], vectors[~real])
        moved = (out - vectors).flatten(1).norm(dim=1)
        assert (moved > 0).all()
        assert (moved <= epsilon * (vectors * real[..., None]).flatten(1).norm(dim=1) * (1 + 1e-9)).all()


def test_in_a_ball_pgd_follows_a_naive_loop_over_items() -> None:
    vectors, real = words(3)
    weights, epsilon, steps = np.random.default_rng(0).normal(size=(6, 4)), 0.3, 3

    def loss(x: Tensor) -> Tensor:
        return (x * torch.from_numpy(weights)).sum((1, 2)).square().sum()

    torch.manual_seed(7)
    out = pgd(vectors, loss, Ball(epsilon, real), steps)
    torch.manual_seed(7)
    noise = torch.empty_like(vectors).uniform_(-1, 1).numpy()
    for item, mask in enumerate(real.numpy()):
        x = vectors[item].numpy()
        radius = epsilon * np.sqrt((x[mask] ** 2).sum())
        delta = noise[item] * radius / np.sqrt(4 * mask.sum())
        delta[~mask] = 0
        for _ in range(steps):
            gradient = 2 * ((x + delta) * weights).sum() * weights
            gradient[~mask] = 0
            delta = delta + 2.5 * radius / steps * gradient / np.sqrt((gradient**2).sum())
            delta *= min(1, radius / np.sqrt((delta**2).sum()))
        np.testing.assert_allclose(out[item].numpy(), x + delta, atol=1e-12)


def test_a_loss_that_does_not_look_moves_nothing() -> None:
    vectors, real = words(1)
    assert torch.equal(fgsm(vectors, lambda x: 0 * x.sum(), Ball(0.1, real)), vectors)
    nothing = torch.zeros(2, 3, 4)
    torch.testing.assert_close(pgd(nothing, lambda x: x.sum(), Ball(0.1), 2), nothing, atol=1e-9, rtol=0)
