"""What every source must keep, and a tiny source to test everything else with.

@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Check) -> None:
    check(MySource())
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from headstart.core import assets
from headstart.core.card import (
    Architecture,
    AudioInput,
    Column,
    ImageInput,
    Input,
    Mel,
    SourceCard,
    TableInput,
    TextInput,
)
from headstart.core.source import Availability, Source
from headstart.core.types import Features
from headstart.data import tokens
from headstart.nn.encoder import Encoder
from headstart.nn.entrance import entered, values_of
from headstart.nn.pooling import real_tokens
from headstart.nn.settle import settle_statistics
from headstart.sources import build

Check = Callable[[Source], None]


@dataclass(frozen=True)
class TinySource(Source):
    """A convolutional network of 100,000 weights on pictures of 32 pixels; its weights depend on the seed alone."""

    seed: int = 0

    @cached_property
    def card(self) -> SourceCard:
        return _card_of(self.load(), f"tiny-{self.seed}")

    def availability(self) -> Availability:
        return Availability(True, "made from its seed")

    def load(self) -> Encoder:
        architecture = Architecture(library="timm", name="test_efficientnet")
        input = ImageInput(resize=36, crop=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            encoder = build(architecture, input)
            settle_statistics(encoder, torch.randn(64, 3, input.crop, input.crop))
        return encoder


def tiny_source(seed: int = 0) -> Source:
    """A real source in miniature: 7 blocks, batch normalisation, 256 features, 32-pixel pictures, loads in 0.1 s."""
    return TinySource(seed)


_ENGLISH = """
the a and or not no is was very so too this that it film book food room day night man woman friend plot
good great fine lovely warm bright clever bad poor dull awful cold dark stupid big small old new
who what when where why how many read saw ate went said found liked loved hated
"""
WORDS = (
    *_ENGLISH.split(),
    *"好坏大小中国人天书吃看不很是的了我你他她",
    *"0123456789.,!?;:'-()，。！？",
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"),
)
"""The vocabulary of the tiny tokenizer: any word of small letters can be spelled with it."""


def tiny_tokenizer() -> bytes:
    """A tokenizer.json: WordPiece in small letters, every Chinese character a token, `[CLS] a [SEP] b [SEP]`."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys((*special, *WORDS)))}
    cls, sep = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("[CLS]", "[SEP]"))
    first, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    end = {"SpecialToken": {"id": "[SEP]", "type_id": 1}}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": i, "content": token, **plain} for i, token in enumerate(special)],
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [cls, first, sep],
                "pair": [cls, first, sep, second, end],
                "special_tokens": {
                    token: {"id": token, "ids": [vocabulary[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")
                },
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": vocabulary,
            },
        },
        sort_keys=True,
    ).encode()


@dataclass(frozen=True)
class TinyTextSource(Source):
    """A BERT of two layers and width 32 on texts of 32 tokens; its weights depend on the seed alone."""

    seed: int = 0

    @cached_property
    def card(self) -> SourceCard:
        return _card_of(self.load(), f"tiny-text-{self.seed}")

    def availability(self) -> Availability:
        return Availability(True, "made from its seed")

    def load(self) -> Encoder:
        input = TextInput(tokenizer=assets.keep(tiny_tokenizer()), length=32)
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        options = {**sizes, "vocab_size": tokens.tokenizer(input).get_vocab_size(), "max_position_embeddings": 32}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            encoder = build(Architecture(library="transformers", name="bert", options=options), input)
            for parameter in encoder.parameters():
                if parameter.ndim > 1:
                    parameter.data.mul_(5)  # so far from zero that it tells words apart
        return encoder


def tiny_text_source(seed: int = 0) -> Source:
    """A real text source in miniature: 3 blocks, 32 features, English words and Chinese characters."""
    return TinyTextSource(seed)


