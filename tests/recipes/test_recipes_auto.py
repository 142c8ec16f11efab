"""`fit --method auto`: valid at once, better only on evidence, whole whenever it is stopped, the same when repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import ConfigError
from headstart.core.progress import Silent
from headstart.data.read import read_dataset
from headstart.methods import METHODS
from headstart.recipes import baselines
from headstart.recipes import fit as fitting
from headstart.recipes.auto.judge import Judge
from headstart.recipes.fit import fit, resume
from headstart.recipes.folder import is_complete
from headstart.recipes.prepare import Part, Target, prepare
from headstart.recipes.pretrain import PretrainedRun
from headstart.recipes.publish import Outcome
from headstart.recipes.recipe import Recipe
from headstart.recipes.run import Run
from headstart.sources import resolve
from headstart.testing.models import save_tiny_model
from headstart.testing.sources import tiny_source


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    root = tmp_path_factory.mktemp("sources")
    return str(save_tiny_model(root / "one")), str(save_tiny_model(root / "two", classes=("a", "b")))


def plan(*moves: dict[str, Any], out: Path, data: Path, sources: tuple[str, ...]) -> Path:
    """A recipe that makes these moves."""
    recipe = Recipe.model_validate(
        {
            "headstart": "0.1.0",
            "data": {"path": str(data)},
            "source": sources[0],
            "further_sources": sources[1:],
            "method": "auto",
            "plan": moves,
            "track": (),
        }
    )
    out.write_text(recipe.to_yaml(), encoding="utf-8")
    return out


def comparable(run: Run | PretrainedRun) -> dict[str, Any]:
    """Everything in the metrics but what depends on the clock."""
    found = json.loads(json.dumps(run.metrics))
    del found["cost"]
    for row in found["tried"]:
        del row["seconds"]
    return dict(found)


def test_without_a_budget_it_tries_the_probe_and_lp_ft_and_repeats(
    toy_photos: Path, sources: tuple[str, str], tmp_path: Path
) -> None:
    run = fit(toy_photos, source=sources[0], out=tmp_path / "run", track=())
    first, second = run.metrics["tried"]
    assert first["name"].startswith("probe on ")
    assert first["kept"]
    assert second["name"].startswith("lp-ft on ")
    assert run.metrics["method"] == ("lp-ft" if second["kept"] else "probe")
    assert "to be below 0.1 at look 1" in second["why"]
    again = fit(tmp_path / "run" / "recipe.yaml", out=tmp_path / "again")
    assert comparable(again) == comparable(run)


def test_a_budget_is_kept_and_its_recipe_repeats_without_a_clock(
    toy_photos: Path, sources: tuple[str, str], tmp_path: Path
) -> None:
    began = time.time()
    run = fit(toy_photos, source=sources[0], budget="20s", out=tmp_path / "run", track=())
    assert time.time() - began < 30
    assert len(run.metrics["tried"]) > 2
    again = fit(tmp_path / "run" / "recipe.yaml", out=tmp_path / "again")
    assert comparable(again) == comparable(run)


def test_the_smallest_budget_still_gives_a_judged_model(
    toy_photos: Path, sources: tuple[str, str], tmp_path: Path
) -> None:
    run = fit(toy_photos, source=sources[0], budget=0.1, out=tmp_path / "run", track=())
    assert run.metrics["method"] == "probe"
    assert run.metrics["verdict"]["against"] == "no_transfer"
    assert "random_network" not in run.metrics["baselines"]  # there was no time for it
    assert len(run.predict(toy_photos / "test" / "disc" / "00.jpg")) == 1


def test_sources_side_by_side_and_averaged_weights(toy_photos: Path, sources: tuple[str, str], tmp_path: Path) -> None:
    one, two = (resolve(source).card.name for source in sources)
    recipe = plan(
        {"kind": "probe", "sources": [one]},
        {"kind": "probe", "sources": [two]},
        {"kind": "joint", "sources": [one, two]},
        {"kind": "tune", "sources": [one], "method": "lp-ft", "epochs": 1},
        {"kind": "tune", "sources": [one], "method": "partial", "epochs": 3, "options": {"blocks": 2}},
        {"kind": "soup", "sources": [one]},
        out=tmp_path / "recipe.yaml",
        data=toy_photos,
        sources=sources,
    )
    run = fit(recipe, out=tmp_path / "run")
    assert len(run.metrics["tried"]) == 6
    assert all(row["validation"] is not None for row in run.metrics["tried"])


def test_a_linear_head_that_cross_validation_does_not_speak_for_costs_no_look(
    toy_photos: Path, sources: tuple[str, str], tmp_path: Path
) -> None:
    name = resolve(sources[0]).card.name
    probe = {"kind": "probe", "sources": [name]}
    tune = {"kind": "tune", "sources": [name], "method": "lp-ft", "epochs": 1}
    recipe = plan(probe, probe, tune, out=tmp_path / "recipe.yaml", data=toy_photos, sources=sources[:1])
    _, again, tuned = fit(recipe, out=tmp_path / "run", track=()).metrics["tried"]
    assert "no question was asked" in again["why"]
    assert not again["kept"]
    assert "at look 1" in tuned["why"]


def test_a_model_of_several_sources_is_saved_and_answers(
    toy_photos: Path, sources: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the evidence says here, the joint probe is taken."""
    monkeypatch.setattr(Judge, "__call__", lambda self, champion, challenger: (True, "taken"))
    one, two = (resolve(source).card.name for source in sources)
    moves = ({"kind": "probe", "sources": [one]}, {"kind": "joint", "sources": [one, two]})
    run = fit(plan(*moves, out=tmp_path / "r.yaml", data=toy_photos, sources=sources), out=tmp_path / "run")
    assert run.metrics["method"] == "joint-probe"
    assert run.metrics["source"] == f"{one} + {two}"
    judged = run.evaluate(toy_photos)
    stored = run.metrics["test"]["accuracy"]
    assert judged["test"]["accuracy"]["value"] == pytest.approx(stored["value"])


