"""What is hidden, what is asked, and that the answers are those of a plain reckoning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch.nn import functional

from headstart.core import assets
from headstart.core.card import Architecture, Column, TableInput, TextInput
from headstart.core.errors import ConfigError
from headstart.core.types import Features
from headstart.data import tokens
from headstart.methods.pretrain import PRETEXTS
from headstart.methods.pretrain.masked_features import MaskedFeatures
from headstart.methods.pretrain.masked_tokens import MaskedTokens, log_frequencies, word_begins
from headstart.methods.pretrain.next_token import NextToken
from headstart.methods.pretrain.pretext import SelfSupervision
from headstart.nn.encoder import Encoder
from headstart.recipes.pretraining import objective_of
from headstart.sources import build, resolve
from headstart.testing.sources import (
    random_batch,
    tiny_audio_source,
    tiny_source,
    tiny_table_source,
    tiny_text_source,
    tiny_tokenizer,
)

TEXTS = ["the film was very good", "unbelievable plot, awful food", "a", "中国人"]


def batch_of(texts: list[str], contract: TextInput) -> torch.Tensor:
    return tokens.collate(tokens.encode(texts, contract), tokens.pad_id(contract), contract.length)


def contract_of(encoder: Encoder) -> TextInput:
    assert isinstance(encoder.input, TextInput)
    return encoder.input


class Spy(torch.nn.Module):
    """Remembers what the encoder was shown."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.shown: list[torch.Tensor] = []

    def forward(self, batch: torch.Tensor) -> Features:
        self.shown.append(batch.clone())
        features: Features = self.encoder(batch)
        return features


def lstm() -> Encoder:
    contract = TextInput(tokenizer=assets.keep(tokens.train_tokenizer(TEXTS, 300)), length=32)
    size = tokens.tokenizer(contract).get_vocab_size()
    options = {"vocabulary": size, "embedding": 8, "hidden": 12}
    torch.manual_seed(0)
    return build(Architecture(library="headstart", name="lstm", options=options), contract)


def test_masked_tokens_hide_whole_words_in_the_published_shares() -> None:
    encoder = tiny_text_source().load()
    contract = contract_of(encoder)
    torch.manual_seed(0)
    model, spy = MaskedTokens(encoder), Spy(encoder)
    batch = batch_of([" ".join(["good", "unbelievable", "film"] * 3)] * 600, contract)
    with torch.no_grad():
        out = model.ask(spy, batch, torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    shown, ids = spy.shown[0][:, 0], batch[:, 0]
    mask = tokens.mask_id(contract)
    special = torch.isin(ids, torch.tensor(sorted(tokens.special_ids(contract))))
    assert torch.equal(shown[special], ids[special]), "a special token was hidden"
    asked = float(out[:, 1].sum()) / int((~special).sum())
    assert abs(asked - 0.15) < 0.02
    hidden = int((shown == torch.tensor(mask)).sum()) / float(out[:, 1].sum())
    assert abs(hidden - 0.8) < 0.03
    swapped = int(((shown != ids) & (shown != mask)).sum()) / float(out[:, 1].sum())
    assert abs(swapped - 0.1) < 0.02
    whole = model._whole_words(ids, torch.Generator().manual_seed(1))
    inside = ~word_begins(contract, 1 + int(ids.max()))[ids]
    assert inside.any(), "a word is meant to split"
    assert torch.equal(whole[:, 1:][inside[:, 1:]], whole[:, :-1][inside[:, 1:]])
    assert whole.any()
    assert not whole.all()


def test_masked_tokens_are_judged_by_a_plain_cross_entropy() -> None:
    encoder = tiny_text_source().load()
    torch.manual_seed(0)
    model, spy = MaskedTokens(encoder).eval(), Spy(encoder)
    batch = batch_of(TEXTS * 8, contract_of(encoder))
    with torch.no_grad():
        out = model.through(spy, batch)  # type: ignore[arg-type]
        again = model.through(spy, batch)  # type: ignore[arg-type]
        assert torch.equal(out, again), "what is hidden while judging must not change"
        states = encoder(spy.shown[0]).tokens
        assert states is not None
        logits = model.norm(functional.gelu(model.head(states))) @ encoder.vocabulary().weight.T + model.bias  # type: ignore[union-attr]
    losses = functional.cross_entropy(logits.flatten(0, 1), batch[:, 0].flatten(), reduction="none").view(
        len(batch), -1
    )
    changed = spy.shown[0][:, 0] != batch[:, 0]
    for row in range(len(batch)):
        if int(changed[row].sum()) == int(out[row, 1]):  # none of the chosen stayed as it was
            assert float(out[row, 0]) == pytest.approx(float(losses[row][changed[row]].sum()), rel=1e-4, abs=1e-5)


def test_an_output_layer_begins_with_how_frequent_tokens_are() -> None:
    encoder = lstm()
    batch = batch_of(TEXTS, contract_of(encoder))
    like = torch.zeros(tokens.tokenizer(contract_of(encoder)).get_vocab_size())
    shares = log_frequencies([batch[:2], batch[2:]], like).exp()
    real = batch[:, 0][batch[:, 1] >= 0].tolist()
    assert float(shares.sum()) == pytest.approx(1, rel=1e-5)
    for token in set(real):
        assert float(shares[token]) == pytest.approx((1 + real.count(token)) / (len(like) + len(real)), rel=1e-5)


def test_next_tokens_of_a_decoder_are_asked_as_its_authors_do(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 40, "initializer_range": 0.5}
    size = tokens.tokenizer(TextInput(tokenizer=assets.keep(tiny_tokenizer()))).get_vocab_size()
    whole = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=size, **sizes)).eval()
    whole.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(tiny_tokenizer())
    encoder = resolve(f"transformers:{tmp_path}").load()
    model = NextToken(encoder).eval()
    assert not model.new
    batch = batch_of(["the film was very good"], contract_of(encoder))
    real = batch[:, 1] >= 0
    ids = batch[:, 0][real][None]
    with torch.no_grad():
        out = model(batch)
        expected = whole(input_ids=ids, labels=ids).loss
    assert int(out[0, 1]) == ids.shape[1] - 1
    assert float(out[0, 0] / out[0, 1]) == pytest.approx(float(expected), rel=1e-4)