@dataclass(frozen=True)
class TinyAudioSource(Source):
    """Four blocks of convolutions on spectrograms of a second at 8 kHz; its weights depend on the seed alone."""

    seed: int = 0

    @cached_property
    def card(self) -> SourceCard:
        return _card_of(self.load(), f"tiny-audio-{self.seed}")

    def availability(self) -> Availability:
        return Availability(True, "made from its seed")

    def load(self) -> Encoder:
        floor = 1e-4
        mel = Mel(bands=24, window=256, hop=80, log="shift", floor=floor, mean=math.log(floor), std=3)
        input = AudioInput(rate=8000, seconds=1.0, mel=mel)
        architecture = Architecture(library="headstart", name="aisfx", options={"channels": 8})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            encoder = build(architecture, input)
            settle_statistics(encoder, random_batch(input, 32))
        return encoder


def tiny_audio_source(seed: int = 0) -> Source:
    """A real audio source in miniature: 4 blocks, batch normalisation, 64 features, a second of sound."""
    return TinyAudioSource(seed)


@dataclass(frozen=True)
class TinyTableSource(Source):
    """A perceptron of two layers and width 32 on four numbers and two categories; its weights depend on the seed
    alone."""

    seed: int = 0

    @cached_property
    def card(self) -> SourceCard:
        return _card_of(self.load(), f"tiny-table-{self.seed}")

    def availability(self) -> Availability:
        return Availability(True, "made from its seed")

    def load(self) -> Encoder:
        numbers = [Column(name=f"n{i}", mean=float(i), std=1.0 + i) for i in range(4)]
        categories = [Column(name="c0", levels=("blue", "green", "red")), Column(name="c1", levels=("no", "yes"))]
        architecture = Architecture(library="headstart", name="mlp", options={"width": 32})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            encoder = build(architecture, TableInput(columns=(*numbers, *categories)))
            for parameter in encoder.parameters():
                if parameter.ndim > 1:
                    parameter.data.mul_(3)  # so far from zero that it tells rows apart
        return encoder


def tiny_table_source(seed: int = 0) -> Source:
    """A real source of tables in miniature: 3 blocks, 32 features, columns n0 to n3, c0 (a colour) and c1 (yes, no)."""
    return TinyTableSource(seed)


def check_card(source: Source) -> None:
    """The card says where it comes from, survives JSON, and agrees with what is loaded."""
    card = source.card
    assert SourceCard.model_validate_json(card.model_dump_json()) == card
    assert card.name
    assert card.license
    assert card.trained_on
    assert card.origin
    assert source.availability().here
    assert source.availability().how
    encoder = source.load()
    assert encoder.input == card.input
    assert card.width in (None, encoder.width)
    assert card.parameters in (None, sum(p.numel() for p in encoder.parameters()))


def check_loads_the_same_twice(source: Source) -> None:
    """Loading is repeatable, draws nothing from torch's generator, and gives an encoder in eval mode on the CPU."""
    before = torch.random.get_rng_state()
    first, second = source.load(), source.load()
    assert torch.equal(torch.random.get_rng_state(), before), "load() moved the global random state"
    assert first is not second
    assert not any(module.training for module in first.modules())
    assert {p.device.type for p in first.parameters()} == {"cpu"}
    _same_state(first, second)


def check_blocks_partition(source: Source) -> None:
    """Every parameter and every leaf module is in exactly one block, no block is empty, names are unique."""
    encoder = source.load()
    blocks = encoder.blocks
    names = [name for block in blocks for name, _ in block.parameters]
    assert sorted(names) == sorted(name for name, _ in encoder.named_parameters())
    assert len(blocks) > 1 or len(names) == 1, "only a network that is one matrix has one block"
    assert all(block.parameters for block in blocks)
    assert len({block.name for block in blocks}) == len(blocks)
    leaves = [module for block in blocks for module in block.modules]
    assert len(leaves) == len({id(m) for m in leaves})
    assert {id(m) for m in leaves} == {id(m) for m in encoder.modules() if not list(m.children())}
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            for wrapped in ("weight", "base_layer.weight", "lora_A.default.weight"):
                assert encoder.stage_of(f"{name}.{wrapped}") == encoder.stage_of(name), f"{name}.{wrapped} strayed"


