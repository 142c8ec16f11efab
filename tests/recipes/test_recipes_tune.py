"""Tuning on real files with a real (tiny) network: what is searched, what survives, what is promised of the winner."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from safetensors.torch import save_file

import headstart.recipes.tuning.clock as clock
import headstart.recipes.tuning.finals as finals
from headstart.core.errors import ConfigError, InternalError
from headstart.core.options import build, train_config
from headstart.data.dataset import Dataset
from headstart.data.read import read_dataset
from headstart.data.splits import assign_splits
from headstart.methods import METHODS
from headstart.nn.freeze import weighted_blocks
from headstart.nn.model import Model
from headstart.recipes.fit import fit
from headstart.recipes.recipe import Recipe
from headstart.recipes.tune import tune
from headstart.recipes.tuning.crew import run_crew
from headstart.recipes.tuning.ledger import Ledger, values_of
from headstart.recipes.tuning.rehearsal import phases_of
from headstart.recipes.tuning.result import Study
from headstart.recipes.tuning.space import Choices, Dimension, Facts, Range, first_values, make_space
from headstart.recipes.tuning.worker import Job
from headstart.tasks.classification import Classification
from headstart.testing.sources import tiny_source

FAST = {"epochs": 2, "batch_size": 12}
SPACE = ["learning_rate=1e-4..1e-2", "label_smoothing=0..0.2"]
CALL: dict[str, Any] = {"method": "lp-ft", "options": FAST, "space": SPACE, "seed": 5, "verdict": "none"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file({n.removeprefix("network."): t.contiguous() for n, t in tiny_source().load().state_dict().items()}, path)
    return f"{path}@timm:test_efficientnet"


@pytest.fixture(scope="module")
def study(toy_photos: Path, weights: str, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Five trials, the finalists judged on one fresh division."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finals, "DIVISIONS", 2)
        return tune(toy_photos, source=weights, trials=5, out=tmp_path_factory.mktemp("studies") / "mine", **CALL)


def ledger_of(place: Path) -> Ledger:
    return Ledger(place, {}, 0)


def tried(place: Path) -> list[tuple[Any, ...]]:
    """What must not depend on how often a study was killed."""
    return [(t.number, t.state.name, t.params, t.value, t.intermediate_values) for t in ledger_of(place).trials()]


def states(place: Path) -> list[str]:
    """Of the trials so far, read without getting in anyone's way."""
    base = sqlite3.connect(f"file:{place / 'study.db'}?mode=ro", uri=True)
    wanted = "select state from trials join studies using (study_id) where study_name = 'search' order by number"
    try:
        return [state for (state,) in base.execute(wanted)]
    except sqlite3.OperationalError:  # not there yet, or locked just now
        return []
    finally:
        base.close()


def command(photos: Path, source: str, out: Path, *more: str) -> list[str]:
    sets = [word for key, value in FAST.items() for word in ("--set", f"{key}={value}")]
    spaces = [word for pair in SPACE for word in ("--space", pair)]
    words = ["tune", str(photos), "--source", source, "--method", "lp-ft", "--seed", "5", "--out", str(out)]
    return [sys.executable, "-m", "headstart", *words, *sets, *spaces, "--verdict", "none", *more]


# -- what is searched -------------------------------------------------------------------------------------------------


def facts(name: str, options: Mapping[str, Any] | None = None, kind: str = "single", items: int = 200) -> Facts:
    fixed = dict(options or {})
    method = build(METHODS[name], {k: v for k, v in fixed.items() if k.startswith("method.")})
    model, config = Model(tiny_source().load(), 3), train_config(fixed)
    blocks = len(weighted_blocks(model))
    phases = phases_of(method, model, Classification(("a", "b", "c")), config)
    return Facts(method, phases, config, fixed, kind, items, blocks)


