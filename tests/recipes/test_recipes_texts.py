"""Texts and pairs of texts from a table to a model that answers, by the same verbs and methods as pictures."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from headstart.artifacts.load import load_model
from headstart.core import assets
from headstart.core.errors import ArtifactError, ConfigError, DataError
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset, Item
from headstart.data.read import read_dataset
from headstart.recipes.encode import feature_bank
from headstart.recipes.evaluate import evaluate
from headstart.recipes.fit import fit
from headstart.recipes.predict import predict
from headstart.recipes.prepare import prepare
from headstart.recipes.rank import rank
from headstart.recipes.run import Run
from headstart.testing.sources import tiny_source, tiny_text_source

GOOD, BAD = ["good", "great", "fine", "lovely", "warm", "bright"], ["bad", "poor", "dull", "awful", "cold", "dark"]
OTHER = ["the", "film", "book", "food", "room", "day", "night", "man", "woman", "was", "is", "a", "very", "so"]
FAST = {"epochs": 3, "batch_size": 16}


def sentences(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(text, label): which of two sorts of words most of the judging ones are."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        judging = rng.choices(GOOD if i % 2 else BAD, k=3)
        words = rng.sample(OTHER, rng.randint(2, 9)) + judging
        rng.shuffle(words)
        rows.append((" ".join(words), "up" if i % 2 else "down"))
    return rows


def table(path: Path, header: list[str], rows: Sequence[tuple[str, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table(tmp_path_factory.mktemp("texts") / "reviews.csv", ["review", "label"], sentences(160))


@pytest.fixture(scope="module")
def finished(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(
        reviews, source=tiny_text_source(), method="lp-ft", out=tmp_path_factory.mktemp("run") / "r", options=FAST
    )


def test_a_run_on_texts_has_all_that_a_run_on_photos_has(finished: Run) -> None:
    assert finished.metrics["task"] == "text-classification"
    assert finished.metrics["test"]["accuracy"]["value"] > 0.8
    assert {"tf-idf", "random_network", "probe", "no_transfer"} <= set(finished.metrics["baselines"])
    assert finished.metrics["verdict"]["transfer"] in ("positive", "neutral", "negative")
    page = (finished.path / "report.html").read_text()
    assert "Label new texts" in page
    assert "photos above" not in page
    assert "Judge it on other labelled texts" in page
    card = (finished.model / "card.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "the first 32 tokens" in card


def test_the_model_brings_its_tokenizer(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that has never seen the source, with an empty cache."""
    moved = tmp_path / "model"
    shutil.copytree(finished.model, moved)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(assets, "_given", {})
    answer = predict(moved, "a good great lovely film")[0]
    assert answer.label == "up"
    assert answer.scores["up"] > 0.5
    (asset,) = (moved / "assets").iterdir()
    asset.write_bytes(asset.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="was changed after it was saved"):
        load_model(moved)