def test_a_move_that_fails_is_told_and_passed_over(toy_photos: Path, sources: tuple[str, str], tmp_path: Path) -> None:
    one = resolve(sources[0]).card.name
    recipe = plan(
        {"kind": "probe", "sources": [one]},
        {"kind": "tune", "sources": [one], "method": "partial", "epochs": 1, "options": {"blocks": 0}},
        out=tmp_path / "recipe.yaml",
        data=toy_photos,
        sources=sources,
    )
    run = fit(recipe, out=tmp_path / "run")
    assert run.metrics["method"] == "probe"
    assert "method.blocks=0" in run.metrics["tried"][1]["why"]
    assert run.metrics["tried"][1]["validation"] is None


class Interrupting(Silent):
    """Ctrl-C in the middle of the second move's training."""

    def advance(self, name: str, done: int, total: int) -> None:
        if name == "fine-tune" and done == 2:
            raise KeyboardInterrupt


def test_an_interrupt_leaves_the_best_so_far_saved_and_whole(
    toy_photos: Path, sources: tuple[str, str], tmp_path: Path
) -> None:
    run = fit(toy_photos, source=sources[0], out=tmp_path / "run", track=(), progress=Interrupting())
    assert run.metrics["method"] == "probe"
    assert [row["name"].split()[0] for row in run.metrics["tried"]] == ["probe"]
    assert run.evaluate(toy_photos)["test"]["accuracy"]["value"] == run.metrics["test"]["accuracy"]["value"]
    again = fit(tmp_path / "run" / "recipe.yaml", out=tmp_path / "again")
    assert comparable(again) == comparable(run)


