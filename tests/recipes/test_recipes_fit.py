"""fit end to end on real files with a real (tiny) network: what is written, what is refused, what repeats."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import headstart.recipes.baselines
import headstart.recipes.publish
from headstart.artifacts.load import load_model
from headstart.core.errors import ArtifactError, ConfigError, DataError, SourceError
from headstart.recipes.fit import fit, resume
from headstart.recipes.folder import only_writer
from headstart.recipes.recipe import Recipe
from headstart.recipes.run import Run
from headstart.testing.sources import tiny_source

FAST = {"epochs": 2, "batch_size": 12}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A source that a recipe can name: the tiny network's weights in a local file."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file({n.removeprefix("network."): t.contiguous() for n, t in tiny_source().load().state_dict().items()}, path)
    return f"{path}@timm:test_efficientnet"


@pytest.fixture(scope="module")
def finished(toy_photos: Path, weights: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "mine"
    return fit(toy_photos, source=weights, method="lp-ft", out=out, options=FAST, seed=5)


def comparable(run: Run) -> dict[str, Any]:
    """metrics.json without what a clock or a folder name decides."""
    return {k: v for k, v in run.metrics.items() if k != "cost"}


def tensors(run: Run) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(run.model / "model.safetensors")
    return found


def test_a_run_folder_holds_all_that_was_promised(finished: Run) -> None:
    names = {p.name for p in finished.path.iterdir()}
    assert {
        "recipe.yaml",
        "metrics.json",
        "report.html",
        "log.jsonl",
        "predictions.jsonl",
        "model",
        "tensorboard",
    } <= names
    assert "checkpoints" not in names
    assert not [p for p in finished.path.rglob("*") if p.suffix in (".pkl", ".pt", ".pth", ".part")]
    metrics = finished.metrics
    assert metrics["schema"] == 1
    assert metrics["task"] == "image-classification"
    assert metrics["n"] == {"train": 36, "validation": 12, "test": 18}
    for name in (
        "accuracy",
        "balanced_accuracy",
        "precision_macro",
        "recall_macro",
        "f1_macro",
        "roc_auc",
        "log_loss",
        "ece",
    ):
        row = metrics["test"][name]
        assert row["low"] <= row["value"] <= row["high"]
    assert {"no_transfer", "probe"} <= metrics["baselines"].keys()
    assert metrics["verdict"]["against"] == "no_transfer"
    assert metrics["verdict"]["transfer"] in ("positive", "neutral", "negative")
    assert metrics["cost"]["seconds"] > 0
    assert metrics["cost"]["parameters_trained"] == metrics["cost"]["parameters_total"]


def test_the_numbers_are_those_of_the_predictions(finished: Run) -> None:
    rows = [json.loads(line) for line in (finished.path / "predictions.jsonl").read_text().splitlines()]
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert finished.metrics["test"]["accuracy"]["value"] == pytest.approx(right)
    loss = -np.mean([np.log(row["scores"][["checks", "disc", "stripes"].index(row["label"])]) for row in rows])
    assert finished.metrics["test"]["log_loss"]["value"] == pytest.approx(loss, rel=1e-6)


def test_the_saved_model_gives_the_judged_scores(finished: Run, toy_photos: Path) -> None:
    from headstart.recipes.predict import predict

    rows = {r["id"]: r for r in map(json.loads, (finished.path / "predictions.jsonl").read_text().splitlines())}
    item = next(iter(rows))
    (said,) = predict(finished.path, toy_photos / item)
    assert said.label == rows[item]["predicted"]
    np.testing.assert_allclose(list(said.scores.values()), rows[item]["scores"], atol=2e-2)


def test_the_recipe_gives_the_same_run_again(finished: Run, tmp_path: Path) -> None:
    again = fit(finished.path / "recipe.yaml", out=tmp_path / "again")
    assert comparable(again) == comparable(finished)
    mine, theirs = tensors(again), tensors(finished)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_another_seed_gives_another_run(finished: Run, toy_photos: Path, weights: str, tmp_path: Path) -> None:
    other = fit(toy_photos, source=weights, method="lp-ft", out=tmp_path / "other", options=FAST, seed=6)
    mine, theirs = tensors(other), tensors(finished)
    assert any(not torch.equal(mine[name], theirs[name]) for name in theirs)


def test_test_labels_cannot_reach_the_model(finished: Run, toy_photos: Path, weights: str, tmp_path: Path) -> None:
    """The same run with every test label wrong: the same weights and the same temperature, to the bit."""
    poisoned = tmp_path / "photos"
    shutil.copytree(toy_photos, poisoned)
    for old, new in (("checks", "held"), ("disc", "checks"), ("stripes", "disc"), ("held", "stripes")):
        (poisoned / "test" / old).rename(poisoned / "test" / new)
    run = fit(poisoned, source=weights, method="lp-ft", out=tmp_path / "run", options=FAST, seed=5)
    mine, theirs = tensors(run), tensors(finished)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert run.metrics["temperature"] == finished.metrics["temperature"]
    assert run.metrics["test"] != finished.metrics["test"]


def test_the_full_verdict_trains_from_scratch_and_writes_down_how_long(
    toy_photos: Path, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headstart.recipes.baselines, "SCRATCH_MOST_EPOCHS", 12)
    run = fit(
        toy_photos, source=weights, method="probe", out=tmp_path / "a", verdict="full", options={"batch_size": 12}
    )
    assert run.metrics["verdict"]["against"] == "scratch"
    assert run.metrics["baselines"]["scratch"]["accuracy"]["value"] >= 0
    epochs = Recipe.read(run.path / "recipe.yaml").scratch_epochs
    assert epochs is not None
    assert epochs >= 10
    again = fit(run.path / "recipe.yaml", out=tmp_path / "b")
    assert comparable(again) == comparable(run)


def test_without_a_verdict_nothing_is_compared(toy_photos: Path, weights: str, tmp_path: Path) -> None:
    run = fit(toy_photos, source=weights, method="probe", out=tmp_path / "a", verdict="none")
    assert run.metrics["verdict"] is None
    assert run.metrics["baselines"] == {}


def table(folder: Path, photos: Path, label: Any) -> Path:
    """A table over the toy photos whose label column is computed from (class, number)."""
    rows = [(str(p), label(p.parent.name, int(p.stem)), f"g{int(p.stem) % 7}") for p in sorted(photos.rglob("*.jpg"))]
    path = folder / "photos.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([("photo", "target", "group"), *rows])
    return path


def test_numbers_are_fitted_and_judged_in_their_own_units(toy_photos: Path, weights: str, tmp_path: Path) -> None:
    value = {"checks": 120.0, "disc": 100.0, "stripes": 80.0}
    path = table(tmp_path, toy_photos, lambda name, number: value[name] + number / 100)
    run = fit(
        path, source=weights, method="lp-ft", out=tmp_path / "run", label="target", task="regression", options=FAST
    )
    assert run.metrics["task"] == "image-regression"
    assert run.metrics["primary"] == "r2"
    assert run.metrics["test"]["mae"]["value"] < 30
    rows = [json.loads(line) for line in (run.path / "predictions.jsonl").read_text().splitlines()]
    assert all(50 < row["predicted"] < 150 for row in rows)


def test_several_labels_an_item(toy_photos: Path, weights: str, tmp_path: Path) -> None:
    path = table(tmp_path, toy_photos, lambda name, number: f"{name}|even" if number % 2 == 0 else name)
    run = fit(path, source=weights, method="probe", out=tmp_path / "run", label="target", task="multilabel")
    assert run.metrics["task"] == "image-multilabel"
    assert run.metrics["n"]["test"] > 0
    assert "subset_accuracy" in run.metrics["test"]


def test_groups_are_never_torn(toy_photos: Path, weights: str, tmp_path: Path) -> None:
    path = table(tmp_path, toy_photos, lambda name, number: name)
    run = fit(path, source=weights, method="probe", out=tmp_path / "run", label="target", group="group")
    groups = {json.loads(line)["group"] for line in (run.path / "predictions.jsonl").read_text().splitlines()}
    assert groups < {f"g{i}" for i in range(7)}
    assert "whole groups" in " ".join(run.metrics["notes"])


def test_adversarial_training_reports_the_robust_accuracy(toy_photos: Path, weights: str, tmp_path: Path) -> None:
    options = {**FAST, "adversarial.attack": "pgd", "adversarial.epsilon": 0.01}
    run = fit(toy_photos, source=weights, method="partial", out=tmp_path / "run", options=options)
    robust, plain = run.metrics["test"]["robust_accuracy"], run.metrics["test"]["accuracy"]
    assert 0 <= robust["low"] <= robust["value"] <= plain["value"] + 0.06


def test_what_is_in_the_way_is_refused_and_left_alone(
    finished: Run, toy_photos: Path, weights: str, tmp_path: Path
) -> None:
    def again(out: Path, **more: Any) -> Run:
        return fit(toy_photos, source=weights, method="probe", out=out, verdict="none", **more)

    with pytest.raises(ConfigError, match="finished run.*--overwrite"):
        again(finished.path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="other things in it"):
            again(tmp_path / "thesis", overwrite=overwrite)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        again(tmp_path / "file")
    with only_writer(tmp_path / "busy"), pytest.raises(ArtifactError, match="another headstart process"):
        again(tmp_path / "busy")
    run = again(tmp_path / "twice")
    run = again(run.path, overwrite=True)
    assert run.metrics["method"] == "probe"


def test_bad_input_writes_nothing(weights: str, tmp_path: Path, toy_photos: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError):
        fit(tmp_path / "nowhere", source=weights, out=out)
    with pytest.raises(SourceError, match="unknown source 'efficientnet-lite9'.*efficientnet-lite0"):
        fit(toy_photos, source="efficientnet-lite9", out=out)
    with pytest.raises(ConfigError, match="unknown method 'lpft'.*lp-ft"):
        fit(toy_photos, source=weights, method="lpft", out=out)
    with pytest.raises(ConfigError, match="unknown option 'epoch'.*epochs"):
        fit(toy_photos, source=weights, out=out, options={"epoch": 3})
    with pytest.raises(ConfigError, match=r"'method\.rnk'.*Did you mean 'method\.rank'"):
        fit(toy_photos, source=weights, method="lora", out=out, options={"method.rnk": 3})
    with pytest.raises(ConfigError, match="unknown task 'clasification'"):
        fit(toy_photos, source=weights, out=out, task="clasification")
    with pytest.raises(ConfigError, match="metric to monitor 'auc'"):
        fit(toy_photos, source=weights, out=out, options={"monitor": "auc"})
    with pytest.raises(ConfigError, match="unknown tracker 'tensorbord'"):
        fit(toy_photos, source=weights, out=out, track=("tensorbord",))
    broken = tmp_path / "broken"
    shutil.copytree(toy_photos, broken)
    (broken / "train" / "disc" / "03.jpg").write_bytes(b"not a photo")
    with pytest.raises(DataError, match=r"03\.jpg"):
        fit(broken, source=weights, out=out)
    assert not out.exists()


def test_resume_refuses_what_has_changed(
    weights: str, tmp_path: Path, toy_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, place = tmp_path / "photos", tmp_path / "run"
    shutil.copytree(toy_photos, photos)

    def killed(*_: Any, **__: Any) -> Run:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("headstart.recipes.fit.publish", killed)
        fit(photos, source=weights, method="probe", out=place, verdict="none")
    assert not (place / "metrics.json").exists()
    with pytest.raises(ArtifactError, match="not finished"):
        load_model(place)
    with pytest.raises(ConfigError, match="not finished.*headstart resume"):
        fit(photos, source=weights, method="probe", out=place)
    moved = photos / "train" / "disc" / "00.jpg"
    moved.rename(photos / "moved.jpg")
    with pytest.raises((ArtifactError, DataError)):
        resume(place)
    (photos / "moved.jpg").rename(moved)
    run = resume(place)
    assert run.metrics["method"] == "probe"
    assert resume(place).metrics == run.metrics
    with pytest.raises(ArtifactError, match="holds no run"):
        resume(tmp_path)


def test_a_full_disk_is_one_clear_line(
    weights: str, tmp_path: Path, toy_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    place = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(DataError, match="disk .* is full.*headstart resume"):
        patch.setattr(headstart.recipes.publish, "write_report", full)
        fit(toy_photos, source=weights, method="probe", out=place, verdict="none")
    assert not (place / "metrics.json").exists()
    assert resume(place).metrics["method"] == "probe"


def test_a_finished_run_is_a_source(finished: Run, toy_photos: Path, tmp_path: Path) -> None:
    run = fit(toy_photos, source=str(finished.path), method="probe", out=tmp_path / "next", verdict="none")
    encoder = {n: t for n, t in tensors(finished).items() if n.startswith("encoder.")}
    mine = tensors(run)
    assert encoder
    assert all(torch.equal(mine[name], tensor) for name, tensor in encoder.items())
