"""Learning from items without labels, as the first phase of a fit and by itself."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from headstart.artifacts.load import load_model
from headstart.cli import app as cli
from headstart.core.errors import ArtifactError, ConfigError, DataError, SourceError
from headstart.data.dataset import Dataset, Item, Role
from headstart.recipes.fit import fit, resume
from headstart.recipes.pretrain import PretrainedRun, pretrain
from headstart.recipes.recipe import Recipe
from headstart.recipes.tune import tune
from headstart.sources import resolve
from headstart.testing.sources import tiny_source, tiny_table_source, tiny_text_source

ONCE: dict[str, Any] = {"pretrain.epochs": 1, "pretrain.batch_size": 16, "checkpoint_seconds": 0}
PARTS: tuple[tuple[Role, int], ...] = (("train", 60), ("validation", 16), ("test", 16))


def sentence(rng: random.Random, good: bool) -> str:
    """One form, in which a word tells the next."""
    word = rng.choice(("good", "great", "fine") if good else ("bad", "poor", "dull"))
    return f"the {rng.choice(('film', 'book', 'food'))} was so very {word} that night {rng.randrange(10**6)}"


def reviews(seed: int = 0, only: Role | None = None) -> Dataset:
    """Split already. only: the other parts hold other texts than those of seed 0."""
    items = []
    for role, count in PARTS:
        rng = random.Random(f"{role} {0 if only == role else seed}")
        items += [Item(f"{role} {i}", sentence(rng, i % 2 == 0), "ud"[i % 2], role) for i in range(count)]
    return Dataset("reviews", tuple(items), modality="text")


def texts(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [sentence(rng, i % 2 == 0) for i in range(count)]


def file_of(path: Path, lines: Sequence[str]) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def cohort(path: Path, count: int, seed: int = 0, label: bool = True) -> Path:
    """Rows of which one column tells another, a category a third."""
    rng = random.Random(seed)
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["n0", "n1", "n2", "c0", *(["label"] if label else [])])
        for _ in range(count):
            z = rng.gauss(0, 1)
            row = [z, 2 * z + rng.gauss(0, 0.1), rng.gauss(5, 2), "red" if z > 0 else "blue"]
            writer.writerow([*row, *(["yes" if z > 0.2 else "no"] if label else [])])
    return path


def encoder_of(run: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(run / "model" / "model.safetensors")
    return {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def probed(data: Dataset | Path, out: Path, **options: Any) -> dict[str, torch.Tensor]:
    """The encoder that a probe was put on after pretraining: nothing else has changed it."""
    options = {**ONCE, "pretrain.epochs": 2, "pretrain.learning_rate": 3e-3, **options}
    fit(data, source=tiny_text_source(), method="probe", verdict="none", out=out, track=(), options=options)
    return encoder_of(out)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit to the reviews that began with masked tokens."""
    place = tmp_path_factory.mktemp("runs") / "adapted"
    options = {**ONCE, "pretrain.epochs": 3, "pretrain.learning_rate": 1e-3, "epochs": 1}
    fit(reviews(), source=tiny_text_source(), method="full", out=place, options=options)
    return place


def test_a_fit_that_begins_so_says_what_it_learned(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    told = metrics["pretraining"]
    assert told["objective"] == "masked-tokens"
    assert told["n"] == {"train": 54, "held_out": 6, "left_out": 0}
    assert told["after"]["loss"]["value"] < told["before"]["loss"]["value"]
    assert told["gain"]["value"] == pytest.approx(told["before"]["loss"]["value"] - told["after"]["loss"]["value"])
    assert told["gain"]["low"] <= told["gain"]["value"] <= told["gain"]["high"]
    assert told["after"]["perplexity"]["value"] > 1
    assert metrics["cost"]["seconds_by_stage"]["pretraining"] > 0
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "Learned without labels first" in report
    assert "masked-tokens" in report
    assert "then reviews (masked-tokens)" in (run / "model" / "card.md").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["phase"] for row in rows if "phase" in row] == ["output-layer", *["pretraining"] * 3, "full"]
    assert Recipe.read(run / "recipe.yaml").train.pretrain.epochs == 3


def test_the_probe_it_is_held_against_stays_on_the_source_as_it_came(run: Path, tmp_path: Path) -> None:
    plain = fit(reviews(), source=tiny_text_source(), method="probe", out=tmp_path / "plain")
    baselines = json.loads((run / "metrics.json").read_text())["baselines"]
    assert baselines["probe"] == plain.metrics["baselines"]["probe"]


