"""Worst-case inputs and mixtures of texts, against slow references that take no hook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from headstart.core.config import AugmentConfig, TrainConfig
from headstart.core.errors import ConfigError
from headstart.core.method import Phase
from headstart.core.source import Source
from headstart.data.dataset import Dataset, Item
from headstart.data.loader import Batches
from headstart.data.transforms.mix import Mixup
from headstart.nn.model import Model
from headstart.nn.pooling import pool, real_tokens
from headstart.tasks.classification import Classification
from headstart.testing.sources import (
    random_batch,
    tiny_audio_source,
    tiny_source,
    tiny_table_source,
    tiny_text_source,
)
from headstart.training.loop import Split, TrainingLoop
from headstart.training.objective import Objective

SOURCES = {
    "image": tiny_source(),
    "text": tiny_text_source(),
    "audio": tiny_audio_source(),
    "table": tiny_table_source(),
}


def setup(source: Source, **options: Any) -> tuple[Objective, Model, Tensor, Tensor]:
    model = Model(source.load(), 2).eval()
    torch.manual_seed(0)
    nn.init.normal_(model.head.weight)
    task = Classification(("a", "b"), source.card.modality)
    objective = Objective(task, TrainConfig(**options), model, source.card.input)
    return objective, model, random_batch(source.card.input, 4), torch.tensor([0, 1, 1, 0])


def gradients(model: Model) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def add(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "freelb"])
def test_every_attack_finds_worse_inputs_of_every_modality(source: Source, attack: str) -> None:
    objective, model, batch, targets = setup(source, adversarial={"attack": attack, "weight": 1.0, "epsilon": 0.2})
    plain = float(cross_entropy(model(batch), targets).detach())
    torch.manual_seed(1)
    assert objective.backward(model, batch, targets, add) > plain
    assert all(torch.isfinite(gradient).all() for gradient in gradients(model).values())


def test_freelb_on_texts_is_the_paper_s_algorithm() -> None:
    """Item by item, the word vectors given to the network by its own argument; Zhu et al. 2020, algorithm 1."""
    steps, epsilon, weight = 3, 0.3, 0.4
    adversarial = {"attack": "freelb", "steps": steps, "epsilon": epsilon, "weight": weight}
    objective, model, batch, targets = setup(tiny_text_source(), adversarial=adversarial)
    torch.manual_seed(5)
    value = objective.backward(model, batch, targets, add)
    got = gradients(model)

    network: Any = model.encoder.network
    real = real_tokens(batch)
    ids = batch[:, 0].masked_fill(~real, 0)
    table = network.get_input_embeddings()
    size = 2.5 * epsilon / steps
    torch.manual_seed(5)
    noise = torch.empty(*ids.shape, table.embedding_dim).uniform_(-1, 1)
    total = (1 - weight) * cross_entropy(model(batch), targets)
    for item in range(len(batch)):
        count = int(real[item].sum())
        vectors = table(ids[item, :count])
        radius = epsilon * vectors.detach().norm()
        delta = noise[item, :count] * radius / (count * table.embedding_dim) ** 0.5
        for _ in range(steps):
            delta = delta.detach().requires_grad_()
            out = network(inputs_embeds=(vectors + delta)[None], token_type_ids=batch[item : item + 1, 1, :count])
            pooled = pool(out.last_hidden_state, real[item : item + 1, :count], "mean")
            loss = cross_entropy(model.head(pooled), targets[item : item + 1])
            total = total + weight * loss / steps / len(batch)
            (slope,) = torch.autograd.grad(loss, delta, retain_graph=True)
            delta = delta + size / epsilon * radius * slope / slope.norm()
            delta = delta * (radius / delta.norm()).clamp(max=1)
    add(total)
    expected = gradients(model)
    assert value == pytest.approx(float(total.detach()), rel=1e-5)
    for name, gradient in expected.items():
        torch.testing.assert_close(
            got[name], gradient, rtol=2e-3, atol=1e-5 * float(gradient.abs().max() + 1), msg=name
        )


def test_cutmix_is_for_pictures_and_spectrograms() -> None:
    for name in ("image", "audio"):
        setup(SOURCES[name], augment={"cutmix": 1.0})
    for name in ("text", "table"):
        with pytest.raises(ConfigError, match=f"modality {name}, without either. Use augment.mixup"):
            setup(SOURCES[name], augment={"cutmix": 1.0})


@pytest.mark.parametrize(
    ("options", "words"),
    [({"augment": {"mixup": 0.2}}, "blends whole texts"), ({"adversarial": {"attack": "pgd"}}, "moves whole texts")],
)
def test_what_is_done_to_whole_texts_is_refused_for_their_words(options: dict[str, Any], words: str) -> None:
    task, model = Classification(("a", "b"), "text"), Model(tiny_text_source().load(), 2)
    contract = model.encoder.input.model_copy(update={"by": "word"})
    with pytest.raises(ConfigError, match=words):
        Objective(task, TrainConfig(**options), model, contract)


def test_mixup_blends_what_is_pooled_of_texts_and_their_targets_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two texts a batch, each with the other: the gradient of the head, by hand."""
    source = tiny_text_source()
    task = Classification(("a", "b"), "text")
    items = tuple(Item(str(i), text, "ab"[i]) for i, text in enumerate(("a good film", "the dull room was bad")))
    dataset = Dataset("two", items, modality="text")
    part = Split(Batches(dataset, None, source.card.input), task.encode(dataset.labels))
    model = Model(source.load(), 2)
    plain: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1.0, "clip": 0, "warmup": 0, "precision": "float32"}
    config = TrainConfig(batch_size=2, augment=AugmentConfig(mixup=0.5), **plain)
    shares: list[float] = []
    drawn = Mixup.drawn

    def swapped(count: int, alpha: float, seed: int, device: torch.device) -> Mixup:
        mixup = Mixup(torch.tensor([1, 0]), drawn(count, alpha, seed, device).share)
        shares.append(mixup.share)
        return mixup

    monkeypatch.setattr(Mixup, "drawn", swapped)
    loop = TrainingLoop(model, task, config, part, part, seed=0, folder=tmp_path)
    pooled = model.encoder.eval()(part.batches.evaluation([0, 1])).pooled.detach()
    loop.train(Phase("head", 1, blocks=0, schedule="constant", keep_best=False, weight_decay=0))
    (share,) = shares
    head = nn.Linear(model.encoder.width, 2)
    nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
    blended = share * pooled + (1 - share) * pooled.flip(0)
    aim = torch.tensor([[share, 1 - share], [1 - share, share]])
    cross_entropy(head(blended), aim).backward()  # type: ignore[no-untyped-call]
    assert head.weight.grad is not None
    torch.testing.assert_close(model.head.weight.detach(), -head.weight.grad, rtol=1e-3, atol=1e-4)
