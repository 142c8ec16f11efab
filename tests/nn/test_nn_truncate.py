"""A cut network is the same function as the whole one, at every place, or it is not cut."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from headstart.core.card import Architecture, ImageInput, TextInput
from headstart.core.types import Features
from headstart.nn import lora
from headstart.nn.encoder import Encoder
from headstart.nn.settle import settle_statistics
from headstart.nn.truncate import cut
from headstart.sources import build
from headstart.testing.sources import random_batch, tiny_source, tiny_text_source

NETWORKS = (
    "timm:test_efficientnet",
    "timm:test_vit",
    "timm:test_resnet",
    "timm:test_convnext",
    "torchvision:squeezenet1_1",
    "torchvision:resnet18",
)


def network(name: str) -> tuple[Encoder, Tensor]:
    library, _, architecture = name.partition(":")
    torch.manual_seed(0)
    side = 160 if architecture == "test_vit" else 64
    encoder = build(Architecture(library=library, name=architecture), ImageInput(resize=side, crop=side))
    settle_statistics(encoder, torch.randn(8, 3, side, side))
    return encoder, torch.randn(3, 3, side, side)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_cut_gives_the_same_features(name: str) -> None:
    encoder, batch = network(name)
    before = encoder.state_dict().keys()
    with torch.no_grad():
        whole = encoder(batch).pooled
    assert whole.std() > 1e-3
    for frozen in range(1, len(encoder.stages()) + 1):
        found = cut(encoder, frozen, batch[:2])
        assert found is not None, f"{name} was not cut behind stage {frozen}"
        activations = found.bottom(batch)
        with torch.no_grad(), found.resumed():
            torch.testing.assert_close(encoder(activations).pooled, whole, rtol=1e-4, atol=1e-5)
            assert not torch.allclose(encoder(activations.flip(0)).pooled, whole)
        with torch.no_grad():
            assert torch.equal(encoder(batch).pooled, whole), "the network is left as it was"
    assert encoder.state_dict().keys() == before


def test_gradients_above_the_cut_are_those_of_the_whole_network() -> None:
    encoder = tiny_source().load()
    batch = torch.randn(4, 3, 32, 32)
    frozen = 4
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(encoder.stage_of(name) >= frozen)
    found = cut(encoder, frozen, batch)
    assert found is not None

    def gradients(given: Tensor) -> dict[str, Tensor]:
        encoder.zero_grad()
        encoder(given).pooled.square().sum().backward()
        return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}

    expected = gradients(batch)
    activations = found.bottom(batch)
    with found.resumed():
        again = gradients(activations)
    assert again.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-4, atol=1e-5)


def test_adapters_above_the_cut_are_left_in() -> None:
    encoder = tiny_source().load()
    lora.inject(encoder, 2, 4.0, 0.0, 2, 0)
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    encoder.eval()
    batch = torch.randn(2, 3, 32, 32)
    found = cut(encoder, len(encoder.stages()) - 2, batch)
    assert found is not None
    activations = found.bottom(batch)
    with torch.no_grad(), found.resumed():
        torch.testing.assert_close(encoder(activations).pooled, encoder_whole(encoder, batch))


def encoder_whole(encoder: Encoder, batch: Tensor) -> Tensor:
    fresh = tiny_source().load()
    lora.inject(fresh, 2, 4.0, 0.0, 2, 0)
    fresh.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        pooled: Tensor = fresh.eval()(batch).pooled
    return pooled


def test_nothing_is_cut_where_nothing_is_frozen_or_the_frozen_part_still_moves() -> None:
    encoder = tiny_source().load()
    batch = torch.randn(2, 3, 32, 32)
    assert cut(encoder, 0, batch) is None
    assert cut(encoder.train(), 3, batch) is None


def test_trying_a_cut_moves_nothing() -> None:
    encoder = tiny_source().load().train()
    for block in encoder.blocks[:3]:
        for module in block.modules:
            module.eval()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    modes = [module.training for module in encoder.modules()]
    cut(encoder, 3, torch.randn(4, 3, 32, 32))
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    assert [module.training for module in encoder.modules()] == modes


class Odd(Encoder):
    """Its second layer looks at the input again: it cannot go on from the first one's activations alone."""

    width = 4

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(8, 4)

    def forward(self, batch: Tensor) -> Features:
        return Features(self.second(torch.cat([self.first(batch), batch], dim=1)))

    def stages(self) -> tuple[str, ...]:
        return ("first", "second")

    def stage_of(self, name: str) -> int:
        return int(name.startswith("second"))


class Twice(Odd):
    """Its first layer runs twice."""

    def forward(self, batch: Tensor) -> Features:
        once = self.first(batch)
        return Features(self.second(torch.cat([once, self.first(once)], dim=1)))


@pytest.mark.parametrize("kind", [Odd, Twice])
def test_what_is_no_chain_is_not_cut(kind: type[Encoder]) -> None:
    torch.manual_seed(0)
    assert cut(kind().eval(), 1, torch.randn(3, 4)) is None


# -- texts, of several lengths -----------------------------------------------------------------------------------------

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
TEXTS: dict[str, dict[str, object]] = {
    "bert": {},
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 64},
    "roberta": {"pad_token_id": 1},
    "mpnet": {"pad_token_id": 1},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 2},
    "llama": {"num_key_value_heads": 1},
}


def reader(name: str) -> tuple[Encoder, Tensor]:
    contract = tiny_text_source().card.input
    assert isinstance(contract, TextInput)
    options = {**SIZES, "vocab_size": 200, "max_position_embeddings": 40, **TEXTS[name]}
    torch.manual_seed(0)
    encoder = build(Architecture(library="transformers", name=name, options=options), contract)
    for parameter in encoder.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(5)
    batch = random_batch(contract, 4)
    batch[0, 1] = -1  # a text without a token
    return encoder, batch


@pytest.mark.parametrize("name", TEXTS)
def test_texts_of_several_lengths_are_cut(name: str) -> None:
    encoder, batch = reader(name)
    with torch.no_grad():
        whole = encoder(batch)
    assert cut(encoder, 1, batch) is None  # vectors are looked up
    for frozen in range(2, len(encoder.stages()) + 1):
        found = cut(encoder, frozen, batch[2:])
        assert found is not None, f"{name} was not cut behind stage {frozen}"
        activations = found.bottom(batch)
        with torch.no_grad(), found.resumed():
            again = encoder(activations)
            longer = encoder(nn.functional.pad(activations, (0, 0, 0, 3), value=torch.nan))
            other = encoder(activations.flip(0))
        torch.testing.assert_close(again.pooled, whole.pooled, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(longer.pooled, whole.pooled, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(other.pooled, whole.pooled)
        real = batch[:, 1] >= 0
        torch.testing.assert_close(again.tokens[real], whole.tokens[real], rtol=1e-4, atol=1e-5)


def test_a_network_whose_later_stages_look_at_words_again_is_not_cut() -> None:
    contract = tiny_text_source().card.input
    options = {"vocabulary": 200, "words": 16, "branch": 8, "hidden": 8, "width": 8}
    encoder = build(Architecture(library="headstart", name="use-multilingual", options=options), contract)
    batch = random_batch(contract, 4)
    stages = encoder.stages()
    found = [cut(encoder, frozen, batch) for frozen in range(2, len(stages))]
    for truncation in found:
        if truncation is not None:
            activations, whole = truncation.bottom(batch), encoder(batch).pooled
            with torch.no_grad(), truncation.resumed():
                torch.testing.assert_close(encoder(activations).pooled, whole)
    assert None in found
