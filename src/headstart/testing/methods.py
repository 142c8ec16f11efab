"""What every method must keep. Run it over your own:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_method(check: Check) -> None:
        check(MyMethod(), lambda: tiny_source().load())

A check raises AssertionError where a promise is broken. The toy is learnable, whatever the encoder takes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from headstart.core.card import ImageInput, Input, TableInput, TextInput
from headstart.core.config import TrainConfig
from headstart.core.method import Method
from headstart.core.task import Task
from headstart.data.tokens import tokenizer
from headstart.nn.encoder import Encoder
from headstart.nn.model import Model
from headstart.tasks import from_json
from headstart.testing.loop import Done, MemoryLoop, Part

MakeEncoder = Callable[[], Encoder]
Check = Callable[[Method, MakeEncoder], None]
Kind = Literal["single", "multi", "number"]

TASKS: dict[Kind, dict[str, Any]] = {
    "single": {"name": "image-classification", "modality": "image", "classes": ["a", "b", "c"]},
    "multi": {"name": "image-multilabel", "modality": "image", "labels": ["x", "y"]},
    "number": {"name": "image-regression", "modality": "image", "targets": ["t"], "mean": [50.0], "std": [10.0]},
}


@dataclass
class Outcome:
    """A model after a method, and the loop that served it."""

    model: Model
    loop: MemoryLoop
    start: dict[str, Tensor] = field(default_factory=dict)


def toy(kind: Kind, contract: Input, items: int, seed: int) -> Part:
    """Made-up inputs of a contract in which one of three things stands out, which says the target: the mean colour of a
    noise picture, the word that a text is full of, or that is itself the item, the pitch of a sound, the number that is
    large.
    """
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 3, items)
    inputs = _inputs(contract, which, rng)
    if kind == "single":
        return Part(inputs, which.astype(np.int64))
    if kind == "multi":
        return Part(inputs, np.stack([which == 0, which != 1], axis=1).astype(np.float32))
    return Part(inputs, 40 + 10 * which[:, None] + rng.normal(size=(items, 1)))


def _inputs(contract: Input, which: np.ndarray, rng: np.random.Generator) -> Tensor:
    items = len(which)
    if isinstance(contract, ImageInput):
        tint = np.eye(3)[which][:, :, None, None] + 0.2 * rng.normal(size=(items, 3, 1, 1))
        made = tint + 0.5 * rng.normal(size=(items, 3, contract.crop, contract.crop))
    elif isinstance(contract, TextInput):
        known = tokenizer(contract).get_vocab_size()
        words = rng.integers(0, known, (items, 12))
        words[:, 2:8] = (known // 4 * (which + 1))[:, None]
        marks = [np.repeat(np.arange(12)[None] // 2 == 1, items, 0).astype(np.int64)] if contract.by_word else []
        return torch.from_numpy(np.stack([words, np.zeros_like(words), *marks], axis=1))
    elif isinstance(contract, TableInput):
        levels = np.array([len(column.levels) for column in contract.columns])
        made = np.where(levels, rng.integers(-1, np.maximum(levels, 1), (items, len(levels))), 0.0)
        numbers = np.flatnonzero(levels == 0)
        made[:, numbers] = rng.normal(size=(items, len(numbers)))
        made[np.arange(items), numbers[which]] += 3
    elif contract.mel is None:
        tone = np.sin(2 * np.pi / 20 * (which + 1)[:, None] * np.arange(contract.samples))
        made = 0.3 * tone + 0.05 * rng.normal(size=(items, contract.samples))
    else:
        made = rng.normal(size=(items, contract.mel.bands, contract.frames))
        third = contract.mel.bands // 3
        for row, k in zip(made, which, strict=True):
            row[third * k : third * (k + 1)] += 2
    return torch.as_tensor(made, dtype=torch.float32)


def run(
    method: Method,
    make_encoder: MakeEncoder,
    *,
    kind: Kind = "single",
    train: Part | None = None,
    epochs: int | None = None,
    done: tuple[Done, ...] = (),
    seed: int = 0,
) -> Outcome:
    """Fit a fresh model on the toy."""
    task: Task = from_json(TASKS[kind])
    model = Model(make_encoder(), len(task.outputs))
    contract = model.encoder.input
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = TrainConfig(epochs=epochs)
    train = train or toy(kind, contract, 48, 1)
    loop = MemoryLoop(model, task, train, toy(kind, contract, 32, 2), seed=seed, config=config, done=done)
    method.fit(model, loop)
    return Outcome(model, loop, start)


def check_learns(method: Method, make_encoder: MakeEncoder) -> None:
    """By its own recipe it ends better than it began and than chance; what trained is finite."""
    outcome = run(method, make_encoder)
    accuracy = outcome.loop.validate()
    assert accuracy > 0.6, f"{method.name} reaches an accuracy of {accuracy:.2f} where 0.33 is chance"
    assert all(torch.isfinite(tensor).all() for tensor in outcome.model.state_dict().values())
    for entry in outcome.loop.done:
        if len(entry.losses) > 1:
            assert min(entry.losses[1:]) <= entry.losses[0] + 0.05, f"the loss of {entry.name} rises: {entry.losses}"


def check_trains_what_it_says(method: Method, make_encoder: MakeEncoder) -> None:
    """Weights that a phase does not select, and statistics it freezes, stay bit for bit; something selected moves; and
    between phases and steps nothing does."""
    outcome = run(method, make_encoder, epochs=4)
    assert outcome.loop.done, f"{method.name} asks the loop for nothing"
    states = [outcome.start, *(s for e in outcome.loop.done for s in (e.before, e.after)), outcome.model.state_dict()]
    for left, taken_up in zip(states[::2], states[1::2], strict=True):
        for name in left.keys() & taken_up.keys():
            assert torch.equal(left[name], taken_up[name]), f"{method.name} changes {name} behind the loop's back"
    for entry in outcome.loop.done:
        if entry.phase is None:
            continue
        parameters = {name for name, _ in outcome.model.named_parameters()} | entry.trained
        for name, before in entry.before.items():
            held = name not in entry.trained if name in parameters else entry.phase.batchnorm == "freeze"
            if held:
                assert torch.equal(entry.after[name], before), f"{entry.name} changed {name}, which it should not"
        last = entry.snapshots[-1][1] if entry.snapshots else entry.after
        kept = entry.phase.keep_best and all(torch.equal(entry.before[n], last[n]) for n in entry.trained)
        moved = any(not torch.equal(entry.before[name], last[name]) for name in entry.trained)
        assert moved or kept or not entry.phase.epochs, f"{entry.name} trains nothing"


def check_leaves_a_plain_model(method: Method, make_encoder: MakeEncoder) -> None:
    """The network has the fresh one's names and shapes, in order, and survives a copy and a round trip."""
    model = run(method, make_encoder, epochs=2).model
    fresh = Model(make_encoder(), model.head.out_features)
    shapes = [(name, tensor.shape) for name, tensor in model.state_dict().items()]
    expected_shapes = [(name, tensor.shape) for name, tensor in fresh.state_dict().items()]
    assert shapes == expected_shapes, f"{method.name} leaves other weights: {set(shapes) ^ set(expected_shapes)}"
    assert [type(m) for m in model.modules()] == [type(m) for m in fresh.modules()], f"{method.name} leaves modules"
    fresh.load_state_dict(model.state_dict())
    batch = toy("single", model.encoder.input, 4, 3).inputs
    with torch.no_grad():
        expected = model.eval()(batch)
        assert torch.equal(fresh.eval()(batch), expected)
        assert torch.equal(copy.deepcopy(model)(batch), expected)