TRAINED = {"learning_rate", "epochs", "batch_size", "label_smoothing", "augment.policy", "augment.scale_min"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lp-ft", TRAINED | {"weight_decay"}),
        ("probe", {"method.criterion", "class_weighting"}),
        ("partial", TRAINED | {"weight_decay", "method.blocks"}),
        ("gradual", TRAINED | {"weight_decay", "method.groups", "method.factor"}),
        ("l2-sp", TRAINED | {"method.alpha", "method.beta"}),
        ("elastic", TRAINED | {"method.l1", "method.l2"}),
        ("lora", TRAINED | {"method.rank", "method.alpha", "method.blocks"}),
        ("soup", (TRAINED | {"weight_decay", "method.spread"}) - {"learning_rate"}),
        ("llrd", TRAINED | {"weight_decay", "method.decay"}),
    ],
)
def test_the_space_is_read_off_the_method(name: str, expected: set[str]) -> None:
    found = facts(name)
    space = make_space(found)
    assert set(space) == expected
    for value in (first_values(found, space), {k: d.samples[-1] for k, d in space.items()}):
        train_config(value)  # every value that the space has is one that the option takes
        build(METHODS[name], {k: v for k, v in value.items() if k.startswith("method.")})


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_something_to_search_and_begins_with_its_defaults(name: str) -> None:
    found = facts(name)
    space = make_space(found)
    first = first_values(found, space)
    for key, dimension in space.items():
        default = found.default(key)
        assert first[key] == dimension.nearest(first[key])
        if default is not None:
            assert first[key] == pytest.approx(default) if isinstance(default, float) else first[key] == default


def test_what_is_fixed_is_not_searched_and_what_is_wanted_is() -> None:
    space = make_space(facts("lp-ft", {"epochs": 3, "augment.policy": "none"}), ["dropout=0..0.5", "batch_size=16,32"])
    assert set(space) == {"learning_rate", "weight_decay", "label_smoothing", "batch_size", "dropout"}
    assert space["batch_size"] == Choices((16, 32))
    assert space["dropout"] == Range(0, 0.5)
    assert make_space(facts("lp-ft"), {"learning_rate": (1e-5, 1e-3)})["learning_rate"] == Range(1e-5, 1e-3, log=True)
    assert make_space(facts("partial"), ["method.blocks=1..2"])["method.blocks"] == Range(1, 2, whole=True)
    assert make_space(facts("lora"), ["augment.flip=0,0.5"])["augment.flip"] == Choices((0, 0.5))