def test_a_run_on_texts_is_a_source_where_its_own_source_is_not(
    finished: Run, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(assets, "_given", {})
    run = fit(reviews, source=str(finished.path), method="probe", out=tmp_path / "next", verdict="none")
    assert run.metrics["test"]["accuracy"]["value"] > 0.8


def test_predict_takes_texts_lines_of_a_file_and_folders(finished: Run, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("a good great day\n\na dull dark bad room\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one.txt").write_text("an awful cold night")
    answers = predict(finished.path, ["good fine bright", lines, folder])
    assert [a.label for a in answers] == ["up", "up", "down", "down"]
    assert answers[0].input == "good fine bright"
    assert answers[2].input.endswith("lines.txt line 3")


@pytest.mark.parametrize("given", ["no_such_reviews.txt", "folder/gone.csv", Path("gone")])
def test_a_file_that_is_not_there_is_no_text(finished: Run, given: str | Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        predict(finished.path, given)
    assert predict(finished.path, "good.")
    assert predict(finished.path, "see notes.txt")


def test_a_batch_of_one_and_a_batch_of_many_agree(finished: Run) -> None:
    """Padding changes nothing."""
    model = load_model(finished.path, precision="float32")
    texts = [text for text, _ in sentences(20, seed=3)]
    together = predict(model, texts)
    alone = [predict(model, text)[0] for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert one.scores["up"] == pytest.approx(other.scores["up"], abs=1e-5)


def test_evaluate_judges_other_texts(finished: Run, tmp_path: Path) -> None:
    other = table(tmp_path / "other.csv", ["review", "label"], sentences(60, seed=9))
    assert evaluate(finished.path, other)["test"]["accuracy"]["value"] > 0.8


@pytest.mark.parametrize("method", ["probe", "full", "gradual", "lora", "partial", "l2-sp"])
def test_methods_need_no_line_for_texts(reviews: Path, tmp_path: Path, method: str) -> None:
    run = fit(reviews, source=tiny_text_source(), method=method, out=tmp_path / "r", options=FAST, verdict="none")
    assert run.metrics["test"]["accuracy"]["value"] > 0.6
    assert len(predict(run.path, "a good day")) == 1


def test_the_same_seed_gives_the_same_run(reviews: Path, tmp_path: Path) -> None:
    one, two = (
        fit(reviews, source=tiny_text_source(), method="full", out=tmp_path / name, options=FAST, seed=3)
        for name in ("one", "two")
    )
    assert {k: v for k, v in one.metrics.items() if k != "cost"} == {
        k: v for k, v in two.metrics.items() if k != "cost"
    }


def test_features_of_texts_come_from_the_store_the_second_time(reviews: Path, tmp_path: Path) -> None:
    source = tiny_text_source(seed=7)
    runs = [fit(reviews, source=source, method="probe", out=tmp_path / n, verdict="none") for n in ("one", "two")]
    assert runs[0].metrics["cost"]["items_encoded"] > 0
    assert runs[1].metrics["cost"]["items_encoded"] == 0
    assert runs[0].metrics["test"] == runs[1].metrics["test"]


def test_features_of_a_text_do_not_depend_on_its_company(reviews: Path) -> None:
    source = tiny_text_source()
    target = prepare(read_dataset(reviews), source.card.input, seed=0, progress=Silent())
    bank = feature_bank(source, target.parts)
    few = bank.some("train", [5, 17, 3])
    again = feature_bank(source, target.parts, about={"weights": "the same, not from the store"})
    np.testing.assert_array_equal(again("train")[[5, 17, 3]], few)


def test_of_a_pair_both_texts_are_read_each_in_its_place(tmp_path: Path) -> None:
    """The second text decides; the first is as often of the one sort as of the other."""
    rng = random.Random(0)
    rows = []
    for i in range(160):
        first, second = rng.choice([GOOD, BAD]), GOOD if i % 2 else BAD
        rows.append((" ".join(rng.choices(first, k=2)), " ".join(rng.choices(second, k=3)), "yes" if i % 2 else "no"))
    data = table(tmp_path / "pairs.csv", ["one", "two", "label"], rows)
    run = fit(
        data, input="one,two", source=tiny_text_source(), method="full", out=tmp_path / "r", options={"epochs": 8}
    )
    assert run.metrics["test"]["accuracy"]["value"] > 0.8
    answers = predict(run.path, [("good fine", "awful cold dull"), ("awful cold", "good fine great")])
    assert [answer.label for answer in answers] == ["no", "yes"]


def test_numbers_and_several_labels_of_texts(tmp_path: Path) -> None:
    rows = [(text, str((2.0 if label == "up" else -1.5) + i / 1000)) for i, (text, label) in enumerate(sentences(120))]
    stars = table(tmp_path / "stars.csv", ["text", "stars"], rows)
    run = fit(stars, source=tiny_text_source(), method="probe", out=tmp_path / "n")
    assert run.metrics["task"] == "text-regression"
    assert run.metrics["test"]["r2"]["value"] > 0.3
    many = tmp_path / "many.jsonl"
    many.write_text(
        "\n".join(json.dumps({"text": t, "labels": [k, *(["long"] if len(t) > 40 else [])]}) for t, k in sentences(120))
    )
    run = fit(many, source=tiny_text_source(), method="probe", out=tmp_path / "m")
    assert run.metrics["task"] == "text-multilabel"


def test_chinese_texts_in_gb18030(tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = ["text,label"]
    for i in range(120):
        judging = rng.choice("好大" if i % 2 else "坏小")
        lines.append(
            "".join(rng.sample("中国人天书吃看很是的了我你他她", 6)) + judging * 2 + "," + ("上" if i % 2 else "下")
        )
    path = tmp_path / "中文.csv"
    path.write_bytes("\n".join(lines).encode("gb18030"))
    run = fit(path, source=tiny_text_source(), method="probe", out=tmp_path / "r")
    assert run.metrics["test"]["accuracy"]["value"] > 0.7
    assert any("gb18030" in finding.message.lower() for finding in read_dataset(path).findings)
    assert "上" in (run.path / "report.html").read_text(encoding="utf-8")


def test_a_source_of_pictures_refuses_texts(reviews: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"takes items of the modality image, and reviews.csv holds texts"):
        fit(reviews, source=tiny_source(), out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_texts_are_mixed_and_attacked_as_pictures_are(reviews: Path, tmp_path: Path) -> None:
    options = {**FAST, "augment.mixup": 0.4, "adversarial.attack": "freelb", "adversarial.steps": 2}
    run = fit(reviews, source=tiny_text_source(), method="lp-ft", out=tmp_path / "r", options=options, verdict="none")
    found = run.metrics["test"]
    assert found["accuracy"]["value"] > 0.8
    assert found["robust_accuracy"]["epsilon"] == 0.05
    assert found["robust_accuracy"]["value"] <= found["accuracy"]["value"]


def test_cutmix_is_refused_for_texts(reviews: Path, tmp_path: Path) -> None:
    options = {"epochs": 1, "augment.cutmix": 0.2}
    with pytest.raises(ConfigError, match="pastes a part of one picture or spectrogram"):
        fit(reviews, source=tiny_text_source(), method="full", out=tmp_path / "r", options=options, verdict="none")


def test_rank_orders_sources_of_texts(reviews: Path) -> None:
    rows = list(rank(reviews, sources=[tiny_text_source(0), tiny_text_source(1)]))
    assert {row["modality"] for row in rows} == {"text"}
    assert all(row["score"] > 0.6 for row in rows)


def broken(path: Path) -> dict[str, Callable[[], Path]]:
    return {
        "empty": lambda: table(path / "a.csv", ["text", "label"], [("", "a"), ("  ", "b")] * 10),
        "header only": lambda: table(path / "b.csv", ["text", "label"], []),
        "one class": lambda: table(path / "c.csv", ["text", "label"], [(t, "a") for t, _ in sentences(20)]),
    }


@pytest.mark.parametrize(
    ("what", "words"), [("header only", "a header .* and no rows"), ("one class", "one class only")]
)
def test_bad_tables_of_texts_are_one_clear_line(tmp_path: Path, what: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        fit(broken(tmp_path)[what](), source=tiny_text_source(), out=tmp_path / "r")


def test_texts_that_are_equal_but_for_case_stay_together_and_are_told(tmp_path: Path) -> None:
    rows = sentences(40)
    rows.append((rows[0][0].upper() + "!", rows[0][1]))
    data = read_dataset(table(tmp_path / "t.csv", ["text", "label"], rows))
    target = prepare(data, tiny_text_source().card.input, seed=0, progress=Silent())
    assert any("appear more than once" in finding.message for finding in target.findings)
    assert target.alike == (("line 2", "line 42"),)


def test_a_dataset_of_texts_made_in_python(tmp_path: Path) -> None:
    items = tuple(Item(f"t{i}", text, label) for i, (text, label) in enumerate(sentences(80)))
    run = fit(Dataset("mine", items, modality="text"), source=tiny_text_source(), method="probe", out=tmp_path / "r")
    assert run.metrics["n"]["test"] > 0