def test_masked_features_by_hand() -> None:
    columns = (Column(name="x"), Column(name="c", levels=("a", "b", "c")), Column(name="y"))
    options = {"width": 8, "dropout": 0.0}
    architecture = Architecture(library="headstart", name="mlp", options=options)
    encoder = build(architecture, TableInput(columns=columns))
    torch.manual_seed(0)
    model, spy = MaskedFeatures(encoder).eval(), Spy(encoder)
    torch.nn.init.normal_(model.head.weight)
    rng = np.random.default_rng(0)
    batch = torch.tensor(np.c_[rng.normal(size=60), rng.integers(-1, 3, 60), rng.normal(size=60)], dtype=torch.float32)
    batch[::7, 0] = float("nan")
    with torch.no_grad():
        out = model.through(spy, batch)  # type: ignore[arg-type]
        answers = model.head(encoder(spy.shown[0]).pooled)
    shown = spy.shown[0]
    for k in range(3):
        kept = sorted(set(np.nan_to_num(batch[:, k].numpy(), nan=9.0).tolist()))
        assert set(np.nan_to_num(shown[:, k].numpy(), nan=9.0).tolist()) <= set(kept), "a value from elsewhere"
    different = (shown != batch) & ~(shown.isnan() & batch.isnan())
    assert 0.12 < float(different.float().mean()) < 0.4
    for row in range(len(batch)):
        total = 0.0
        for k in range(3):
            changed = different[row, k].float()
            total += float(functional.binary_cross_entropy_with_logits(answers[row, k], changed))
        for place, k in ((3, 0), (4, 2)):
            if not torch.isnan(batch[row, k]):
                total += 2 * float((answers[row, place] - batch[row, k]) ** 2)
        if batch[row, 1] >= 0:
            total += 2 * float(functional.cross_entropy(answers[row, 5:8], batch[row, 1].long()))
        assert float(out[row, 0]) == pytest.approx(total / 3, rel=1e-4)
        assert float(out[row, 1]) == 1


SUITED: dict[str, Callable[[], Encoder]] = {
    "masked-tokens": lambda: tiny_text_source().load(),
    "next-token": lstm,
    "masked-features": lambda: tiny_table_source().load(),
}


@pytest.mark.parametrize("name", SUITED)
def test_auto_takes_what_suits_the_network(name: str) -> None:
    encoder = SUITED[name]()
    kind = objective_of(encoder, "auto", "it")
    assert kind.name == name
    assert PRETEXTS[name] is kind
    assert kind.paper
    model = kind(encoder).eval()
    out = model(random_batch(encoder.input, 3))
    assert out.shape == (3, 2)
    task = SelfSupervision(name, encoder.input.modality)
    loss = task.loss(out, torch.zeros(3, 1))
    assert torch.isfinite(loss)
    assert task.metrics(np.zeros((3, 1)), out.detach().numpy())["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


def test_networks_that_cannot_learn_so_are_refused_in_one_line() -> None:
    text, picture, sound = tiny_text_source().load(), tiny_source().load(), tiny_audio_source().load()
    with pytest.raises(ConfigError, match="lite cannot learn by next-token: it reads texts both ways"):
        objective_of(text, "next-token", "lite")
    with pytest.raises(ConfigError, match="lstm cannot learn by masked-tokens: it reads texts from left to right"):
        objective_of(lstm(), "masked-tokens", "lstm")
    for encoder, noun in ((picture, "images"), (sound, "recordings")):
        with pytest.raises(Exception, match=f"net takes {noun} in a way that nothing can be learned"):
            objective_of(encoder, "auto", "net")