def test_labels_are_not_looked_at(tmp_path: Path) -> None:
    honest = reviews()
    poisoned = honest.with_items(
        [
            replace(item, label="du"[i % 3 == 0]) if item.split == "train" else item
            for i, item in enumerate(honest.items)
        ]
    )
    assert [item.label for item in poisoned.items] != [item.label for item in honest.items]
    assert same(probed(honest, tmp_path / "a"), probed(poisoned, tmp_path / "b"))


def test_what_validates_and_tests_is_not_looked_at(tmp_path: Path) -> None:
    first = probed(reviews(), tmp_path / "a")
    assert same(first, probed(reviews(5, only="train"), tmp_path / "b")), "other texts validate and test"
    assert not same(first, probed(reviews(5, only="test"), tmp_path / "c")), "other texts train"


def test_further_texts_are_learned_from_but_for_those_that_test(tmp_path: Path) -> None:
    data, more = reviews(), texts(40)
    held = [str(item.input) for item in data.items if item.split != "train"]
    clean = file_of(tmp_path / "more.txt", more)
    leaky = file_of(tmp_path / "leaky.txt", [*more, held[0], held[-1].upper() + "!"])
    found = probed(data, tmp_path / "r", **{"pretrain.data": str(leaky)})
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert metrics["pretraining"]["n"] == {"train": 90, "held_out": 10, "left_out": 2}
    assert same(found, probed(data, tmp_path / "c", **{"pretrain.data": str(clean)}))
    assert not same(found, probed(data, tmp_path / "d")), "the further texts do not matter"


class Killed(BaseException):
    """Stands for kill -9."""


class KillAt:
    """A progress that kills at the n-th step of any training."""

    def __init__(self, at: int) -> None:
        self.left = at

    def stage(self, name: str) -> None: ...

    def say(self, text: str) -> None: ...

    def advance(self, name: str, done: int, total: int) -> None:
        if name in ("output-layer", "pretraining", "full"):
            self.left -= 1
            if not self.left:
                raise Killed


@pytest.mark.parametrize("at", [2, 6, 13])
def test_a_killed_fit_goes_on_to_the_same_numbers(at: int, run: Path, tmp_path: Path) -> None:
    """In the output layer's phase, in that of the network, in the method's."""
    data = tmp_path / "reviews.csv"
    with data.open("w", newline="") as out:
        csv.writer(out).writerows([("text", "label", "split"), *((i.input, i.label, i.split) for i in reviews().items)])
    source = saved(tmp_path / "source")
    options = {**ONCE, "pretrain.epochs": 2, "epochs": 2, "batch_size": 16}

    def begin(place: Path, progress: Any = None) -> None:
        fit(data, source=source, method="full", verdict="none", out=place, options=options, progress=progress, track=())

    begin(tmp_path / "whole")
    with pytest.raises(Killed):
        begin(tmp_path / "broken", KillAt(at))
    resume(tmp_path / "broken")
    assert same(*(load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "broken")))
    one, other = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("whole", "broken"))
    assert {k: v for k, v in one.items() if k != "cost"} == {k: v for k, v in other.items() if k != "cost"}


def saved(place: Path) -> str:
    """A source that a second process finds, too: a pretrained network."""
    return str(pretrain(reviews(9), source=tiny_text_source(), epochs=1, out=place, track=()).path)


def test_pretraining_that_was_killed_goes_on(tmp_path: Path) -> None:
    data = file_of(tmp_path / "texts.txt", texts(60))

    def begin(place: Path, progress: Any = None) -> PretrainedRun:
        options = {"pretrain.batch_size": 16, "checkpoint_seconds": 0}
        return pretrain(data, source="lstm", epochs=2, out=place, options=options, progress=progress, track=())

    whole = begin(tmp_path / "whole")
    with pytest.raises(Killed):
        begin(tmp_path / "broken", KillAt(5))
    with pytest.raises(ArtifactError, match="Go on with `headstart resume"):
        _ = PretrainedRun(tmp_path / "broken").metrics
    again = resume(tmp_path / "broken")
    assert again.metrics["pretraining"] == whole.metrics["pretraining"]
    assert same(*(load_file(r.path / "model" / "model.safetensors") for r in (whole, again)))
    assert resume(tmp_path / "broken").metrics == again.metrics
    data.write_text("something else entirely\n" * 3)
    (tmp_path / "broken" / "metrics.json").unlink()
    with pytest.raises((ArtifactError, DataError)):
        resume(tmp_path / "broken")