def test_the_first_trial_is_as_near_to_the_defaults_as_the_space_allows() -> None:
    found = facts("lp-ft")
    space = make_space(found, ["learning_rate=1e-3..1e-2", "layer_decay=0.5..0.9", "optimizer=sgd,momentum"])
    first = first_values(found, space)
    assert first["learning_rate"] == 1e-3
    assert first["layer_decay"] == 0.9  # the phases' own is 1
    assert first["optimizer"] == "sgd"
    assert (first["epochs"], first["weight_decay"], first["batch_size"]) == (4, 0.01, "auto")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("learning_rte=1e-5..1e-3", "unknown option to search: 'learning_rte'. Did you mean 'learning_rate'"),
        ("learning_rate", "KEY=LOW..HIGH or KEY=A,B,C, got 'learning_rate'"),
        ("learning_rate=", "KEY=LOW..HIGH"),
        ("learning_rate=1e-3..1e-5", "two numbers, the lower one first"),
        ("learning_rate=low..high", "two numbers"),
        ("learning_rate=1e-3..5000", "--space learning_rate=5000.*at most 1000"),
        ("batch_size=16", "has one value. To fix an option: --set batch_size=16"),
        ("batch_size=16,zero", "--space batch_size=zero: expected whole number"),
        ("batch_size=1.5..8", "expected whole numbers"),
        ("method.rank=2,4", "unknown option to search: 'method.rank'"),
        ("epochs=1..9", "epochs is fixed by --set and searched by --space"),
    ],
)
def test_a_wrong_space_is_one_clear_message(wanted: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_space(facts("lp-ft", {"epochs": 3}), [wanted])


def test_nothing_to_search_is_said() -> None:
    with pytest.raises(ConfigError, match="nothing is left to search.*'probe'"):
        make_space(facts("probe", {"method.criterion": "accuracy", "class_weighting": "none"}))
    with pytest.raises(ConfigError, match="given twice"):
        make_space(facts("lp-ft"), ["dropout=0..0.1", "dropout=0..0.2"])


# -- the ledger -------------------------------------------------------------------------------------------------------


def play(ledger: Ledger, most: int, score: Any) -> None:
    """Claim and tell trials without training anything."""
    while (trial := ledger.claim(0, most)) is not None:
        ledger.search.tell(trial, score(trial.params))


class Once:
    """What may be called once; whoever calls it again is killed."""

    def __init__(self, call: Any) -> None:
        self.calls = iter([call])

    def __call__(self, *words: Any) -> None:
        next(self.calls)(*words)


def test_trials_follow_from_seed_and_number_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space: dict[str, Dimension] = {"rate": Range(1e-5, 1e-3, log=True), "kind": Choices(("a", "b"))}

    def score(values: Mapping[str, Any]) -> float:
        return float(values["kind"] == "b") - abs(math.log10(values["rate"]) + 4)

    found = []
    for name, released in (("whole", False), ("broken", True)):
        (tmp_path / name).mkdir()
        ledger = Ledger(tmp_path / name, space, 7)
        ledger.enqueue_first({"rate": 1e-4, "kind": "a"})
        if released:
            play(ledger, 5, score)
            ledger.claim(0, 6)  # taken by a process that is then killed
            again = Ledger(tmp_path / name, space, 7)
            assert again.release() == []
            play(again, 7, score)
            storage = again.search._storage
            with monkeypatch.context() as patch, pytest.raises(StopIteration):
                patch.setattr(storage, "set_trial_param", Once(storage.set_trial_param))
                again.claim(3, 8)  # killed between its first value and its second
            again = Ledger(tmp_path / name, space, 7)
            assert len(again.trials()[7].params) == 1
            again.release(3)
            ledger = again
        play(ledger, 12, score)
        found.append([(t.number, t.params, t.value) for t in ledger.trials()])
    assert found[0] == found[1]
    assert found[0][0][1] == {"rate": 1e-4, "kind": "a"}
    assert len(found[0]) == 12
    importances = ledger.importances()
    assert set(importances) == {"rate", "kind"}
    assert sum(importances.values()) == pytest.approx(1)


def test_a_trial_whose_process_dies_twice_is_given_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, {"rate": Range(0, 1)}, 0)
    ledger.enqueue_first({"rate": 0.5})
    for expected in (0, 1):
        trial = ledger.claim(3, 9)
        assert trial is not None
        assert trial.params == {"rate": 0.5}
        assert ledger.release(4) == []  # another worker's
        assert len(ledger.release(3, died=True)) == expected
    assert ledger.is_hopeless()


def test_a_finite_space_is_tried_once_each(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, {"kind": Choices(("a", "b")), "many": Range(1, 2, whole=True)}, 0)
    ledger.enqueue_first({"kind": "a", "many": 1})
    play(ledger, 500, lambda values: float(values["many"]))
    assert len({str(values_of(t)) for t in ledger.trials()}) == 4
    assert len(ledger.trials()) < 100


def test_the_worse_half_is_ended_early_as_optunas_own_halving_would_and_asked_twice_alike(tmp_path: Path) -> None:
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=25, reduction_factor=2)
    oracle = optuna.create_study(direction="maximize", pruner=pruner)
    ledger, rng = Ledger(tmp_path, {"rate": Range(0, 1)}, 0), random.Random(0)
    answers = []
    for _ in range(14):
        trial, other = ledger.claim(0, 99), oracle.ask()
        assert trial is not None
        for percent in (10, 25, 40, 60, 80):
            score = rng.random() + percent / 200
            trial.report(score, percent)
            other.report(score, percent)
            behind = ledger.is_behind(trial.number, percent)
            assert behind == ledger.is_behind(trial.number, percent) == other.should_prune()
            answers.append(behind)
            if behind:
                break
        ledger.search.tell(trial, score)
        oracle.tell(other, score)
    assert 3 < sum(answers) < len(answers) - 3
    assert not any(answers[:5])  # the first has nobody to be behind


# -- a study ----------------------------------------------------------------------------------------------------------


