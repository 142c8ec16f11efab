"""rank end to end with tiny networks: what it tells, what it never looks at, what it spares."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from headstart.core.card import SourceCard
from headstart.core.errors import ConfigError, SourceError
from headstart.core.source import Availability, Source
from headstart.core.types import Features
from headstart.data.dataset import Dataset, Item
from headstart.data.loader import Batches
from headstart.data.read import read_dataset
from headstart.nn.encoder import Encoder
from headstart.ranking import SCORERS
from headstart.recipes import choose
from headstart.recipes import rank as recipe
from headstart.recipes.price import _kept_bytes, measure
from headstart.recipes.rank import Ranking, looks_of, rank
from headstart.sources import PACKS
from headstart.sources.catalog import Entry
from headstart.testing.sources import tiny_source

COST = ("seconds", "seconds_features", "seconds_epoch", "encoded")


@cache
def tiny_card(seed: int) -> SourceCard:
    return tiny_source(seed).card


@dataclass(frozen=True)
class Named(Source):
    """A tiny source under another name, which counts its loads. blind: it sees every picture the same.

    head: it says two classes of its own.
    """

    title: str
    seed: int = 0
    blind: bool = False
    head: bool = False
    broken: bool = False
    loads: list[int] = field(default_factory=list)

    @property
    def card(self) -> SourceCard:
        card = tiny_card(self.seed)
        return card.model_copy(update={"name": self.title, "sha256": f"{card.sha256}{self.blind}{self.broken}"})

    def availability(self) -> Availability:
        return Availability(True, "made from its seed")

    def load(self) -> Encoder:
        self.loads.append(1)
        if self.broken:
            raise SourceError(f"{self.title} is damaged.")
        encoder = tiny_source(self.seed).load()
        if self.blind:
            with torch.no_grad():
                next(encoder.parameters()).zero_()
        return encoder

    def classifier(self) -> Callable[[Features], Tensor] | None:
        if not self.head:
            return None
        return lambda features: features.maps[-1].mean(dim=(2, 3))[:, :2]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of earlier tests' items."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def tinted(root: Path, items: Mapping[str, int]) -> Path:
    """32 px pictures of two classes, a warm or a cold tint under noise: split/class/number.png."""
    rng = np.random.default_rng(0)
    for split, count in items.items():
        for number in range(count):
            label = ("cold", "warm")[number % 2]
            tint = rng.uniform(20, 60) * np.array([1.0, 0.2, -1.0]) * (1 if label == "warm" else -1)
            picture = 128 + tint + rng.normal(0, 50, (32, 32, 3))
            path = root / split / label / f"{number:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path)
    return root


def by_name(ranking: Ranking) -> dict[str, dict[str, Any]]:
    return {row["source"]: row for row in ranking}


# -- what it tells ----------------------------------------------------------------------------------------------------


def test_every_row_tells_all(toy_photos: Path) -> None:
    ranking = rank(toy_photos, sources=[Named("one"), Named("two", 1, head=True), Named("blind", blind=True)])
    assert json.loads(json.dumps(list(ranking), allow_nan=False)) == list(ranking)
    assert len(ranking) == 3
    assert ranking[0] == next(iter(ranking))
    assert ranking[-1]["source"] == "blind"
    assert [row["score"] for row in ranking] == sorted((row["score"] for row in ranking), reverse=True)
    for row in ranking:
        assert row["modality"] == "image"
        assert row["low"] <= row["score"] <= row["high"]
        assert row["items"] == row["encoded"] == 36
        assert row["scores"].keys() == set(SCORERS)
        assert row["scores"]["probe"] == row["score"], "all on the same items"
        assert row["seconds"] == row["seconds_features"] + row["seconds_epoch"] > 0
        assert row["memory_mb"] > 4 * 4 * row["parameters"] / 1e6
        assert row["license"] == "Apache-2.0"
        assert row["scores"]["parameters"] == row["parameters"]
        assert (row["scores"]["leep"] is None) == (row["source"] != "two"), "of a head of its own"
    assert ranking[0]["gap"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    blind = ranking[-1]
    assert not blind["tied"]
    assert blind["gap"]["high"] < 0
    assert blind["score"] == pytest.approx(1 / 3, abs=0.15)


def test_twins_are_tied_and_the_same_seed_gives_the_same_ranking(toy_photos: Path) -> None:
    first = rank(toy_photos, sources=[Named("one"), Named("twin")], seed=3)
    assert first[0]["score"] == first[1]["score"]
    assert first[1]["tied"]
    assert first[1]["gap"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    again = by_name(rank(toy_photos, sources=[Named("one"), Named("twin")], seed=3))
    for name, row in by_name(first).items():
        assert {**again[name], "encoded": 0} == {**row, "encoded": 0, "pareto": again[name]["pareto"]}


def test_the_front_is_what_nothing_above_undercuts() -> None:
    rows = [{"seconds": 5.0}, {"seconds": 9.0}, {"seconds": 3.0}, {"seconds": 3.0}, {"seconds": 1.0}]
    assert recipe._pareto(rows) == [True, False, True, False, True]


@pytest.mark.parametrize("score", ["knn", "logme", "transrate", "parameters"])
def test_any_score_may_rank(toy_photos: Path, score: str) -> None:
    ranking = rank(toy_photos, sources=[Named("blind", blind=True), Named("one")], score=score)
    for row in ranking:
        assert row["score_name"] == score
        assert row["score"] == row["scores"][score]
        assert row["low"] <= row["score"] <= row["high"]
    if score == "parameters":
        assert ranking[1]["tied"]
    else:
        assert ranking[0]["source"] == "one"


@pytest.mark.parametrize("kind", ["number", "labels"])
def test_numbers_and_several_labels(tmp_path: Path, kind: str) -> None:
    root = tinted(tmp_path / "photos", {"train": 60})
    rng = np.random.default_rng(0)
    with (tmp_path / "photos.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "label"])
        for path in sorted(root.rglob("*.png")):
            warm = path.parent.name == "warm"
            value = f"{3 * warm + rng.normal():.3f}" if kind == "number" else "warm;small" if warm else "small"
            table.writerow([path.relative_to(tmp_path), value])
    task = "regression" if kind == "number" else "multilabel"
    ranking = rank(tmp_path / "photos.csv", sources=[Named("one"), Named("blind", blind=True)], task=task)
    assert ranking[0]["source"] == "one"
    assert ranking[0]["scores"]["probe"] > 0.2
    assert ranking[0]["scores"]["logme"] is not None
    assert ranking[0]["scores"]["hscore"] is None
    assert ranking[1]["score"] < 0.1


@pytest.mark.skipif(not PACKS["efficientnet-lite0"].availability().here, reason="needs headstart[bundled]")
def test_on_real_photos_real_weights_win_beyond_chance(repository: Path) -> None:
    photos = read_dataset(repository / "examples" / "clothing")
    fewer = photos.with_items([item for i, item in enumerate(photos.items) if i % 3 == 0 or item.split != "train"])
    best, worst = rank(fewer, sources=[Named("random"), "efficientnet-lite0"])
    assert best["source"] == "efficientnet-lite0"
    assert best["score"] > 0.5
    assert not worst["tied"]
    for name in ("knn", "logme", "hscore-regularised", "source-accuracy"):
        assert best["scores"][name] > (worst["scores"][name] or 0), name
    assert best["scores"]["leep"] > -2.3, "better than the classes' frequencies, log 10"


# -- what it never looks at -------------------------------------------------------------------------------------------


def test_validation_and_test_are_out_of_reach(toy_photos: Path) -> None:
    """Poisoned labels and replaced pictures outside the training part change nothing, and none of them is encoded."""
    sound = read_dataset(toy_photos)
    rng = np.random.default_rng(1)

    def poison(item: Item, number: int) -> Item:
        if item.split == "train":
            return item
        picture = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(picture, "png")
        return replace(item, input=picture.getvalue(), label=("stripes", "checks", "disc")[number % 3])

    poisoned: Dataset = sound.with_items([poison(item, i) for i, item in enumerate(sound.items)])
    assert sum(a.label != b.label for a, b in zip(sound.items, poisoned.items, strict=True)) > 10
    one, two = (rank(data, sources=[Named("one"), Named("two", 1)]) for data in (sound, poisoned))
    assert [{**row, "encoded": 0} for row in one] == [{**row, "encoded": 0} for row in two]
    assert {row["encoded"] for row in one} == {36}
    assert {row["encoded"] for row in two} == {0}


def test_items_of_one_group_or_alike_are_never_held_out_apart(tmp_path: Path) -> None:
    """Labels that mean nothing, each picture four times: only who separates the copies can tell them."""
    rng = np.random.default_rng(0)
    items = []
    for number in range(30):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(path)
        label = ("a", "b")[int(rng.integers(2))]
        items += [Item(f"{number}-{copy}", path, label, "train") for copy in range(4)]
    items += [Item(f"{number}-test", tmp_path / f"{number}.png", "a", "test") for number in range(3)]
    ranking = rank(Dataset("copies", tuple(items)), sources=[Named("one")])
    assert ranking[0]["scores"]["knn"] < 0.75


# -- what it spares ---------------------------------------------------------------------------------------------------


def test_a_second_ranking_encodes_and_loads_nothing(toy_photos: Path) -> None:
    first, second = Named("one"), Named("one")
    rank(toy_photos, sources=[first])
    again = rank(toy_photos, sources=[second])
    assert first.loads
    assert not second.loads
    assert again[0]["encoded"] == 0


def test_who_is_clearly_worse_leaves_the_race_early(tmp_path: Path) -> None:
    data = tinted(tmp_path / "photos", {"train": 200, "validation": 10, "test": 10})
    ranking = rank(data, sources=[Named("one"), Named("two", 1), Named("blind", blind=True)])
    rows = by_name(ranking)
    assert rows["blind"]["items"] == rows["blind"]["encoded"] == 96
    assert rows["one"]["items"] == rows["two"]["items"] == 200
    assert ranking[-1]["source"] == "blind"
    assert rows["blind"]["gap"]["high"] < 0
    assert not rows["blind"]["tied"]
    assert all(row["scores"]["parameters"] for row in ranking)


def test_looks_grow_from_few_to_all() -> None:
    assert looks_of(36, np.arange(36) % 3) == [36]
    assert looks_of(1000, None) == [96, 288, 1000]
    assert looks_of(100_000, np.arange(100) % 10) == [96, 288, 864, 2000]
    assert looks_of(100_000, np.arange(100) % 100) == [800, 2000]


def test_every_beginning_has_each_class_in_its_share(tmp_path: Path) -> None:
    items = [Item(str(i), b"", ("rare", "common")[i % 10 > 0], "train") for i in range(400)]
    part: Any = type("Part", (), {})()
    part.targets = np.array([item.label == "common" for item in items]).astype(int)
    part.dataset, part.groups = Dataset("x", tuple(items)), None
    part.__class__.__len__ = lambda self: 400
    target: Any = type("Target", (), {})()
    target.parts, target.alike = {"train": part}, ()
    target.task = type("Task", (), {"kind": "single"})()
    course = recipe.make_course(target, seed=0)
    for items_seen in (20, 100, 200):
        rare = (course.labels[course.first(items_seen)] == 0).sum()
        assert abs(rare - items_seen / 10) <= 1
    assert sorted(course.first(400)) == list(range(400))


# -- budgets ----------------------------------------------------------------------------------------------------------


def test_a_budget_that_is_too_short_ranks_one_and_says_what_was_not_done(toy_photos: Path) -> None:
    ranking = rank(toy_photos, sources=[Named("one"), Named("two", 1)], budget=0.001)
    assert [row["source"] for row in ranking] == ["one"]
    assert ranking.notes[0] == "two was not looked at: the budget was used up."
    assert "all scores" in ranking.notes[-1]
    assert ranking[0]["scores"]["knn"] is None
    json.dumps(list(ranking), allow_nan=False)


def test_a_budget_that_ends_within_the_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tinted(tmp_path / "photos", {"train": 200, "validation": 10, "test": 10})
    monkeypatch.setattr(recipe, "KEPT_BACK", 1.0)
    ranking = rank(data, sources=[Named("one"), Named("two", 1)], budget="10m")
    assert {row["items"] for row in ranking} == {96}
    assert ranking.notes == ("the budget ended the race at 96 items; 200 would have been next.",)


def test_what_a_budget_affords_is_the_better_half() -> None:
    def runner(name: str, value: float) -> Any:
        made: Any = type("Runner", (), {})()
        made.name, made.items, made.seconds_an_item = name, 96, 1.0
        made.last = type("Judged", (), {"value": value})()
        return made

    racing = [runner("a", 0.5), runner("b", 0.9), runner("c", 0.7), runner("d", 0.6)]
    notes: list[str] = []
    assert [r.name for r in recipe._affordable(racing, 196, 401, notes)] == ["b", "c", "d", "a"]
    assert not notes
    assert [r.name for r in recipe._affordable(racing, 196, 201, notes)] == ["b", "c"]
    assert notes == ["the budget kept a, d from being judged on 196 items."]
    assert recipe._affordable(racing, 196, 150, notes) == []


@pytest.mark.parametrize("budget", ["soon", "-1", "0", "5 parsecs", "", "inf", "nan"])
def test_a_budget_that_is_no_time(toy_photos: Path, budget: str) -> None:
    with pytest.raises(ConfigError, match="60s"):
        rank(toy_photos, sources=[Named("one")], budget=budget)


# -- candidates -------------------------------------------------------------------------------------------------------


def stock(monkeypatch: pytest.MonkeyPatch, here: list[Source], absent: list[str]) -> None:
    """The catalogue holds these."""
    sources = {source.card.name: source for source in here}
    card = tiny_source().card
    gone = [
        Entry(card.model_copy(update={"name": n}), Availability(False, f"headstart sources install {n}"))
        for n in absent
    ]
    monkeypatch.setattr(
        "headstart.sources.catalog.entries", lambda: [*(Entry(s.card, s.availability()) for s in here), *gone]
    )
    monkeypatch.setattr(choose, "resolve", sources.__getitem__)


def test_all_that_is_here_enters_and_the_rest_is_listed(toy_photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock(monkeypatch, [Named("one"), Named("bad", broken=True), Named("two", 1)], ["big"])
    ranking = rank(toy_photos)
    assert set(by_name(ranking)) == {"one", "two"}
    assert ranking.absent == ({"source": "big", "how": "headstart sources install big"},)
    assert ranking.notes == ("bad was left out: bad is damaged.",)


def test_a_source_that_was_named_must_load(toy_photos: Path) -> None:
    with pytest.raises(SourceError, match="bad is damaged"):
        rank(toy_photos, sources=[Named("one"), Named("bad", broken=True)])


def test_where_there_is_nothing_to_rank(toy_photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no source to rank"):
        rank(toy_photos, sources=[])
    stock(monkeypatch, [], ["big"])
    with pytest.raises(SourceError, match=r"no pretrained source for images .*headstart sources install"):
        rank(toy_photos)
    stock(monkeypatch, [Named("bad", broken=True)], [])
    with pytest.raises(ConfigError, match=r"no source could be ranked. bad was left out: bad is damaged."):
        rank(toy_photos)


def test_a_score_that_is_not_there_or_not_defined(toy_photos: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown score 'probes'. Did you mean 'probe'"):
        rank(toy_photos, sources=[Named("one")], score="probes")
    with pytest.raises(
        ConfigError, match=r"one has no score 'leep': the source has no head of its own. Rank by another"
    ):
        rank(toy_photos, sources=[Named("one")], score="leep")
    assert rank(toy_photos, sources=[Named("one", head=True)], score="leep")[0]["score"] < 0


# -- price ------------------------------------------------------------------------------------------------------------


def test_a_price_is_measured_and_leaves_the_network_alone(toy_photos: Path) -> None:
    encoder = tiny_source().load()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    batches = Batches(read_dataset(toy_photos), None, encoder.input)
    found = measure(encoder, batches, torch.device("cpu"), "float32")
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    assert not encoder.training
    assert all(p.grad is None for p in encoder.parameters())
    assert 0 < found.encode < found.train < 1
    weights = 4 * sum(p.numel() for p in encoder.parameters()) / 1e6
    pictures = 32 * 3 * 32 * 32 * 4 / 1e6
    assert 4 * weights + pictures < found.memory_mb < 50


def test_what_a_step_keeps_is_counted_by_hand() -> None:
    model: Any = torch.nn.Sequential(torch.nn.Linear(10, 20), torch.nn.ReLU(), torch.nn.Linear(20, 5))
    batch = torch.randn(7, 10)

    def step() -> None:
        model(batch).sum().backward()

    assert _kept_bytes(step, model) == 4 * 7 * (10 + 20)  # the input, and the ReLU's output once
