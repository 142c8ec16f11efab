"""The public surface is a list; what is in it exists, is documented and is found lazily."""

from __future__ import annotations

import inspect

import pytest

import headstart

PUBLIC = (
    "Dataset",
    "HeadstartError",
    "Item",
    "LoadedEnsemble",
    "LoadedModel",
    "Method",
    "Prediction",
    "PretrainedRun",
    "Ranking",
    "Run",
    "Source",
    "Study",
    "Task",
    "TrainConfig",
    "UserError",
    "__version__",
    "compare",
    "doctor",
    "ensemble",
    "evaluate",
    "explain",
    "fit",
    "install_sources",
    "list_sources",
    "load",
    "predict",
    "pretrain",
    "rank",
    "resume",
    "tune",
)


def test_the_list_is_the_agreed_one() -> None:
    assert tuple(headstart.__all__) == PUBLIC
    assert dir(headstart) == sorted(PUBLIC)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(headstart, name)
    assert inspect.isclass(found) or inspect.isfunction(found)
    assert inspect.getdoc(found)


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'fitt'.*compare, doctor"):
        _ = headstart.fitt
    assert not hasattr(headstart, "torch")