def test_a_study_folder_holds_all_that_was_promised(study: Study) -> None:
    names = {path.name for path in study.path.iterdir() if not path.name.startswith(".")}
    assert {"study.db", "study.yaml", "tune.json", "report.html", "best"} <= names <= names | {"default"}
    assert "trials" not in names
    assert not list(study.path.glob("worker-*"))
    found = study.result
    assert found["n"] == {"train": 36, "validation": 12, "test": 18}
    assert len(found["trials"]) == found["looks"]["trials"] == 5
    assert found["ending"] == "done"
    assert found["space"] == {"label_smoothing": "0..0.2", "learning_rate": "0.0001..0.01 (log)", **found["space"]}
    looks = sum(int(t.user_attrs.get("looks") or 0) for t in ledger_of(study.path).trials())
    assert found["looks"]["validation"] > looks >= 3 * found["looks"]["complete"]
    page = study.report.read_text()
    assert f"trial {found['best']['trial']}" in page or found["verdict"] is None
    assert "optimistic" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "quote the test interval" in study.summary()


def test_the_first_trial_is_the_methods_defaults_and_its_score_that_of_fit(
    study: Study, toy_photos: Path, weights: str, tmp_path: Path
) -> None:
    run = fit(toy_photos, source=weights, method="lp-ft", out=tmp_path / "run", options=FAST, seed=5, verdict="none")
    first = study.result["trials"][0]
    assert first["values"]["learning_rate"] == 2e-4
    assert first["value"] == run.metrics["validation"]["accuracy"]
    if study.result["verdict"] is not None:
        assert Recipe.read(study.path / "default" / "recipe.yaml").train == train_config(FAST)


def test_the_winner_is_fitted_with_its_options_and_not_worse_than_the_defaults_on_validation(study: Study) -> None:
    found = study.result
    recipe = Recipe.read(study.best.path / "recipe.yaml")
    assert recipe.train == train_config(found["best"]["options"])
    assert found["best"]["validation"] == study.best.metrics["validation"]["accuracy"]
    assert found["best"]["test"] == study.best.metrics["test"]["accuracy"]
    means = {int(number): sum(values) / len(values) for number, values in found["finalists"].items()}
    assert means[found["best"]["trial"]] == pytest.approx(max(means.values()))
    assert all(len(values) == 2 for values in found["finalists"].values())
    assert found["optimism"] == pytest.approx(found["best"]["validation"] - found["best"]["test"]["value"])


def test_a_finished_study_is_not_done_again(study: Study, toy_photos: Path, weights: str) -> None:
    before = (study.best.path / "metrics.json").stat().st_mtime_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finals, "DIVISIONS", 1)
        again = tune(toy_photos, source=weights, trials=5, out=study.path, **CALL)
    assert again.result["trials"] == study.result["trials"]
    if again.result["best"]["trial"] == study.result["best"]["trial"]:
        assert (study.best.path / "metrics.json").stat().st_mtime_ns == before


def test_another_study_is_refused_with_the_difference(
    study: Study, toy_photos: Path, weights: str, tmp_path: Path
) -> None:
    def again(photos: Path = toy_photos, **changed: Any) -> Study:
        return tune(photos, source=weights, trials=5, out=study.path, **{**CALL, **changed})

    with pytest.raises(
        ConfigError, match=r"learning_rate is 0\.0001\.\.0\.01 \(log\) there, 1e-05\.\.0\.001 \(log\) here"
    ):
        again(space=["learning_rate=1e-5..1e-3", SPACE[1]])
    with pytest.raises(ConfigError, match="dropout is not searched there, 0..0.5 here.*choose another --out"):
        again(space=[*SPACE, "dropout=0..0.5"])
    with pytest.raises(ConfigError, match="the seed is 5 there, 6 here"):
        again(seed=6)
    photos = tmp_path / "photos"
    shutil.copytree(toy_photos, photos)
    (photos / "train" / "disc" / "00.jpg").unlink()
    with pytest.raises(ConfigError, match="the data is [0-9a-f]{12} there"):
        again(photos)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="other things in it"):
        tune(toy_photos, source=weights, out=tmp_path / "thesis", **CALL)
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_fresh_divisions_keep_their_size_and_tear_no_group(toy_photos: Path) -> None:
    data = read_dataset(toy_photos)
    digests = tuple(str(i) for i in range(len(data)))
    items = [dataclasses.replace(item, group=f"g{i // 2}") for i, item in enumerate(data.items)]
    pool = assign_splits(data.with_items([dataclasses.replace(i, split=None) for i in items]), digests, seed=0)
    chosen = [i for i, item in enumerate(pool.items) if item.split != "test"]
    pool, digests = pool.take(chosen), tuple(digests[i] for i in chosen)
    target = type("Target", (), {"alike": ((pool[0].id, pool[7].id), ("elsewhere",))})()
    made = finals.divisions(target, pool, digests, seed=1)
    assert len(made) == finals.DIVISIONS == len(set(made))
    assert made == finals.divisions(target, pool, digests, seed=1)
    for roles in made:
        assert set(roles) == {"train", "validation"}
        assert abs(roles.count("validation") - made[0].count("validation")) <= 4
    for roles in made[1:]:
        assert roles[0] == roles[7]
        for group in {item.group for item in pool.items}:
            assert len({role for role, item in zip(roles, pool.items, strict=True) if item.group == group}) == 1


