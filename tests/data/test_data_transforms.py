from __future__ import annotations

import math
import time
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import autoaugment as reference

from headstart.core.card import ImageInput
from headstart.core.config import AugmentConfig
from headstart.data.images import centre
from headstart.data.transforms import mix as mixing
from headstart.data.transforms.image import (
    OPERATIONS,
    apply_operation,
    normalise,
    random_box,
    strength,
    to_tensor,
    train_view,
)
from headstart.data.transforms.mix import cut_box, mix

CONTRACT = ImageInput(resize=64, crop=56)
POLICIES: tuple[Literal["light", "randaugment", "trivialaugment"], ...] = ("light", "randaugment", "trivialaugment")


def smooth(height: int = 64, width: int = 90, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


# -- views ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_a_view_is_determined_by_its_seed_alone(policy: Any) -> None:
    augment = AugmentConfig(policy=policy)
    np.random.seed(1)
    torch.manual_seed(1)
    first = [train_view(smooth(), CONTRACT, augment, seed) for seed in range(12)]
    np.random.seed(2)
    torch.manual_seed(2)
    before = (torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"])
    again = [train_view(smooth(), CONTRACT, augment, seed) for seed in reversed(range(12))]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], before[1])
    for a, b in zip(first, reversed(again), strict=True):
        assert (a.dtype, a.shape) == (torch.uint8, (3, 56, 56))
        assert torch.equal(a, b)
    assert len({view.numpy().tobytes() for view in first}) == 12


def test_seeds_of_any_size() -> None:
    big = [train_view(smooth(), CONTRACT, AugmentConfig(), seed) for seed in (2**63, 2**63 + 1, 2**64 - 1)]
    assert not torch.equal(big[0], big[1])


def test_policy_none_is_the_evaluation_view() -> None:
    view = train_view(smooth(), CONTRACT, AugmentConfig(policy="none", flip=1.0), 3)
    assert torch.equal(view, to_tensor(centre(smooth(), CONTRACT)))


def test_a_view_of_everything_is_a_plain_resize_and_flip() -> None:
    square = smooth(56, 56)
    whole = AugmentConfig(scale_min=1.0, flip=0.0)
    for seed in range(30):
        box = random_box(56, 56, 1.0, np.random.Generator(np.random.Philox(seed)))
        if box == (0, 0, 56, 56):
            view = train_view(square, CONTRACT, whole, seed)
            assert torch.equal(view, to_tensor(square))
            flipped = train_view(square, CONTRACT, AugmentConfig(scale_min=1.0, flip=1.0), seed)
            assert torch.equal(flipped, view.flip(-1))
            return
    pytest.fail("no seed kept the whole picture")


def test_flips_come_as_often_as_asked() -> None:
    flat_left = np.zeros((64, 64, 3), np.uint8)
    flat_left[:, 32:] = 255
    views = [train_view(flat_left, CONTRACT, AugmentConfig(flip=0.25), seed).float() for seed in range(400)]
    flipped = sum(bool(view[0, :, 0].mean() > view[0, :, -1].mean()) for view in views)
    assert 70 < flipped < 130


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.05, 1), st.integers(0, 2**32))
def test_random_boxes_lie_inside_and_keep_their_share(height: int, width: int, least: float, seed: int) -> None:
    top, left, h, w = random_box(height, width, least, np.random.Generator(np.random.Philox(seed)))
    assert 0 <= top <= top + h <= height
    assert 0 <= left <= left + w <= width
    assert h > 0
    assert w > 0
    if min(height, width) > 60 and max(height, width) < 1.3 * min(height, width):
        assert 0.70 < w / h < 1.4


def test_shares_and_aspects_of_boxes_are_spread() -> None:
    rng = np.random.Generator(np.random.Philox(0))
    boxes = np.array([random_box(1000, 1000, 0.3, rng) for _ in range(3000)])
    share = boxes[:, 2] * boxes[:, 3] / 1e6
    aspect = np.log(boxes[:, 3] / boxes[:, 2])
    assert 0.299 < share.min() < 0.31
    assert share.max() > 0.95
    assert abs(aspect.mean()) < 0.02
    assert abs(aspect.min() + math.log(4 / 3)) < 0.01


def test_the_light_policy_is_fast() -> None:
    """Over 1000 views of 224 px a second of one core's time; 250 leaves room for a crowded machine."""
    contract = ImageInput()
    pictures = [smooth(256, 341, seed) for seed in range(8)]
    start = time.thread_time()
    for seed in range(64):
        train_view(pictures[seed % 8], contract, AugmentConfig(), seed)
    assert 64 / (time.thread_time() - start) > 250


# -- operations, against torchvision --------------------------------------------------------------------------------

_THEIR_NAMES = {
    "identity": "Identity",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "color": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "autocontrast": "AutoContrast",
    "equalize": "Equalize",
}


def test_both_spaces_have_the_papers_operations() -> None:
    assert set(_THEIR_NAMES) == set(OPERATIONS)
    assert set(reference.RandAugment()._augmentation_space(31, (224, 224))) == set(_THEIR_NAMES.values())
    assert set(reference.TrivialAugmentWide()._augmentation_space(31)) == set(_THEIR_NAMES.values())


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_torchvisions(name: str, wide: bool) -> None:
    image = Image.fromarray(smooth(96, 96, 3))
    space: Any = (
        reference.TrivialAugmentWide()._augmentation_space(31)
        if wide
        else reference.RandAugment()._augmentation_space(31, image.size)
    )
    magnitudes, signed = space[_THEIR_NAMES[name]]
    for level in (0, 1, 9, 14, 22, 30):
        for sign in (1, -1) if signed else (1,):
            theirs_at = float(magnitudes[level].item()) * sign if magnitudes.ndim else 0.0
            theirs = reference._apply_op(
                image, _THEIR_NAMES[name], theirs_at, InterpolationMode.BILINEAR, [124.0, 116.0, 104.0]
            )
            ours = apply_operation(image, name, strength(name, level, 96, wide=wide, sign=sign), (124, 116, 104))
            difference = np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int))
            assert (difference > 2).mean() < 0.01, (level, sign)