def test_ulmfit_from_texts_to_a_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = file_of(tmp_path / "texts.txt", texts(120))
    language = tmp_path / "language"
    words = ["pretrain", str(data), "--source", "lstm", "--epochs", "2", "--out", str(language), "--json"]
    assert cli.run([*words, "--set", "pretrain.learning_rate=5e-3", "--track", "none"]) == 0
    told = json.loads(capsys.readouterr().out)["pretraining"]
    assert told["objective"] == "next-token"
    assert told["after"]["perplexity"]["high"] < told["before"]["perplexity"]["low"]
    assert (language / "report.html").is_file()
    source = resolve(str(language))
    assert source.card.trained_on == "texts.txt (next-token)"
    output = source.output_layer()
    assert output is not None
    assert set(output.tensors) == {"head.weight", "head.bias", "bias"}
    found = fit(
        reviews(),
        source=str(language),
        method="gradual",
        out=tmp_path / "r",
        options={**ONCE, "epochs": 4, "learning_rate": 3e-3},
    )
    onward = found.metrics["pretraining"]
    assert onward["before"]["loss"]["value"] < told["before"]["loss"]["value"], "its output layer was forgotten"
    assert found.metrics["source"] == str(language)
    assert found.predict(["the film was so very good that night"])[0].label in ("u", "d")
    with pytest.raises(ArtifactError, match="so it predicts nothing yet. Fit it to labelled data"):
        load_model(language)
    with pytest.raises(ArtifactError, match="is that of pretraining"):
        fit(language / "recipe.yaml", out=tmp_path / "no")


def test_the_same_pretraining_twice_and_from_its_recipe(tmp_path: Path) -> None:
    data = cohort(tmp_path / "a.csv", 60, label=False)
    first = pretrain(data, source="mlp", epochs=2, out=tmp_path / "one", track=())
    torch.rand(3)
    second = pretrain(tmp_path / "one" / "recipe.yaml", out=tmp_path / "two")
    assert first.metrics["pretraining"] == second.metrics["pretraining"]
    assert same(encoder_of(first.path), encoder_of(second.path))
    with pytest.raises(ConfigError, match="holds a finished run"):
        pretrain(data, source="mlp", out=tmp_path / "one")


@pytest.mark.parametrize("network", ["mlp", "resnet", "ft-transformer"])
def test_a_cohort_without_labels_helps_to_read_another(network: str, tmp_path: Path) -> None:
    first = pretrain(
        cohort(tmp_path / "a.csv", 200, label=False), source=network, epochs=6, out=tmp_path / "p", track=()
    )
    told = first.metrics["pretraining"]
    assert told["objective"] == "masked-features"
    assert told["gain"]["value"] > 0
    assert "perplexity" not in told["after"]
    assert "held-out loss after" in first.summary()
    found = fit(
        cohort(tmp_path / "b.csv", 80, seed=1),
        source=str(first.path),
        method="lp-ft",
        options={"standardise": "per-cohort", **ONCE, "epochs": 2},
        out=tmp_path / "r",
    )
    assert found.metrics["test"]["accuracy"]["value"] > 0.7
    assert found.metrics["pretraining"]["before"]["loss"]["value"] < told["before"]["loss"]["value"]


def test_labelled_data_gives_up_what_a_fit_would_test_on(tmp_path: Path) -> None:
    data = cohort(tmp_path / "a.csv", 100)
    found = pretrain(data, source="mlp", epochs=1, out=tmp_path / "p", track=())
    n = found.metrics["pretraining"]["n"]
    fitted = fit(data, source=str(found.path), method="probe", verdict="none", out=tmp_path / "r")
    assert n["train"] + n["held_out"] == fitted.metrics["n"]["train"]
    some = tmp_path / "some.csv"
    head, *rows = data.read_text().splitlines()
    some.write_text("\n".join([head, *rows[:60], *(row.rpartition(",")[0] + "," for row in rows[60:])]))
    n = pretrain(some, source="mlp", epochs=1, out=tmp_path / "q", track=()).metrics["pretraining"]["n"]
    assert n["train"] + n["held_out"] == 42 + 40, "rows without a label serve, too"
    assert {column.name for column in resolve(str(found.path)).card.input.columns} == {"n0", "n1", "n2", "c0"}  # type: ignore[union-attr]


