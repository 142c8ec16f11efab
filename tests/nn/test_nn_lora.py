"""Adapters on a timm network: they change nothing at first, train alone, and merge without a trace."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from headstart.core.card import Architecture, ImageInput
from headstart.core.errors import ConfigError
from headstart.core.types import Features
from headstart.nn import lora
from headstart.nn.encoder import Encoder
from headstart.testing.sources import tiny_source


@pytest.fixture
def encoder() -> Encoder:
    return tiny_source().load()


BATCH = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def pooled(encoder: Encoder) -> Tensor:
    with torch.no_grad():
        out: Tensor = encoder.eval()(BATCH).pooled
    return out


def disturb(encoder: Encoder) -> None:
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.05)


def test_injected_adapters_change_nothing_yet(encoder: Encoder) -> None:
    before = pooled(encoder)
    names = lora.inject(encoder, 4, 8, 0.0, None, seed=0)
    assert names
    assert torch.equal(pooled(encoder), before)
    adapters = [n for n, _ in encoder.named_parameters() if "lora_" in n]
    assert len(adapters) == 2 * len(names)


def test_merging_keeps_outputs_names_and_types(encoder: Encoder) -> None:
    fresh = copy.deepcopy(encoder)
    source = pooled(encoder)
    lora.inject(encoder, 4, 8, 0.0, None, seed=0)
    disturb(encoder)
    adapted = pooled(encoder)
    lora.merge(encoder)
    assert (adapted - source).abs().max() > 0.01
    torch.testing.assert_close(pooled(encoder), adapted, atol=1e-5, rtol=1e-5)
    assert list(encoder.state_dict()) == list(fresh.state_dict())
    assert [(n, type(m)) for n, m in encoder.named_modules()] == [(n, type(m)) for n, m in fresh.named_modules()]
    assert vars(encoder).keys() == vars(fresh).keys()
    fresh.load_state_dict(encoder.state_dict())
    assert torch.equal(pooled(fresh), pooled(encoder))


def test_adapters_belong_to_the_stage_of_what_they_wrap(encoder: Encoder) -> None:
    homes = {name: encoder.stage_of(name) for name, _ in encoder.named_parameters()}
    lora.inject(encoder, 2, 2, 0.1, None, seed=0)
    for name, parameter in encoder.named_parameters():
        plain = name.replace(".base_layer", "")
        if "lora_" in name:
            plain = name.partition(".lora_")[0] + ".weight"
        assert encoder.stage_of(name) == homes[plain], name
        assert any(p is parameter for _, p in encoder.blocks[homes[plain]].parameters)


def test_only_the_last_blocks_are_adapted(encoder: Encoder) -> None:
    names = lora.adaptable(encoder, 2)
    assert {encoder.stage_of(name) for name in names} <= {len(encoder.stages()) - 1, len(encoder.stages()) - 2}
    assert set(names) < set(lora.adaptable(encoder))
    assert lora.adaptable(encoder, 99) == lora.adaptable(encoder)


def test_the_seed_decides(encoder: Encoder) -> None:
    def drawn(seed: int) -> list[Tensor]:
        torch.rand(3)
        twin = copy.deepcopy(encoder)
        lora.inject(twin, 2, 2, 0.0, None, seed)
        return [p.detach() for n, p in twin.named_parameters() if "lora_A" in n]

    before = torch.random.get_rng_state()
    one, two, other = drawn(0), drawn(0), drawn(1)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    torch.random.set_rng_state(before)
    torch.rand(9)
    expected = torch.random.get_rng_state()
    torch.random.set_rng_state(before)
    for _ in range(3):
        drawn(0)
    assert torch.equal(torch.random.get_rng_state(), expected), "drawing adapters should leave the global state alone"


class Odd(Encoder):
    """Layers that cannot be adapted, one a kind; and with `plain`, one that can."""

    def __init__(self, plain: bool) -> None:
        super().__init__()
        self.architecture = Architecture(library="test", name="odd")
        self.input = ImageInput(resize=32, crop=32)
        self.width = 4
        self.depthwise = nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.dilated = nn.Conv2d(3, 4, 3, padding=2, dilation=2)
        self.reflected = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.point = nn.Conv2d(4, 4, 3, stride=2, padding=1, bias=False) if plain else nn.Identity()

    def forward(self, batch: Tensor) -> Features:
        return Features(self.point(self.reflected(self.dilated(self.depthwise(batch)))).mean((2, 3)))

    def stages(self) -> tuple[str, ...]:
        return ("all",)

    def stage_of(self, name: str) -> int:
        return 0


def test_layers_that_would_not_merge_right_are_left_alone() -> None:
    torch.manual_seed(0)
    encoder = Odd(plain=True)
    assert lora.inject(encoder, 2, 4, 0.0, None, seed=0) == ["point"]
    disturb(encoder)
    adapted = pooled(encoder)
    lora.merge(encoder)
    torch.testing.assert_close(pooled(encoder), adapted, atol=1e-5, rtol=1e-5)


def test_nothing_to_adapt_is_told() -> None:
    with pytest.raises(ConfigError, match="LoRA found no layer"):
        lora.inject(Odd(plain=False), 2, 4, 0.0, None, seed=0)
