"""Back-translation of training texts, by networks too small to know a language."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from headstart.core.cache import cache_dir
from headstart.core.config import AugmentConfig
from headstart.core.errors import ConfigError, OfflineError, SourceError
from headstart.core.progress import Silent
from headstart.data.dataset import Dataset, Item, Role
from headstart.recipes import translate
from headstart.recipes.fit import fit
from headstart.recipes.prepare import Target, prepare
from headstart.recipes.translate import retold, translators
from headstart.recipes.tuning.worker import _item, _plain_item
from headstart.sources.transformers_translation import TranslationModel
from headstart.testing.sources import tiny_source, tiny_text_source
from headstart.testing.transformers import save_translator

WORDS = ("film", "book", "food", "room", "night", "the", "was", "very", "good", "great", "fine", "bad", "dull", "a")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("translators")
    return ",".join(str(save_translator(folder / name, WORDS, seed)) for seed, name in enumerate(("forth", "back")))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the first model was given, call by call."""
    calls: list[list[str]] = []
    translated = TranslationModel.__call__

    def call(self: TranslationModel, texts: Sequence[str]) -> list[str]:
        if Path(self.name).name == "forth":
            calls.append(list(texts))
        return translated(self, texts)

    monkeypatch.setattr(TranslationModel, "__call__", call)
    return calls


def reviews(count: int = 20, *, pairs: bool = False) -> Dataset:
    texts = [f"the {WORDS[i % 5]} was {'good' if i % 2 else 'bad'} {'very ' * (i // 5 % 4)}night" for i in range(count)]
    roles: tuple[Role, ...] = ("train", "train", "train", "validation", "test")
    return Dataset(
        "reviews",
        tuple(
            Item(f"row {i}", (text, "a day") if pairs else text, "up" if i % 2 else "down", roles[i % 5])
            for i, text in enumerate(texts)
        ),
        modality="text",
    )


def told(dataset: Dataset, models: str) -> Target:
    target = prepare(dataset, tiny_text_source().card.input, seed=0, progress=Silent())
    found = translators(AugmentConfig(back_translation=models), dataset)
    assert found is not None
    return retold(target, found, Silent())


def test_training_items_get_what_comes_back_and_others_do_not(models: str) -> None:
    parts = told(reviews(), models).parts
    forth, back = (TranslationModel(name) for name in models.split(","))
    for item in parts["train"].dataset.items:
        (again,) = back(forth([str(item.input)]))
        assert item.versions == (again,)
    assert len({item.versions for item in parts["train"].dataset.items}) > 1
    assert not any(item.versions for role in ("validation", "test") for item in parts[role].dataset.items)


def test_pairs_come_back_as_pairs(models: str) -> None:
    forth, back = (TranslationModel(name) for name in models.split(","))
    first = told(reviews(pairs=True), models).parts["train"].dataset[0]
    assert isinstance(first.input, tuple)
    assert first.versions == (tuple(back(forth(first.input))),)


def test_sentences_are_translated_each_by_itself(models: str) -> None:
    """What comes of one depends neither on its neighbours nor on the batch it is in."""
    model = TranslationModel(models.partition(",")[0])
    sentences = ["the film was good.", "a very dull book!", "the food the room the night the day was poor", "great"]
    alone = [model([sentence])[0] for sentence in sentences]
    assert all(alone)
    assert len(set(alone)) > 1
    assert model(sentences) == alone
    assert model([" ".join(sentences[:2]) + "\n" + sentences[2]]) == [" ".join(alone[:3])]
    assert model(["", "  "]) == ["", ""]


def test_each_text_is_translated_once(models: str, asked: list[list[str]]) -> None:
    dataset = reviews()
    twice = dataset.with_items([*dataset.items, Item("again", dataset[0].input, dataset[0].label, "train")])
    first = told(twice, models)
    train = {str(item.input) for item in dataset.split("train").items}
    assert Counter(text for call in asked for text in call) == Counter(train)
    second = told(dataset, models)
    assert len(asked) == 1
    versions = {str(item.input): item.versions for item in first.parts["train"].dataset.items}
    assert {str(item.input): item.versions for item in second.parts["train"].dataset.items} == versions
    assert any((cache_dir() / "features" / "facts").iterdir())


def test_other_models_translate_anew(models: str, asked: list[list[str]], tmp_path: Path) -> None:
    one = told(reviews(), models)
    forth = models.partition(",")[0]
    other = told(reviews(), f"{forth},{save_translator(tmp_path / 'other', WORDS, 7)}")
    assert len(asked) == 2
    assert one.parts["train"].dataset[0].versions != other.parts["train"].dataset[0].versions