def check_every_kind_of_target(method: Method, make_encoder: MakeEncoder) -> None:
    """Many labels and numbers, too; better than saying the mean."""
    kinds: tuple[Kind, ...] = ("multi", "number")
    for kind in kinds:
        loop = run(method, make_encoder, kind=kind, epochs=12).loop
        assert loop.validate() > 0.1, f"{method.name} learns nothing of {kind} targets: {loop.validate():.2f}"


def check_rare_classes_and_groups(method: Method, make_encoder: MakeEncoder) -> None:
    """A class with one item, a class with none, items that belong together."""
    whole = toy("single", make_encoder().input, 48, 1)
    ones, twos, zeros = (np.flatnonzero(whole.targets == k) for k in (1, 2, 0))
    for rows in (np.r_[zeros, ones[:1], twos], np.r_[zeros, ones]):
        part = Part(whole.inputs[rows], whole.targets[rows], groups=np.arange(len(rows)) // 3)
        outcome = run(method, make_encoder, train=part, epochs=2)
        assert all(torch.isfinite(tensor).all() for tensor in outcome.model.state_dict().values())
        assert np.isfinite(outcome.loop.validate())


def check_same_seed_same_weights(method: Method, make_encoder: MakeEncoder) -> None:
    """Twice the same, whatever was drawn before."""
    first = run(method, make_encoder, epochs=2)
    torch.rand(7)
    assert_same(first, run(method, make_encoder, epochs=2), method.name)


def check_takes_up_what_is_done(method: Method, make_encoder: MakeEncoder) -> None:
    """Killed after any phase or step and run again from the top, it ends in the same weights and notes."""
    whole = run(method, make_encoder, epochs=3)
    for count in range(1, len(whole.loop.done) + 1):
        again = run(method, make_encoder, epochs=3, done=tuple(whole.loop.done[:count]))
        assert_same(whole, again, f"{method.name} taken up after {whole.loop.done[count - 1].name}")


def check_keeps_to_the_epochs(method: Method, make_encoder: MakeEncoder) -> None:
    """`epochs` of the user's configuration is the total over the phases, if it trains by gradient at all."""
    for epochs in (0, 4):
        done = run(method, make_encoder, epochs=epochs).loop.done
        spent = [entry.phase.epochs for entry in done if entry.phase]
        assert not spent or sum(spent) == epochs, f"{method.name} takes {spent} epochs where {epochs} are given"


def assert_same(one: Outcome, other: Outcome, what: str) -> None:
    weights = other.model.state_dict()
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), f"{what}: {name} differs"
    assert one.loop.notes == other.loop.notes, f"{what}: the notes differ"


CHECKS: tuple[Check, ...] = (
    check_learns,
    check_trains_what_it_says,
    check_leaves_a_plain_model,
    check_every_kind_of_target,
    check_rare_classes_and_groups,
    check_same_seed_same_weights,
    check_takes_up_what_is_done,
    check_keeps_to_the_epochs,
)
