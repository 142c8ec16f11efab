"""The contract suite notices what it is for."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
import torch

from headstart.core.method import Loop, Method, Phase
from headstart.nn import lora
from headstart.nn.encoder import Encoder
from headstart.nn.model import Model
from headstart.testing import methods as contract
from headstart.testing.sources import tiny_source

ENCODER = tiny_source().load()


def tiny() -> Encoder:
    return copy.deepcopy(ENCODER)


@dataclass(frozen=True)
class Idle(Method):
    name = "idle"

    def fit(self, model: Model, loop: Loop) -> None:
        loop.step("nothing", lambda: None)


@dataclass(frozen=True)
class Meddler(Method):
    """Changes weights outside the loop, and by a draw."""

    name = "meddler"

    def fit(self, model: Model, loop: Loop) -> None:
        loop.train(Phase("head", 1, blocks=0))
        with torch.no_grad():
            model.head.bias.add_(torch.rand(len(model.head.bias)))


@dataclass(frozen=True)
class Unmerged(Method):
    name = "unmerged"

    def fit(self, model: Model, loop: Loop) -> None:
        lora.inject(model.encoder, 2, 2, 0.0, 1, 0)
        loop.train(Phase("head", 1, blocks=0))


class Forgetful(Method):
    """Keeps state in itself that a second process does not have."""

    name = "forgetful"

    def fit(self, model: Model, loop: Loop) -> None:
        def remember() -> None:
            self.kept = torch.ones(len(model.head.bias))

        loop.step("remember", remember)
        loop.train(Phase("head", 1, blocks=0))
        bonus = getattr(self, "kept", torch.zeros(len(model.head.bias)))
        del self.kept

        def add() -> None:
            with torch.no_grad():
                model.head.bias.add_(bonus)

        loop.step("add", add)


@pytest.mark.parametrize(
    ("method", "check", "complaint"),
    [
        (Idle(), contract.check_learns, "reaches an accuracy"),
        (Idle(), contract.check_every_kind_of_target, "learns nothing of multi"),
        (Meddler(), contract.check_trains_what_it_says, "behind the loop's back"),
        (Meddler(), contract.check_same_seed_same_weights, "head.bias differs"),
        (Meddler(), contract.check_keeps_to_the_epochs, "epochs where 0 are given"),
        (Unmerged(), contract.check_leaves_a_plain_model, "base_layer"),
    ],
)
def test_a_broken_method_is_noticed(method: Method, check: contract.Check, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check(method, tiny)


def test_a_method_that_forgets_is_noticed() -> None:
    with pytest.raises((AssertionError, AttributeError)):
        contract.check_takes_up_what_is_done(Forgetful(), tiny)
