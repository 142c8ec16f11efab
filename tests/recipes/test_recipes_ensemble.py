"""Finished runs joined end to end: what is written, what decides, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.torch import save_file
from torch import Tensor

import headstart.recipes.ensemble
import headstart.recipes.joined
import headstart.recipes.serving
from headstart.artifacts.load import LoadedModel, load_model
from headstart.core.card import ImageInput
from headstart.core.errors import ArtifactError, ConfigError, DataError, SourceError
from headstart.core.task import Task
from headstart.data.dataset import Dataset
from headstart.data.loader import Batches
from headstart.data.read import read_dataset
from headstart.evaluation.compare import Verdict
from headstart.evaluation.report.content import Serving
from headstart.recipes.compare import compare
from headstart.recipes.ensemble import conclusion, decide, ensemble
from headstart.recipes.evaluate import evaluate
from headstart.recipes.fit import fit, resume
from headstart.recipes.joined import shared_target
from headstart.recipes.predict import predict, stream
from headstart.recipes.prepare import Target
from headstart.recipes.run import Run
from headstart.sources import resolve
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import MultiLabel
from headstart.tasks.regression import Regression
from headstart.testing.models import save_tiny_ensemble, save_tiny_model
from headstart.testing.sources import tiny_source


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answering costs is measured a few times only."""
    monkeypatch.setattr(headstart.recipes.serving, "SECONDS", 0.0)
    monkeypatch.setattr(headstart.recipes.serving, "FEWEST", 2)