def check_blocks_in_order(source: Source) -> None:
    """The input passes the blocks in their order, and changing the last one leaves the first one's output alone."""
    encoder = source.load()
    passed: list[int] = []
    hooks = [
        module.register_forward_hook(lambda *_, index=index: passed.append(index))
        for index, block in enumerate(encoder.blocks)
        for module in block.modules
        if list(module.parameters(recurse=False))
    ]
    with torch.no_grad():
        before = encoder(random_batch(encoder.input)).pooled
        for hook in hooks:
            hook.remove()
        assert passed == sorted(passed), f"blocks were passed in the order {list(dict.fromkeys(passed))}"
        for _, parameter in encoder.blocks[-1].parameters:
            parameter.mul_(1.5).add_(0.1)
        assert not torch.equal(encoder(random_batch(encoder.input)).pooled, before), "the last block does not matter"


def check_features(source: Source) -> None:
    """Shapes are as promised, values are finite and differ between items, evaluation is deterministic."""
    encoder = source.load()
    batch = random_batch(encoder.input)
    with torch.no_grad():
        features, again = encoder(batch), encoder(batch)
    assert features.pooled.shape == (len(batch), encoder.width)
    assert torch.isfinite(features.pooled).all()
    assert not torch.allclose(features.pooled[0], features.pooled[1])
    assert torch.equal(features.pooled, again.pooled)
    if features.tokens is not None:
        assert features.tokens.ndim == 3
        assert len(features.tokens) == len(batch)
    for map in features.maps:
        assert map.ndim == 4
        assert len(map) == len(batch)


def check_rebuilds(source: Source) -> None:
    """`build` makes the same network from the card, and from the encoder's own description, without the source."""
    encoder = source.load()
    batch = random_batch(encoder.input)
    for architecture in (source.card.architecture, encoder.architecture):
        kept = Architecture.model_validate_json(architecture.model_dump_json())
        again = build(kept, encoder.input)
        assert not any(module.training for module in again.modules())
        again.load_state_dict(encoder.state_dict(), strict=True)
        with torch.no_grad():
            torch.testing.assert_close(again(batch).pooled, encoder(batch).pooled)


def check_freezes_by_blocks(source: Source) -> None:
    """Gradients reach the blocks that are not frozen, and only those."""
    encoder = source.load()
    last = len(encoder.blocks) - 1
    for open_block in (0, last):
        encoder.zero_grad(set_to_none=True)
        for index, block in enumerate(encoder.blocks):
            for _, parameter in block.parameters:
                parameter.requires_grad_(index == open_block)
        encoder(random_batch(encoder.input)).pooled.square().sum().backward()
        for index, block in enumerate(encoder.blocks):
            reached = [parameter.grad is not None for _, parameter in block.parameters]
            assert any(reached) == (index == open_block), f"gradients are wrong in block {block.name}"


def check_copies(source: Source) -> None:
    """A deep copy computes the same and shares nothing."""
    encoder = source.load()
    other = copy.deepcopy(encoder)
    _same_state(encoder, other)
    assert other.stages() == encoder.stages()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    _same_state(encoder, source.load())


def check_channels_last(source: Source) -> None:
    """The other memory layout of pictures gives the same features."""
    encoder = source.load()
    if not isinstance(encoder.input, ImageInput):
        return
    batch = random_batch(encoder.input)
    with torch.no_grad():
        expected = encoder(batch).pooled
        got = encoder.to(memory_format=torch.channels_last)(batch.to(memory_format=torch.channels_last)).pooled
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def check_padding(source: Source) -> None:
    """What a text is with, and how much padding stands behind it, does not change its features."""
    encoder = source.load()
    if not isinstance(encoder.input, TextInput):
        return
    batch = random_batch(encoder.input, 3)
    with torch.no_grad():
        together = encoder(batch)
        for row, pooled in zip(batch, together.pooled, strict=True):
            alone = row[None, :, : int((row[1] >= 0).sum())]
            torch.testing.assert_close(encoder(alone).pooled[0], pooled, rtol=1e-5, atol=1e-5)
        empty = batch[:1].clone()
        empty[:, 1] = -1
        assert torch.isfinite(encoder(empty).pooled).all(), "a text without tokens has no finite features"


