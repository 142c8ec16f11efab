"""Options as the user writes them: every key has a type and a meaning, every fault is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from headstart.core.config import TrainConfig
from headstart.core.errors import ConfigError
from headstart.core.options import build, describe, parse_options, train_config


@dataclass(frozen=True)
class Toy:
    """A method with options.

    rank: of the update. where: which layers get one,
    and which do not.
    """

    name: ClassVar[str] = "toy"
    rank: int = 8
    where: Literal["all", "linear"] = "all"
    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, got {self.rank}")


@dataclass(frozen=True)
class Bare:
    """A method without options."""

    name: ClassVar[str] = "bare"


def test_values_are_yaml_scalars_and_reach_nested_fields() -> None:
    options = parse_options(
        [
            "epochs=3",
            "learning_rate=1e-3",
            "augment.mixup=.2",
            "optimizer=sgd",
            "adversarial.attack=pgd",
            "monitor=null",
        ]
    )
    config = train_config(options)
    assert (config.epochs, config.learning_rate, config.optimizer) == (3, 1e-3, "sgd")
    assert (config.augment.mixup, config.adversarial.attack, config.monitor) == (0.2, "pgd", None)
    assert train_config({}) == TrainConfig()


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["epochs"], ["key=value", "'epochs'"]),
        (["=3"], ["key=value"]),
        (["epochs=1", "epochs=2"], ["epochs", "twice"]),
        (["epoch=1"], ["'epoch'", "'epochs'", "--options"]),
        (["augment.mixip=1"], ["'augment.mixup'"]),
        (["epochs=[1, 2]"], ["epochs", "single value"]),
        (["epochs=abc"], ["epochs", "whole number", "at most 10000", "'abc'"]),
        (["epochs=-1"], ["at least 0", "-1"]),
        (["batch_size=0"], ["batch_size=0", "auto"]),
        (["learning_rate=-1", "optimizer=sg"], ["learning_rate", "above 0", "optimizer", "adamw | adam"]),
        (["augment.scale_min=2"], ["augment.scale_min=2", "at most 1"]),
        (["metric_alpha=.nan"], ["metric_alpha"]),
    ],
)
def test_a_fault_is_named_with_what_was_expected(pairs: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        train_config(parse_options(pairs))
    assert [word for word in words if word not in str(caught.value)] == []


def test_every_option_has_a_type_a_default_and_a_meaning() -> None:
    rows = describe()
    assert {row.key for row in rows} >= {"epochs", "augment.mixup", "adversarial.epsilon", "layer_decay"}
    assert [row.key for row in rows if not (row.type and row.default and row.meaning)] == []


def test_a_method_is_built_from_its_own_options_only() -> None:
    options = parse_options(["epochs=2", "method.rank=4", "method.alpha=1e1"])
    assert build(Toy, options) == Toy(rank=4, alpha=10.0)
    assert train_config(options).epochs == 2
    assert [(row.key, row.default) for row in describe(Toy)] == [
        ("method.rank", "8"),
        ("method.where", "all"),
        ("method.alpha", "the method decides"),
    ]
    assert describe(Toy)[1].meaning == "which layers get one, and which do not."


@pytest.mark.parametrize(
    ("cls", "pair", "words"),
    [
        (Toy, "method.rnk=1", ["'toy'", "'method.rank'"]),
        (Toy, "method.rank=x", ["method.rank=x", "whole number"]),
        (Toy, "method.where=conv", ["all | linear", "'conv'"]),
        (Toy, "method.rank=0", ["at least 1"]),
        (Bare, "method.rank=1", ["'bare'", "no options"]),
    ],
)
def test_a_fault_in_a_method_option_is_named(cls: type, pair: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(cls, parse_options([pair]))
    assert [word for word in words if word not in str(caught.value)] == []