@pytest.fixture(scope="module")
def runs(toy_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two probes on tiny networks of other weights, with seeds of their own: the toy photos declare their splits."""
    place = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("one", "other")):
        network = tiny_source(seed).load().state_dict()
        weights = place / f"{name}.safetensors"
        save_file({n.removeprefix("network."): t.contiguous() for n, t in network.items()}, weights)
        source = f"{weights}@timm:test_efficientnet"
        fit(toy_photos, source=source, method="probe", verdict="none", out=place / name, seed=seed, track=())
    return [place / "one", place / "other"]


@pytest.fixture(scope="module")
def joined(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return ensemble(*runs, out=tmp_path_factory.mktemp("joined") / "both")


def comparable(run: Run) -> dict[str, Any]:
    """metrics.json without what a clock decides."""
    return {k: v for k, v in run.metrics.items() if k != "cost"}


def rows(run: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, (run / "predictions.jsonl").read_text().splitlines())}


# -- what is written --------------------------------------------------------------------------------------------------


def test_a_run_folder_like_any_other(joined: Run) -> None:
    names = {path.name for path in joined.path.iterdir()} - {".lock"}
    assert names == {"recipe.yaml", "metrics.json", "report.html", "predictions.jsonl", "model"}
    metrics = joined.metrics
    assert (metrics["schema"], metrics["method"], metrics["task"]) == (1, "ensemble", "image-classification")
    assert metrics["n"] == {"train": 36, "validation": 12, "test": 18}
    assert set(metrics["baselines"]) == {"one", "other"}
    best = metrics["verdict"]["against"]
    assert metrics["baselines"][best]["accuracy"]["value"] == max(
        row["accuracy"]["value"] for row in metrics["baselines"].values()
    )
    assert [member["weight"] for member in metrics["ensemble"]["members"]] == [0.5, 0.5]
    accuracy = metrics["test"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert "ensemble on " in joined.summary()


def test_the_whole_says_the_mean_of_what_its_members_say(joined: Run, runs: list[Path]) -> None:
    """Each run stored its own calibrated probabilities; the ensemble's temperature comes on top."""
    one, other, both = rows(runs[0]), rows(runs[1]), rows(joined.path)
    temperature = joined.metrics["temperature"]
    for item, row in both.items():
        mean = (np.array(one[item]["scores"]) + np.array(other[item]["scores"])) / 2
        tempered = mean ** (1 / temperature)
        np.testing.assert_allclose(row["scores"], tempered / tempered.sum(), atol=0.02)


def test_the_saved_model_gives_the_judged_scores(joined: Run, toy_photos: Path) -> None:
    stored = rows(joined.path)
    said = predict(joined.path, toy_photos / "test", batch_size=5)
    assert len(said) == len(stored) == 18
    for answer in said:
        row = stored[Path(answer.input).relative_to(toy_photos).as_posix()]
        np.testing.assert_allclose(list(answer.scores.values()), row["scores"], atol=1e-4)
    again = evaluate(joined.path, toy_photos)
    assert again["test"]["accuracy"] == joined.metrics["test"]["accuracy"]
    assert again["source"] == joined.metrics["source"]
    assert " + " in again["source"]


def test_it_is_compared_like_any_other_run(joined: Run, runs: list[Path]) -> None:
    best = next(run for run in runs if run.name == joined.metrics["verdict"]["against"])
    found = compare(joined.path, best)["verdict"]
    assert found["gain"] == pytest.approx(joined.metrics["verdict"]["gain"])


def test_the_cost_of_answering_is_measured_against_the_best_member(joined: Run) -> None:
    ours, best = joined.metrics["cost"]["serving"]
    assert ours["name"] == "ensemble"
    assert best["name"] == joined.metrics["verdict"]["against"]
    assert ours["parameters"] == joined.metrics["cost"]["parameters_total"] == 2 * best["parameters"]
    assert ours["size_bytes"] > 1.9 * best["size_bytes"]
    assert 1 < ours["latency_ms"] / best["latency_ms"] < 5
    assert best["per_second"] > ours["per_second"] > 0


def test_the_report_tells_members_costs_and_the_conclusion(joined: Run) -> None:
    page = joined.report.read_text()
    for words in (
        "Nothing was trained: finished models answer together.",
        "What it costs to answer",
        "Not worth it: no gain over ",
        "probe on ",
        "The sources",
        "headstart ensemble ",
    ):
        assert words in page
    assert "Transfer" not in page


def test_the_order_of_the_runs_changes_nothing(joined: Run, runs: list[Path], tmp_path: Path) -> None:
    turned = ensemble(*runs[::-1], out=tmp_path / "turned")
    assert turned.metrics["test"] == joined.metrics["test"]
    assert turned.metrics["temperature"] == pytest.approx(joined.metrics["temperature"])
    assert turned.metrics["verdict"] == joined.metrics["verdict"]


def test_its_recipe_makes_it_again(runs: list[Path], tmp_path: Path) -> None:
    first = ensemble(*runs, out=tmp_path / "first", weights="validation", combine="logits", seed=3, photos=False)
    again = ensemble(first.path / "recipe.yaml", out=tmp_path / "again")
    assert comparable(again) == comparable(first)
    assert (again.path / "recipe.yaml").read_text() == (first.path / "recipe.yaml").read_text()
    over = ensemble(first.path / "recipe.yaml", out=first.path, overwrite=True)
    assert comparable(over) == comparable(again)
    weights = [member["weight"] for member in first.metrics["ensemble"]["members"]]
    assert sum(weights) == pytest.approx(1)
    assert min(weights) > 0
    assert "data:image/jpeg" not in first.report.read_text()


def test_two_folders_of_one_name_are_told_apart(runs: list[Path], tmp_path: Path) -> None:
    shutil.copytree(runs[1], tmp_path / "one")
    found = ensemble(runs[0], tmp_path / "one", out=tmp_path / "both")
    assert set(found.metrics["baselines"]) == {str(runs[0]), str(tmp_path / "one")}


# -- what decides -----------------------------------------------------------------------------------------------------


def test_test_labels_cannot_reach_any_choice(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same runs with every test label wrong: the same weights, temperature and scores, to the bit."""
    honest = ensemble(*runs, out=tmp_path / "honest", weights="validation")

    def poisoned(*arguments: Any) -> Target:
        target = shared_target(*arguments)
        test = target.parts["test"]
        return replace(target, parts={**target.parts, "test": replace(test, targets=(test.targets + 1) % 3)})

    monkeypatch.setattr(headstart.recipes.ensemble, "shared_target", poisoned)
    other = ensemble(*runs, out=tmp_path / "poisoned", weights="validation")
    assert other.metrics["test"]["accuracy"]["value"] < honest.metrics["test"]["accuracy"]["value"] - 0.3
    for key in ("ensemble", "temperature", "validation"):
        assert other.metrics[key] == honest.metrics[key]
    scores = [[row["scores"] for row in rows(run.path).values()] for run in (honest, other)]
    assert scores[0] == scores[1]


def loaded(place: Path, task: Task, count: int = 2) -> list[LoadedModel]:
    """The same tiny model `count` times: what `decide` needs of it is its task and temperature."""
    model = load_model(save_tiny_model(place / "model", task=task))
    assert isinstance(model, LoadedModel)
    return [model] * count


def test_weights_come_from_validation_scores_and_equal_ones_from_nothing(tmp_path: Path) -> None:
    models = loaded(tmp_path, Classification(("a", "b", "c")), 3)
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 300)
    good = 3 * np.eye(3)[targets] + rng.normal(size=(300, 3))
    noise = [2 * rng.normal(size=(300, 3)) for _ in range(2)]
    logits = [noise[0], good, noise[1]]
    found = decide(models, logits, targets, "validation", "probabilities", tmp_path)
    assert found.whole.weights[1] > 0.9
    assert found.metrics["accuracy"] == pytest.approx(found.standing[1], abs=0.05)
    equal = decide(models, logits, targets, "equal", "probabilities", tmp_path)
    assert equal.whole.weights == (1 / 3,) * 3
    assert equal.metrics["log_loss"] > found.metrics["log_loss"]
    together = equal.whole.combine(logits)
    for factor in (0.9, 1.1):
        other = replace(equal.whole, temperature=factor * equal.whole.temperature).scores_of(together)
        assert models[0].task.metrics(targets, other)["log_loss"] > equal.metrics["log_loss"]


@pytest.mark.parametrize("combine", ["probabilities", "logits"])
def test_many_labels_and_numbers_are_weighted_too(tmp_path: Path, combine: Any) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(400, 2))
    good, bad = truth + 0.1 * rng.normal(size=truth.shape), truth + 2 * rng.normal(size=truth.shape)
    numbers = Regression(("width", "height"), (10.0, 2000.0), (2.0, 300.0))
    found = decide(loaded(tmp_path / "a", numbers), [bad, good], numbers.scores(truth), "validation", combine, tmp_path)
    assert found.whole.weights[1] > 0.9
    assert found.whole.temperature == 1.0
    labels = loaded(tmp_path / "b", MultiLabel(("red", "round")))
    found = decide(labels, [bad, 4 * good], (truth > 0).astype(float), "validation", combine, tmp_path)
    assert found.whole.weights[1] > 0.8
    assert found.whole.temperature == 1.0


def test_without_validation_items_weights_are_equal_and_nothing_breaks(tmp_path: Path) -> None:
    models = loaded(tmp_path, Classification(("a", "b", "c")))
    nothing = np.zeros((0, 3))
    found = decide(models, [nothing] * 2, np.zeros(0, dtype=int), "validation", "probabilities", tmp_path)
    assert (found.whole.weights, found.whole.temperature) == ((0.5, 0.5), 1.0)
    assert found.standing == (None, None)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("positive", "Worth it, where you can afford that."),
        ("neutral", "Not worth it: no gain over lite1 is proved."),
        ("negative", "Not worth it: lite1 alone is better."),
    ],
)
def test_the_conclusion_is_plain(outcome: Any, words: str) -> None:
    found = Verdict(outcome, 0.027, 0.005, 0.051, 0.03, "lite1", "accuracy", 372, 20, 0.03, "")
    said = conclusion(found, Serving("ensemble", 2, 300, 30.0, 40.0), Serving("lite1", 1, 100, 20.0, 100.0))
    assert said == (
        "Accuracy +2.7 points (+0.5 to +5.1) over its best member, lite1, for 1.5 times its time for one item, 2.5 "
        f"times in batches, and 3.0 times its size on disk. {words}"
    )
    error = replace(found, metric="mae", gain=0.1234, low=-0.1, high=0.3)
    said = conclusion(error, Serving("ensemble", 2, 300, 30.0, 40.0), Serving("lite1", 1, 100, 20.0, 100.0))
    assert said.startswith("Mean absolute error +0.123 (-0.100 to +0.300) over")


# -- what is refused --------------------------------------------------------------------------------------------------


def copied(run: Path, place: Path) -> Path:
    return Path(shutil.copytree(run, place))


def change_metrics(run: Path, **changes: Any) -> Path:
    path = run / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return run


def test_runs_that_cannot_be_joined_are_refused_before_anything_is_written(runs: list[Path], tmp_path: Path) -> None:
    one, other = runs
    out = tmp_path / "out"
    begun = copied(other, tmp_path / "begun")
    (begun / "metrics.json").unlink()
    (tmp_path / "empty").mkdir()
    elsewhere = change_metrics(copied(other, tmp_path / "elsewhere"), data={"fingerprint": "0" * 64})
    cases: list[tuple[list[Path], type[Exception], str]] = [
        ([one], ConfigError, "two members or more, got 1"),
        ([], ConfigError, "two members or more, got 0"),
        ([one, one / ".." / "one"], ConfigError, "given twice"),
        ([one, begun], ArtifactError, f"headstart resume {begun}"),
        ([one, tmp_path / "empty"], ArtifactError, "no finished run"),
        ([one, elsewhere], ConfigError, "fitted on different data"),
    ]
    for given, kind, words in cases:
        with pytest.raises(kind, match=words):
            ensemble(*given, out=out)
    with pytest.raises(ConfigError, match="one of the members, which would be lost"):
        ensemble(one, other, out=one, overwrite=True)
    with pytest.raises(ConfigError, match="a finished run"):
        ensemble(one, other, out=one)
    assert not out.exists()


def test_ensembles_are_not_joined_again(joined: Run, runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="an ensemble already. Join the runs it was made of") as error:
        ensemble(joined.path, runs[0], out=tmp_path / "out")
    assert all(str(run) in str(error.value) for run in runs)
    planned = copied(runs[1], tmp_path / "planned")
    shutil.rmtree(planned / "model")
    save_tiny_ensemble(planned / "model", classes=("checks", "disc", "stripes"))
    with pytest.raises(ConfigError, match="ensembles hold single models"):
        ensemble(runs[0], planned, out=tmp_path / "out")


def test_a_damaged_member_is_refused_by_name(runs: list[Path], tmp_path: Path) -> None:
    damaged = copied(runs[1], tmp_path / "damaged")
    weights = damaged / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"damaged.*model\.safetensors"):
        ensemble(runs[0], damaged, out=tmp_path / "out")


def test_other_tasks_of_the_same_data_are_refused(runs: list[Path], tmp_path: Path) -> None:
    turned = copied(runs[1], tmp_path / "turned")
    shutil.rmtree(turned / "model")
    save_tiny_model(turned / "model", classes=("disc", "checks", "stripes"))
    with pytest.raises(ConfigError, match="one and turned predict different things"):
        ensemble(runs[0], turned, out=tmp_path / "out")


def test_a_recipe_whose_member_was_fitted_again_is_refused(joined: Run, tmp_path: Path) -> None:
    recipe = yaml.safe_load((joined.path / "recipe.yaml").read_text())
    recipe["members"][1]["sha256"] = "0" * 64
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(ArtifactError, match="other is not the one that this ensemble was made of"):
        ensemble(tmp_path / "recipe.yaml", out=tmp_path / "out")
    (tmp_path / "recipe.yaml").write_text("kind: ensemble\nheadstart: 0.1.0\n")
    with pytest.raises(ArtifactError, match="no recipe of an ensemble: members"):
        ensemble(tmp_path / "recipe.yaml", out=tmp_path / "out")
    with pytest.raises(ArtifactError, match="cannot be read"):
        ensemble(tmp_path / "nowhere.yaml", out=tmp_path / "out")


def test_data_that_has_changed_or_moved(runs: list[Path], joined: Run, toy_photos: Path, tmp_path: Path) -> None:
    moved = copied(toy_photos, tmp_path / "moved")
    assert comparable(ensemble(*runs, out=tmp_path / "a", data=moved))["test"] == joined.metrics["test"]
    (moved / "test" / "disc" / "00.jpg").rename(moved / "test" / "disc" / "renamed.jpg")
    with pytest.raises(DataError, match="test items are other ones or have other names"):
        ensemble(*runs, out=tmp_path / "b", data=moved)
    (moved / "train" / "disc" / "00.jpg").unlink()
    with pytest.raises(DataError, match="not the data that the runs were fitted on"):
        ensemble(*runs, out=tmp_path / "b", data=moved)
    assert not (tmp_path / "b").exists()


def test_seeds_that_divided_the_data_differently_are_refused(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the data declares its splits a seed divides nothing, as in the other tests; here it declares none."""

    def undeclared(*arguments: Any, **columns: Any) -> Dataset:
        dataset = read_dataset(*arguments, **columns)
        return dataset.with_items([replace(item, split=None) for item in dataset.items])

    monkeypatch.setattr(headstart.recipes.joined, "read_dataset", undeclared)
    with pytest.raises(ConfigError, match=r"different seeds \(0, 1\).*what tests one has trained another"):
        ensemble(*runs, out=tmp_path / "out")


def test_fit_resume_and_source_say_what_to_do_with_an_ensemble(joined: Run, tmp_path: Path) -> None:
    recipe = joined.path / "recipe.yaml"
    with pytest.raises(ArtifactError, match=f"that of an ensemble. Make it with: headstart ensemble {recipe}"):
        fit(recipe, out=tmp_path / "out")
    begun = copied(joined.path, tmp_path / "begun")
    (begun / "metrics.json").unlink()
    with pytest.raises(ArtifactError, match=f"headstart ensemble {begun / 'recipe.yaml'} --out {begun} --overwrite"):
        resume(begun)
    with pytest.raises(SourceError, match="members/0"):
        resolve(str(joined.path)).load()
    assert resolve(str(joined.model / "members" / "1")).load().width == tiny_source().card.width


def test_a_member_of_a_finished_ensemble_that_is_damaged_stops_every_answer(
    joined: Run, toy_photos: Path, tmp_path: Path
) -> None:
    damaged = copied(joined.path, tmp_path / "damaged")
    (damaged / "model" / "members" / "1" / "model.safetensors").write_bytes(b"")
    for answer in (lambda: predict(damaged, toy_photos / "test"), lambda: evaluate(damaged, toy_photos)):
        with pytest.raises(ArtifactError, match=r"members/1.*model\.safetensors"):
            answer()


def test_answers_are_streamed_and_members_of_one_contract_share_their_batches(
    tmp_path: Path, toy_photos: Path, joined: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = Batches.evaluation

    def counted(self: Batches, indices: Sequence[int]) -> Tensor:
        assert isinstance(self.contract, ImageInput)
        made.append(self.contract.crop)
        return real(self, indices)

    monkeypatch.setattr(Batches, "evaluation", counted)
    photos = sorted((toy_photos / "test").rglob("*.jpg"))
    answers = stream(joined.path, photos, batch_size=1)
    next(answers)
    assert len(made) < 6
    assert len(list(answers)) == 17
    assert len(made) == 18
    made.clear()
    two_sizes = save_tiny_ensemble(tmp_path / "model")
    assert len(predict(two_sizes, photos, batch_size=6)) == 18
    assert sorted(made) == [32] * 3 + [48] * 3