# -- test data --------------------------------------------------------------------------------------------------------


def test_workers_are_handed_nothing_of_the_test_part(
    toy_photos: Path, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every test label wrong, what the workers get is the same to the bit."""
    poisoned = tmp_path / "poisoned" / toy_photos.name
    shutil.copytree(toy_photos, poisoned)
    for old, new in (("checks", "held"), ("disc", "checks"), ("stripes", "disc"), ("held", "stripes")):
        (poisoned / "test" / old).rename(poisoned / "test" / new)
    handed: list[Job] = []

    def caught(job: Job, *_: Any) -> str:
        handed.append(job)
        raise InternalError("enough was seen")

    monkeypatch.setattr("headstart.recipes.tune.run_crew", caught)
    for photos in (toy_photos, poisoned):
        with pytest.raises(InternalError, match="enough"):
            tune(photos, source=weights, trials=2, out=tmp_path / photos.parent.name / "out", **CALL)
    clean, other = handed
    assert {item.split for item in clean.pool.items} == {"train", "validation"}
    assert len(clean.pool) == 48
    assert not any("/test/" in str(item.input) for item in clean.pool.items)

    def content(job: Job) -> dict[str, Any]:
        pool = job.pool.with_items([dataclasses.replace(i, input=i.content()) for i in job.pool.items])
        return dataclasses.replace(job, pool=pool, folder=Path("study")).to_json()

    assert content(clean) == content(other)
    assert Job.from_json(json.loads(json.dumps(clean.to_json()))) == clean


# -- what survives ----------------------------------------------------------------------------------------------------


def until(found: Any, process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert process.poll() is None, f"the process ended: {process.communicate()}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_study_killed_in_a_trial_ends_in_the_trials_of_one_that_was_not(
    study: Study, toy_photos: Path, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "killed"
    process = subprocess.Popen(command(toy_photos, weights, place, "--trials", "5"), stderr=subprocess.PIPE, text=True)
    try:
        until((place / "study.db").exists, process)
        until(lambda: states(place)[1:2] == ["RUNNING"], process)
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert children
    assert not alive, "workers outlive their parent"
    assert not (place / "tune.json").exists()
    monkeypatch.setattr(finals, "DIVISIONS", 2)
    again = tune(toy_photos, source=weights, trials=5, out=place, **CALL)
    assert tried(place) == tried(study.path)
    for key in ("best", "default", "finalists", "looks", "optimism", "verdict"):
        assert again.result[key] == study.result[key]


@pytest.mark.slow
def test_two_workers_one_killed_then_interrupted(toy_photos: Path, weights: str, tmp_path: Path) -> None:
    """Ctrl-C leaves the best so far whole, and a worker's death costs no more than its trial's time."""
    place = tmp_path / "two"
    words = command(toy_photos, weights, place, "--trials", "500", "--workers", "2", "--json")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until((place / "study.db").exists, process)
        until(lambda: states(place).count("RUNNING") == 2, process)
        psutil.Process(process.pid).children()[0].kill()
        until(lambda: (now := states(place))[0] == "COMPLETE" and len(now) > 6 and now.count("RUNNING") == 2, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["ending"] == "interrupted"
    assert found == {"study": str(place), **Study(place).result}
    assert Study(place).best.metrics["test"]["accuracy"] == found["best"]["test"]
    assert not {"RUNNING", "FAIL"} & set(states(place))
    assert len({str(values_of(t)) for t in ledger_of(place).trials()}) == len(states(place))


@pytest.mark.parametrize(("workers", "threads", "share"), [(2, 5, 2), (3, 2, 1), (1, 8, 8)])
def test_the_threads_are_split_among_the_workers(
    workers: int, threads: int, share: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[int, int]] = []

    def start(self: Any) -> None:
        started.append((self.job.worker, self.job.threads))
        self.busy = False

    monkeypatch.setattr("headstart.recipes.tuning.crew._Hand.start", start)
    pool = Dataset("nothing", ())
    task, input = Classification(("a", "b")), tiny_source().card.input
    job = Job(tmp_path, pool, (), (), task, input, "tiny", "lp-ft", {}, {}, "accuracy", 4, 0, 1)
    assert run_crew(job, workers, threads, ledger_of(tmp_path), lambda: False) == "done"
    assert started == [(i, share) for i in range(workers)]


@pytest.mark.slow
def test_the_budget_bounds_the_whole_and_too_little_is_said(
    toy_photos: Path, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "study"
    with pytest.raises(ConfigError, match=r"--budget 0\.5 s ended before the method's defaults were judged.*to go on"):
        tune(toy_photos, source=weights, trials=500, out=place, budget=0.5, **CALL)
    monkeypatch.setattr(finals, "DIVISIONS", 1)
    monkeypatch.setattr(clock, "FITTING", 4.0)
    began = time.monotonic()
    found = tune(toy_photos, source=weights, trials=500, out=place, budget="22s", **CALL)
    assert found.result["ending"] == "budget"
    assert 8 < time.monotonic() - began < 40  # the machine may be busy; the search alone would take many minutes
    assert found.result["looks"]["trials"] < 500


def test_the_budget_is_shared_between_search_finalists_and_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("headstart.recipes.tuning.clock.time.monotonic", lambda: now[0])
    default, other = (
        optuna.trial.create_trial(value=0.5, user_attrs={"seconds": 10.0}),
        optuna.trial.create_trial(value=0.6, user_attrs={"seconds": 20.0}),
    )
    other.number = 1
    watch = clock.Clock("5m")
    now[0] = 2.0
    watch.opened()
    found = [other, default]
    assert watch.fits(found) == pytest.approx(1.2 * 30 + 2 * (2 + clock.FITTING))
    assert watch.rounds(found, 4, 1) == 3  # a round takes 30 of the 100 seconds less what workers need to start
    assert watch.rounds(found, 4, 2) == 4
    assert watch.rounds([default], 4, 1) == 0
    needed = 3 * 30 + clock.STARTING + watch.fits(found)
    for left, over in ((needed + 1, False), (needed - 1, True)):
        now[0] = 300 - left
        assert watch.search_is_over(found, 4, 1) is over
    assert not watch.search_is_over([], 4, 1)
    assert not watch.search_is_over([default], 4, 1)
    watch.best, watch.default = 1, True
    assert watch.fits(found) == 0
    assert clock.Clock(None).rounds(found, 4, 1) == 4
    assert not clock.Clock(None).search_is_over(found, 4, 1)


def test_wrong_arguments_write_nothing(toy_photos: Path, weights: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for words, changed in (
        ("expected 1 or more", {"trials": 0}),
        ("expected 1 or more", {"workers": 0}),
        ("'soon' is no time", {"budget": "soon"}),
        ("unknown method 'lpft'", {"method": "lpft"}),
        ("unknown option 'epoch'", {"options": {"epoch": 1}}),
        ("unknown option to search", {"space": ["epoch=1..2"]}),
    ):
        with pytest.raises(ConfigError, match=words):
            tune(toy_photos, source=weights, out=out, **{**CALL, **changed})
    assert not out.exists()


def test_a_default_that_cannot_be_trained_is_said_at_once(toy_photos: Path, weights: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be tuned from: .*metric to monitor 'auc'"):
        tune(
            toy_photos, source=weights, trials=50, out=tmp_path / "s", **{**CALL, "options": {**FAST, "monitor": "auc"}}
        )