def test_killed_work_goes_on_where_it_stood(
    models: str, asked: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(translate, "TOGETHER", 4)
    translated = TranslationModel._translated

    def killed(self: TranslationModel, sentences: list[str]) -> list[str]:
        if len(asked) == 3:
            raise KeyboardInterrupt
        return translated(self, sentences)

    with monkeypatch.context() as patch:
        patch.setattr(TranslationModel, "_translated", killed)
        with pytest.raises(KeyboardInterrupt):
            told(reviews(), models)
    assert [len(call) for call in asked] == [4, 4, 4]
    resumed = told(reviews(), models)
    assert [len(call) for call in asked[3:]] == [4]
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "empty"))
    assert resumed.parts["train"].dataset == told(reviews(), models).parts["train"].dataset


def test_views_draw_the_text_or_its_version_by_seed(models: str) -> None:
    part = told(reviews(), models).parts["train"]
    item, contract = part.dataset[0], part.batches.contract
    look = part.batches.modality
    forms = [
        tuple(look.collate([look.evaluation(text, contract)], contract)[0, 0].tolist())
        for text in (item.input, *item.versions)
    ]
    on = AugmentConfig(back_translation=models)
    seen: Counter[tuple[int, ...]] = Counter()
    for seed in range(200):
        batch = part.batches.training([0], [seed], on)
        assert batch.equal(part.batches.training([0], [seed], on))
        seen[tuple(batch[0, 0].tolist())] += 1
    assert len(set(forms)) == 2
    assert sorted(seen) == sorted(forms)
    assert all(70 < count < 130 for count in seen.values())
    for plain in (part.batches.evaluation([0]), part.batches.training([0], [1], AugmentConfig())):
        assert tuple(plain[0, 0].tolist()) == forms[0]


def test_an_item_keeps_its_versions_on_the_way_to_a_worker() -> None:
    for item in (Item("a", "text", "x", versions=("other",)), Item("b", ("t", "u"), "x", versions=(("v", "w"),))):
        assert _item(_plain_item(item)) == item


def test_fit_trains_on_it(models: str, tmp_path: Path, asked: list[list[str]]) -> None:
    options = {"epochs": 2, "batch_size": 8}

    def losses(name: str, **more: str) -> list[float]:
        source = tiny_text_source()
        run = fit(reviews(), source=source, method="full", out=tmp_path / name, verdict="none", options=options | more)
        rows = map(json.loads, (run.path / "log.jsonl").read_text().splitlines())
        return [row["train_loss"] for row in rows if "train_loss" in row]

    told = {"augment.back_translation": models}
    one = losses("one", **told)
    assert one == losses("again", **told)
    assert len(asked) == 1
    assert one != losses("plain")


def test_a_model_that_is_not_here_is_refused_at_once_in_one_line(tmp_path: Path, models: str) -> None:
    forth = models.partition(",")[0]
    began = time.perf_counter()
    with pytest.raises(OfflineError, match=r"translation model 'some/opus-de-en' is not on this machine") as refused:
        fit(
            reviews(),
            source=tiny_text_source(),
            out=tmp_path / "run",
            options={"augment.back_translation": f"{forth},some/opus-de-en"},
        )
    assert time.perf_counter() - began < 5
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_no_model_says_what_it_lacks(tmp_path: Path, models: str) -> None:
    with pytest.raises(SourceError, match=r"no config.json and no model.safetensors or pytorch_model.bin and no token"):
        TranslationModel(str(tmp_path))
    shutil.copytree(models.partition(",")[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(SourceError, match="cannot be loaded"):
        TranslationModel(str(tmp_path))(["the film"])


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (Dataset("photos", (Item("a", b"", "x"),)), "modality image"),
        (Dataset("names", (Item("a", ("Ann", "ran"), ("B-PER", "O")),), "text", "tags"), "the words that the tags"),
        (
            Dataset("asked", (Item("a", ("who", "Ann"), ((0, "Ann"),)),), "text", "answers"),
            "the words that the answers",
        ),
    ],
)
def test_what_it_does_not_fit_is_refused(dataset: Dataset, words: str, models: str) -> None:
    with pytest.raises(ConfigError, match=words):
        translators(AugmentConfig(back_translation=models), dataset)
    assert translators(AugmentConfig(), dataset) is None


def test_pictures_are_refused_by_fit(toy_photos: Path, tmp_path: Path, models: str) -> None:
    with pytest.raises(ConfigError, match="translates texts"):
        fit(toy_photos, source=tiny_source(), out=tmp_path / "run", options={"augment.back_translation": models})
    assert not (tmp_path / "run").exists()