def check_entrance(source: Source) -> None:
    """Where its inputs can be moved by little: its own values there change nothing, others reach the features, and
    padding does not matter."""
    encoder = source.load()
    batch = random_batch(encoder.input, 3)
    values = values_of(encoder, batch)
    assert values.is_floating_point()
    assert len(values) == len(batch)
    with torch.no_grad():
        torch.testing.assert_close(entered(encoder, encoder, batch, values).pooled, encoder(batch).pooled)
    given = values.clone().requires_grad_()
    entered(encoder, encoder, batch, given).pooled.square().sum().backward()
    assert given.grad is not None
    moves = given.grad.flatten(1).abs().sum(1) > 0
    assert moves.all(), "items whose values do not reach the features"
    if isinstance(encoder.input, TextInput):
        assert values.shape[:2] == batch[:, 1].shape
        assert not given.grad[~real_tokens(batch)].any(), "padding matters"


def check_classifier(source: Source) -> None:
    """The old head, if there is one, gives finite scores of what the encoder says."""
    head = source.classifier()
    if head is None:
        return
    encoder = source.load()
    with torch.no_grad():
        features: Features = encoder(random_batch(encoder.input))
        scores = head(features)
    assert scores.ndim == 2
    assert len(scores) == len(features.pooled)
    assert scores.shape[1] > 1
    assert torch.isfinite(scores).all()


CHECKS: tuple[Check, ...] = (
    check_card,
    check_loads_the_same_twice,
    check_blocks_partition,
    check_blocks_in_order,
    check_features,
    check_rebuilds,
    check_freezes_by_blocks,
    check_copies,
    check_channels_last,
    check_padding,
    check_entrance,
    check_classifier,
)
"""The contract: each takes a source whose weights are on this machine, and raises AssertionError."""


def random_batch(contract: Input, count: int = 2) -> Tensor:
    """A prepared batch of noise such as an encoder with this contract takes, the same every time.

    Pictures (count, 3, crop, crop); texts (count, 2, T), each longer than the one before; sounds (count, samples) or
    (count, bands, frames); tables (count, columns).
    """
    generator = torch.Generator().manual_seed(0)
    if isinstance(contract, ImageInput):
        return torch.randn(count, 3, contract.crop, contract.crop, generator=generator)
    if isinstance(contract, TextInput):
        known = tokens.tokenizer(contract).get_vocab_size()
        lengths = [min(5 + 3 * i, contract.length) for i in range(count)]
        drawn = [torch.randint(known, (length,), generator=generator).numpy() for length in lengths]
        rows = [np.stack([ids, np.arange(len(ids)) * 2 // len(ids)]) for ids in drawn]
        return tokens.collate(rows, tokens.pad_id(contract), contract.length)
    if isinstance(contract, AudioInput):
        if contract.mel is None:
            return 0.1 * torch.randn(count, contract.samples, generator=generator)
        return torch.randn(count, contract.mel.bands, contract.frames, generator=generator)
    columns = [
        torch.randint(len(column.levels), (count,), generator=generator).float()
        if column.levels
        else torch.randn(count, generator=generator)
        for column in contract.columns
    ]
    return torch.stack(columns, 1)


def _same_state(one: Encoder, other: Encoder) -> None:
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), f"{name} differs"


def _card_of(encoder: Encoder, name: str) -> SourceCard:
    weights = safetensors.torch.save(encoder.state_dict())
    return SourceCard(
        name=name,
        modality=encoder.input.modality,
        architecture=encoder.architecture,
        input=encoder.input,
        license="Apache-2.0",
        trained_on="nothing: random weights",
        origin="headstart.testing",
        sha256=hashlib.sha256(weights).hexdigest(),
        parameters=sum(p.numel() for p in encoder.parameters()),
        size_bytes=len(weights),
        width=encoder.width,
    )