def test_what_stands_before_tags_is_learned_from_as_whole_texts(tmp_path: Path) -> None:
    lines = []
    for text in texts(80):
        words = text.split()
        tags = ["B-X" if word in ("film", "book", "food") else "O" for word in words]
        lines += [*(f"{word} {tag}" for word, tag in zip(words, tags, strict=True)), ""]
    data = file_of(tmp_path / "tags.conll", lines)
    options = {**ONCE, "pretrain.epochs": 8, "pretrain.learning_rate": 3e-3}
    found = fit(data, source=tiny_text_source(), method="probe", verdict="none", out=tmp_path / "r", options=options)
    told = found.metrics["pretraining"]
    assert told["n"]["train"] + told["n"]["held_out"] == found.metrics["n"]["train"] == 56
    assert told["gain"]["value"] > 0
    alone = pretrain(data, source=tiny_text_source(), epochs=1, out=tmp_path / "p", track=())
    n = alone.metrics["pretraining"]["n"]
    assert n["train"] + n["held_out"] == 56


def test_tuning_does_not_pretrain_in_every_trial(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="every trial would learn the same again"):
        tune(reviews(), source="minilm-l6", options=ONCE, out=tmp_path / "t")


BROKEN: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "pictures": (
        lambda p: fit(reviews(), source=tiny_source(), out=p / "r", options=ONCE),
        ConfigError,
        "takes items of the modality image",
    ),
    "method forgets": (
        lambda p: fit(reviews(), source=tiny_text_source(), method="scratch", out=p / "r", options=ONCE),
        ConfigError,
        "the method 'scratch' begins with random weights and would forget",
    ),
    "wrong objective": (
        lambda p: fit(
            reviews(), source=tiny_text_source(), out=p / "r", options={**ONCE, "pretrain.objective": "next-token"}
        ),
        ConfigError,
        "cannot learn by next-token: it reads texts both ways",
    ),
    "other data": (
        lambda p: fit(
            reviews(),
            source=tiny_text_source(),
            out=p / "r",
            options={**ONCE, "pretrain.data": str(cohort(p / "c.csv", 9))},
        ),
        DataError,
        "c.csv holds rows of a table, and reviews texts",
    ),
    "no data": (
        lambda p: fit(
            reviews(), source=tiny_text_source(), out=p / "r", options={**ONCE, "pretrain.data": str(p / "none.txt")}
        ),
        DataError,
        "none.txt does not exist",
    ),
    "too little": (
        lambda p: pretrain(file_of(p / "t.txt", ["one text"]), source="lstm", out=p / "r"),
        DataError,
        "cannot be divided",
    ),
    "empty": (lambda p: pretrain(file_of(p / "t.txt", [" "]), source="lstm", out=p / "r"), DataError, "holds no text"),
    "an option of fitting": (
        lambda p: pretrain(file_of(p / "t.txt", texts(9)), source="lstm", out=p / "r", options={"epochs": 3}),
        ConfigError,
        "--set epochs is of fitting",
    ),
    "no epochs": (
        lambda p: pretrain(file_of(p / "t.txt", texts(9)), source="lstm", out=p / "r", epochs=0),
        ConfigError,
        "there is nothing to do",
    ),
    "texts for a table": (
        lambda p: pretrain(file_of(p / "t.txt", texts(9)), source=tiny_table_source(), out=p / "r"),
        ConfigError,
        "takes items of the modality table",
    ),
    "no labels": (
        lambda p: fit(file_of(p / "t.txt", texts(9)), source=tiny_text_source(), out=p / "r"),
        DataError,
        "t.txt has no labels to learn from",
    ),
    "no texts yet": (lambda p: resolve("lstm").load(), SourceError, "has none yet"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_is_said_in_one_line(what: str, tmp_path: Path) -> None:
    call, kind, words = BROKEN[what]
    with pytest.raises(kind, match=words) as caught:
        call(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r").exists(), "something was written"


def test_a_pretrained_network_that_was_changed_is_refused(tmp_path: Path) -> None:
    found = pretrain(cohort(tmp_path / "a.csv", 60, label=False), source="mlp", epochs=1, out=tmp_path / "p", track=())
    file = found.path / "model" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"abcd")
    with pytest.raises(SourceError):
        resolve(str(found.path)).load()