def test_an_unknown_operation_is_named() -> None:
    with pytest.raises(ValueError, match=r"no operation 'blur'"):
        apply_operation(Image.new("RGB", (4, 4)), "blur", 0.0, (0, 0, 0))


# -- tensors --------------------------------------------------------------------------------------------------------


def test_normalise_is_the_formula_in_either_memory_format() -> None:
    batch = to_tensor(np.stack([smooth(20, 30, seed) for seed in range(3)]))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CONTRACT.mean, CONTRACT.std))
    expected = (batch.double() / 255 - mean) / std
    for given_batch in (batch, batch.contiguous()):
        before = given_batch.clone()
        made = normalise(given_batch, CONTRACT)
        assert made.dtype == torch.float32
        torch.testing.assert_close(made.double(), expected, rtol=0, atol=1e-6)
        assert torch.equal(given_batch, before)


# -- mixing ---------------------------------------------------------------------------------------------------------


def batch_of(n: int = 6, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(n).float().view(n, 1, 1, 1).expand(n, 3, 16, 16).clone(), torch.arange(n) % classes


def test_without_mixing_the_batch_stays_and_targets_become_soft() -> None:
    batch, targets = batch_of()
    mixed, soft = mix(batch, targets, 4, AugmentConfig(), 0)
    assert mixed is batch
    assert torch.equal(soft, torch.nn.functional.one_hot(targets, 4).float())


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_targets_are_mixed_as_the_pixels_are(options: dict[str, float]) -> None:
    """Each image holds its own index in every pixel, so that its mean tells the share of each side."""
    batch, _ = batch_of()
    original = batch.clone()
    for seed in range(20):
        mixed, soft = mix(batch, torch.arange(6), 6, AugmentConfig(**options), seed)
        assert torch.equal(batch, original)
        torch.testing.assert_close(soft.sum(1), torch.ones(6))
        torch.testing.assert_close(mixed.mean((1, 2, 3)), soft @ torch.arange(6.0), rtol=1e-4, atol=1e-4)
        again, soft_again = mix(batch, torch.arange(6), 6, AugmentConfig(**options), seed)
        assert torch.equal(mixed, again)
        assert torch.equal(soft, soft_again)


def test_mixup_blends_and_cutmix_pastes() -> None:
    batch, targets = batch_of()
    blended = [mix(batch, targets, 4, AugmentConfig(mixup=1.0), seed)[0] for seed in range(10)]
    assert all(len(image.unique()) == 1 for mixed in blended for image in mixed)
    assert any((mixed != mixed.round()).any() for mixed in blended)
    pasted = [mix(batch, targets, 4, AugmentConfig(cutmix=1.0), seed)[0] for seed in range(10)]
    assert all(torch.equal(mixed, mixed.round()) for mixed in pasted)
    assert any(len(image.unique()) == 2 for mixed in pasted for image in mixed)


def test_with_both_on_each_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes: list[float] = []

    def counted(height: int, width: int, share: float, rng: np.random.Generator) -> tuple[int, int, int, int]:
        boxes.append(share)
        return cut_box(height, width, share, rng)

    monkeypatch.setattr(mixing, "cut_box", counted)
    batch, targets = batch_of()
    for seed in range(100):
        mix(batch, targets, 4, AugmentConfig(mixup=0.2, cutmix=1.0), seed)
    assert 30 < len(boxes) < 70


def test_labels_and_numbers_are_mixed_too() -> None:
    batch, _ = batch_of(4)
    numbers = torch.tensor([[0.0, 10.0], [1.0, 20.0], [2.0, 30.0], [3.0, 40.0]])
    mixed, soft = mix(batch.double(), numbers, 2, AugmentConfig(mixup=1.0), 5)
    assert soft.dtype == torch.float64
    torch.testing.assert_close(soft[:, 0], mixed[:, 0, 0, 0])
    torch.testing.assert_close(soft[:, 1], 10 + 10 * mixed[:, 0, 0, 0])


def test_shares_follow_beta() -> None:
    batch = torch.zeros(2, 3, 2, 2)
    shares = []
    for seed in range(600):
        _, soft = mix(batch, torch.tensor([0, 1]), 2, AugmentConfig(mixup=0.2), seed)
        shares.append(float(soft[0, 0]))
    mixed = np.array([s for s in shares if s < 1])
    expected = np.random.default_rng(0).beta(0.2, 0.2, 100_000)
    assert abs(mixed.std() - expected.std()) < 0.05
    assert abs(mixed.mean() - 0.5) < 0.06


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 64), st.integers(1, 64), st.floats(0, 1), st.integers(0, 2**32))
def test_cut_boxes_lie_inside_and_are_no_larger_than_asked(height: int, width: int, share: float, seed: int) -> None:
    top, bottom, left, right = cut_box(height, width, share, np.random.Generator(np.random.Philox(seed)))
    assert 0 <= top <= bottom <= height
    assert 0 <= left <= right <= width
    assert (bottom - top) * (right - left) <= (1 - share) * height * width + 1e-6