def test_killed_and_resumed_it_makes_the_same_choices(
    toy_photos: Path, sources: tuple[str, str], tmp_path: Path
) -> None:
    whole = fit(toy_photos, source=sources[0], out=tmp_path / "whole", track=())
    command = [sys.executable, "-m", "headstart", "fit", str(toy_photos), "--source", sources[0], "--track", "none"]
    child = subprocess.Popen(
        [*command, "--set", "checkpoint_seconds=0", "--out", str(tmp_path / "cut")], env=dict(os.environ)
    )
    try:
        until = time.time() + 120
        while not (tmp_path / "cut" / "checkpoints" / "01" / "current.safetensors").exists():
            assert child.poll() is None
            assert time.time() < until
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
    finally:
        child.wait()
    assert not is_complete(tmp_path / "cut")
    again = resume(tmp_path / "cut")
    assert comparable(again)["tried"] == comparable(whole)["tried"]
    assert again.metrics["test"] == whole.metrics["test"]


def test_a_budget_is_for_auto(toy_photos: Path, sources: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a budget is for method auto"):
        fit(toy_photos, source=sources[0], method="probe", budget="60s", out=tmp_path / "run")
    with pytest.raises(ConfigError, match="budget 'soon' is no time"):
        fit(toy_photos, source=sources[0], budget="soon", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# -- no choice sees a test label -------------------------------------------------------------------------------


class Seen(AssertionError):
    """A test label was read before the model was final."""


class Poisoned:
    """Stands for the test part's labels; to look at it in any way is an error."""

    def __getattribute__(self, name: str) -> Any:
        raise Seen(name)

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise Seen("as an array")

    def __iter__(self) -> Any:
        raise Seen("iteration")

    def __len__(self) -> int:
        raise Seen("length")

    def __getitem__(self, index: Any) -> Any:
        raise Seen("an item")


@dataclass(frozen=True)
class Blind(Part):
    """A part that knows how many items it has without its targets."""

    def __len__(self) -> int:
        return len(self.batches)


CASES = [*((method, "quick") for method in ("auto", *METHODS)), ("auto", "full"), ("probe", "full")]


@pytest.mark.parametrize(("method", "verdict"), CASES)
def test_no_choice_sees_a_test_label(
    toy_photos: Path,
    sources: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    verdict: Any,
) -> None:
    def poisoned(*arguments: Any, **options: Any) -> Target:
        target = prepare(*arguments, **options)
        test = target.parts["test"]
        items = [replace(item, label=Poisoned()) for item in test.dataset.items]
        blind = test.dataset.with_items(items)
        poison: Any = Poisoned()
        part = Blind(blind, test.batches, poison, test.groups, test.digests, blind, test.given_digests)
        return replace(target, parts={**target.parts, "test": part})

    reached: list[Outcome] = []

    def published(outcome: Outcome, place: Path, *_: Any) -> Run:
        reached.append(outcome)
        return Run(place)

    monkeypatch.setattr(baselines, "SCRATCH_MOST_EPOCHS", 12)
    monkeypatch.setattr(fitting, "prepare", poisoned)
    monkeypatch.setattr(fitting, "publish", published)
    options = {} if method in ("auto", "probe") else {"epochs": 1}
    budget = 12 if method == "auto" else None
    fit(
        toy_photos,
        source=sources[0],
        method=method,
        verdict=verdict,
        budget=budget,
        options=options,
        out=tmp_path / "run",
        track=(),
    )
    (outcome,) = reached
    assert outcome.fitted.logits["test"].shape == (18, 3)
    with pytest.raises(Seen):
        len(outcome.target.parts["test"].targets)


def test_the_poison_works(toy_photos: Path) -> None:
    target = prepare(read_dataset(toy_photos), tiny_source().card.input, seed=0, progress=Silent())
    test = target.parts["test"]
    poison: Any = Poisoned()
    part = Blind(test.dataset, test.batches, poison, None, (), test.given, ())
    with pytest.raises(Seen):
        np.asarray(part.targets)
    assert len(part) == 18
