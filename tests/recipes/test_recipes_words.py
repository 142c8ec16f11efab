"""Named entities and questions by the same verbs as everything else: words are rows, texts are judged."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart.artifacts.load import load_model
from headstart.core.card import Architecture, SourceCard, TextInput
from headstart.core.errors import ConfigError, DataError
from headstart.core.passages import Passage, Place
from headstart.core.progress import Silent
from headstart.core.source import Availability, Source
from headstart.data.passages import words_of
from headstart.data.read import read_dataset
from headstart.data.tokens import collate, encode_place, pad_id, tokenizer
from headstart.evaluation.compare import compare_runs
from headstart.evaluation.explanation import Words, answer_of
from headstart.evaluation.predictions import Predictions
from headstart.metrics.spans import entities
from headstart.nn import attribution
from headstart.nn.encoder import Encoder
from headstart.nn.model import Model
from headstart.recipes.choose import suited
from headstart.recipes.ensemble import ensemble
from headstart.recipes.evaluate import evaluate
from headstart.recipes.explain import explain
from headstart.recipes.fit import fit
from headstart.recipes.predict import predict
from headstart.recipes.prepare import prepare
from headstart.recipes.rank import rank
from headstart.recipes.run import Run
from headstart.recipes.tune import tune
from headstart.sources import build
from headstart.sources.words import by_word
from headstart.testing.sources import tiny_text_source

PRAISE, BLAME = ["good", "great", "fine", "lovely", "warm"], ["bad", "poor", "dull", "awful", "cold"]
OTHER = ["the", "film", "book", "food", "room", "day", "night", "man", "woman", "was", "is", "a", "so"]
FAST = {"epochs": 2, "batch_size": 8}


@dataclass(frozen=True)
class WordVectors(Source):
    """A vector for each token, whatever stands around it: the smallest network that tells words apart."""

    @cached_property
    def card(self) -> SourceCard:
        input = tiny_text_source().card.input
        assert isinstance(input, TextInput)
        options = {"vocabulary": tokenizer(input).get_vocab_size(), "width": 48}
        return SourceCard(
            name="word-vectors",
            modality="text",
            architecture=Architecture(library="headstart", name="static-embedding", options=options),
            input=input,
            license="Apache-2.0",
            trained_on="nothing",
            origin="made from its seed",
            sha256="0" * 64,
            width=48,
        )

    def availability(self) -> Availability:
        return Availability(True, "made from its seed")

    def load(self) -> Encoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(self.card.architecture, self.card.input)


def sentence(rng: random.Random) -> list[tuple[str, str]]:
    """Words and tags: words that praise or blame among others, some with one behind that belongs to them."""
    rows = [(word, "O") for word in rng.choices(OTHER, k=rng.randint(1, 4))]
    for kind, words in rng.sample([("praise", PRAISE), ("blame", BLAME)], rng.randint(0, 2)):
        found = [rng.choice(words), *rng.choices(["very"], k=rng.randint(0, 1))]
        rows += [(word, f"{'I' if i else 'B'}-{kind}") for i, word in enumerate(found)]
        rows += [(word, "O") for word in rng.choices(OTHER, k=rng.randint(1, 3))]
    return rows


def conll(path: Path, count: int, seed: int) -> Path:
    rng = random.Random(seed)
    sentences = ["\n".join(f"{word}\t{tag}" for word, tag in sentence(rng)) for _ in range(count)]
    path.write_text("\n\n".join(sentences) + "\n")
    return path


def squad(path: Path, count: int, seed: int, *, lacking: bool = False) -> Path:
    """Each context praises once, or, where some lack an answer, every third not at all."""
    rng = random.Random(seed)
    paragraphs = []
    for i in range(count):
        before, after = rng.choices(OTHER, k=rng.randint(1, 25)), rng.choices(OTHER, k=rng.randint(1, 25))
        answer = [] if lacking and i % 3 == 0 else rng.choices(PRAISE, k=rng.randint(1, 2))
        context = " ".join([*before, *answer, *after])
        answers = [{"text": " ".join(answer), "answer_start": len(" ".join(before)) + 1}] if answer else []
        question = {"id": f"q{i}", "question": "was it good", "answers": answers, "is_impossible": not answer}
        paragraphs.append({"title": f"a{i}", "paragraphs": [{"context": context, "qas": [question]}]})
    path.write_text(json.dumps({"version": "2.0", "data": paragraphs}))
    return path


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagged")
    for number, (name, count) in enumerate({"train": 60, "dev": 25, "test": 40}.items()):
        conll(folder / f"{name}.conll", count, number)
    return folder


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    for number, (name, count) in enumerate({"train": 60, "dev": 25, "test": 40}.items()):
        squad(folder / f"{name}.json", count, number, lacking=True)
    return folder


@pytest.fixture(scope="module")
def tagger(tagged: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("tagger") / "r"
    return fit(tagged, source=WordVectors(), method="lp-ft", out=out, options=FAST)


@pytest.fixture(scope="module")
def answerer(asked: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("answerer") / "r"
    return fit(asked, source=WordVectors(), method="lp-ft", out=out, options=FAST)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Of metrics with their intervals, to the last bits of the network."""
    return one.keys() == other.keys() and all(one[name] == pytest.approx(other[name], abs=1e-3) for name in one)


# ---- named entities


def test_a_tagger_is_judged_by_whole_entities_over_sentences(tagger: Run) -> None:
    metrics = tagger.metrics
    assert metrics["task"] == "text-token-classification"
    assert metrics["primary"] == "span_f1"
    assert metrics["n"] == {"train": 60, "validation": 25, "test": 40}
    assert metrics["test"]["span_f1"]["value"] > 0.9
    assert {"span_f1", "span_f1_strict", "span_precision", "span_recall", "accuracy", "ece"} <= set(metrics["test"])
    assert {"no_transfer", "probe", "random_network"} <= set(metrics["baselines"])
    assert metrics["verdict"]["n"] == 40
    assert metrics["verdict"]["metric"] == "span_f1"
    page = (tagger.path / "report.html").read_text()
    assert "Entity F1" in page
    assert "praise" in page
    card = (tagger.model / "card.md").read_text()
    assert "pipeline_tag: token-classification" in card
    assert "each word within 32 tokens" in card


def test_entities_of_a_text_are_told_by_their_letters(tagger: Run) -> None:
    text = "The room was  lovely very, so awful was the day"
    (told,) = predict(tagger.path, text)
    assert told.input == text
    found = [(one["type"], text[one["start"] : one["end"]]) for one in told.label]
    assert found == [("praise", "lovely very"), ("blame", "awful")]
    assert all(one["text"] == text[one["start"] : one["end"]] for one in told.label)
    assert told.scores.keys() == {"praise", "blame"}
    assert all(0 < value <= 1 for value in told.scores.values())
    several = predict(tagger.path, [text, "the man is a man", text], batch_size=1)
    assert [one.label for one in several] == [told.label, [], told.label]
    with pytest.raises(DataError, match="holds no word"):
        predict(tagger.path, "   ")


def test_words_of_a_whole_text_get_what_the_run_stored(tagger: Run, tagged: Path) -> None:
    task = load_model(tagger.path).task
    stored = Predictions.load(tagger.path / "predictions.jsonl", task)
    records = [json.loads(line) for line in (tagger.path / "predictions.jsonl").read_text().splitlines()]
    assert len(records) == len(stored.units or ()) == 40
    assert same(evaluate(tagger.path, tagged)["test"], tagger.metrics["test"])
    for record in records[:5]:
        assert predict(tagger.path, record["passage"]["text"])[0].label == record["predicted"]
        spans = record["passage"]["words"]
        named = [record["passage"]["text"][spans[e.start][0] : spans[e.end - 1][1]] for e in entities(record["label"])]
        assert all(name.split()[0] in PRAISE + BLAME for name in named)


def test_runs_are_compared_by_sentence(tagger: Run) -> None:
    task = load_model(tagger.path).task
    one = Predictions.load(tagger.path / "predictions.jsonl", task)
    assert one.units is not None
    order = [one.ids[row] for row in one.units.every(range(len(one.units) - 1, -1, -1))]
    turned = one.ordered_as(order)
    assert turned.units is not None
    assert task.metrics(turned.targets, turned.scores, turned.units) == pytest.approx(
        task.metrics(one.targets, one.scores, one.units)
    )
    found = compare_runs(one, turned)
    assert (found.differing, found.n, found.gain) == (0, 40, 0)
    nothing = np.zeros_like(one.scores)
    nothing[:, task.outputs.index("O")] = 1
    worse = compare_runs(one, Predictions(task, one.ids, one.targets, nothing, one.groups, one.units))
    assert worse.transfer == "positive"
    assert 6 <= worse.differing <= 40


def test_a_second_run_encodes_nothing_and_a_third_goes_on_from_the_first(
    tagger: Run, tagged: Path, tmp_path: Path
) -> None:
    again = fit(tagged, source=WordVectors(), method="probe", out=tmp_path / "a", verdict="none")
    assert again.metrics["cost"]["items_encoded"] == 0
    onward = fit(tagged, source=str(tagger.path), method="probe", out=tmp_path / "b", verdict="none")
    assert onward.metrics["test"]["span_f1"]["value"] > 0.8


def test_a_tagger_can_be_the_source_of_whole_texts(tagger: Run, tmp_path: Path) -> None:
    rng = random.Random(5)
    rows = [" ".join(rng.choices(OTHER, k=4) + rng.choices(words, k=2)) for words in (PRAISE, BLAME) for _ in range(30)]
    path = tmp_path / "texts.csv"
    path.write_text("text,label\n" + "\n".join(f"{text},{'up' if i < 30 else 'down'}" for i, text in enumerate(rows)))
    run = fit(path, source=str(tagger.path), method="probe", out=tmp_path / "r", verdict="none")
    assert run.metrics["task"] == "text-classification"
    assert run.metrics["test"]["accuracy"]["value"] > 0.7
    assert predict(run.path, "a lovely day")[0].label in ("up", "down")


def test_every_verb_takes_tags(tagger: Run, tagged: Path, tmp_path: Path) -> None:
    ranked = rank(tagged, sources=[WordVectors()])
    assert ranked[0]["scores"]["probe"] is not None
    auto = fit(tagged, source=WordVectors(), out=tmp_path / "auto", verdict="none", options=FAST)
    assert auto.metrics["test"]["span_f1"]["value"] > 0.8
    joined = ensemble(tagger.path, auto.path, out=tmp_path / "both")
    assert joined.metrics["test"]["span_f1"]["value"] > 0.8
    assert predict(joined.path, "a lovely day")[0].label[0]["type"] == "praise"


def test_trials_of_a_study_are_judged_by_entities(tagger: Run, tagged: Path, tmp_path: Path) -> None:
    study = tune(
        tagged,
        source=str(tagger.path),
        method="head",
        trials=1,
        space=["learning_rate=1e-3,1e-2"],
        options={"epochs": 1},
        out=tmp_path / "study",
    )
    assert json.loads((study.path / "tune.json").read_text())["metric"] == "span_f1"


def test_tags_that_tell_no_entities_are_judged_by_word(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "dev", "test")):
        text = conll(tmp_path / "x.conll", 30, number).read_text()
        for old, new in (
            ("B-praise", "ADJ"),
            ("I-praise", "ADJ"),
            ("B-blame", "ADV"),
            ("I-blame", "ADV"),
            ("\tO", "\tX"),
        ):
            text = text.replace(old, new)
        (tmp_path / f"{name}.conll").write_text(text)
    (tmp_path / "x.conll").unlink()
    run = fit(tmp_path, source=WordVectors(), method="probe", out=tmp_path / "r", verdict="none")
    assert run.metrics["primary"] == "accuracy"
    assert run.metrics["test"]["accuracy"]["value"] > 0.9
    told = predict(run.path, "a lovely day")[0].label
    assert [(one["tag"], one["text"]) for one in told] == [("X", "a"), ("ADJ", "lovely"), ("X", "day")]


def test_slices_are_of_sentences(tagged: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for domain, seed in (("news", 1), ("mail", 2)):
        (data / domain).mkdir(parents=True)
        for name, count in {"train": 30, "dev": 10, "test": 30}.items():
            conll(data / domain / f"{name}.conll", count, seed + len(name))
    run = fit(data, source=WordVectors(), method="probe", out=tmp_path / "r", verdict="none", slice="domain")
    slices = run.metrics["slices"]
    assert {one["name"]: one["n"] for one in slices["slices"]} == {"news": 30, "mail": 30}
    assert slices["metric"] == "span_f1"
    assert len(slices["gaps"]) == 1


def test_what_words_cannot_have_is_refused_by_name(tagger: Run, tagged: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"adversarial.attack=pgd moves whole texts"):
        fit(tagged, source=WordVectors(), out=tmp_path / "r", options={"adversarial.attack": "pgd"})
    assert not (tmp_path / "r").exists()


def test_every_entity_is_explained_by_the_words_of_its_text(tagger: Run, tmp_path: Path) -> None:
    text = f"the {PRAISE[0]} man was {BLAME[0]}"
    good, bad = explain(tagger.path, text, out=tmp_path / "why.html")
    told = tagger.predict(text)[0].label
    assert [good.label, bad.label] == told
    assert (good.target, bad.target) == ("B-praise", "B-blame")
    for found, word in ((good, PRAISE[0]), (bad, BLAME[0])):
        assert found.evidence is not None
        assert isinstance(found.evidence, Words)
        best = max(found.evidence.words, key=lambda one: one.score)
        assert best.word == word
        assert all(one.score == 0 for one in found.evidence.words if one is not best)  # of this network each word's own
        assert answer_of(found).startswith(f"{found.target[2:]}: {word} ")
    assert f"blame: {BLAME[0]}" in (tmp_path / "why.html").read_text()


@pytest.mark.parametrize("asked", ["", "was it good"])
def test_points_on_the_path_are_read_one_by_one_though_their_tokens_are_the_same(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen at once say what one after the other does, and they add up: a real network, of several layers."""
    encoder = by_word(tiny_text_source()).load()
    model = Model(encoder, 3).eval()
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    contract = encoder.input
    assert isinstance(contract, TextInput)
    passage = Passage("x", "the lovely man was so bad", words_of("the lovely man was so bad"), asked)
    batch = collate([encode_place(Place(passage, 1), contract)], pad_id(contract))
    baseline = batch.clone()
    baseline[0, 0, 1:6] = pad_id(contract)

    def found() -> attribution.Path:
        return attribution.layer_integrated_gradients(model, batch, baseline, lambda logits: logits[:, 1])

    together = found()
    assert encoder.shares
    monkeypatch.setattr(attribution, "AT_ONCE", 1)
    alone = found()
    assert together.gap <= attribution.TOLERANCE
    assert together.values.abs().max() > 1e-3
    torch.testing.assert_close(together.values, alone.values, rtol=1e-3, atol=1e-5)


def test_a_tag_is_explained_at_the_word_that_it_fits_best(tagger: Run) -> None:
    text = f"the {PRAISE[0]} film"
    (found,) = explain(tagger.path, text, target="B-blame")
    assert found.target == "B-blame"
    assert found.label is None
    assert answer_of(found).startswith("B-blame ")
    (found,) = explain(tagger.path, text, target="B-praise")
    assert found.label == tagger.predict(text)[0].label[0]
    assert found.input.endswith("word 2")


def test_a_text_without_entities_is_said_to_have_none(tagger: Run) -> None:
    said: list[str] = []

    class Said(Silent):
        def say(self, message: str) -> None:
            said.append(message)

    assert explain(tagger.path, " ".join(OTHER[:3]), progress=Said()) == []
    assert "no entity is found" in said[0]


# ---- questions


def test_an_answerer_is_judged_by_whole_answers(answerer: Run) -> None:
    metrics = answerer.metrics
    assert metrics["task"] == "text-question-answering"
    assert metrics["primary"] == "answer_f1"
    assert metrics["n"] == {"train": 60, "validation": 25, "test": 40}
    assert metrics["test"]["answer_f1"]["value"] > 0.8
    assert metrics["test"]["exact_match"]["value"] <= metrics["test"]["answer_f1"]["value"] + 1e-9
    page = (answerer.path / "report.html").read_text()
    assert "Answer F1" in page
    assert "pipeline_tag: question-answering" in (answerer.model / "card.md").read_text()


def test_an_answer_is_explained_where_it_begins_and_where_it_ends(answerer: Run) -> None:
    pair = ("was it good", "the room was so lovely, a man is a man")
    start, end = explain(answerer.path, [pair])
    assert (start.target, end.target) == ("start", "end")
    assert start.label == end.label == predict(answerer.path, [pair])[0].label
    for found in (start, end):
        assert isinstance(found.evidence, Words)
        assert found.evidence.texts == pair
        best = max(found.evidence.words, key=lambda one: abs(one.score))
        assert (best.word, best.part) == ("lovely", 1)
    none = explain(answerer.path, [("was it good", "the room is a room")])
    assert [answer_of(one).startswith("(no answer) ") for one in none] == [True, True]


def test_an_answer_stands_in_its_text_or_there_is_none(answerer: Run, asked: Path) -> None:
    context = "the room was so lovely, a man is a man"
    (told,) = predict(answerer.path, [("was it good", context)])
    assert told.label["text"] == "lovely" == context[told.label["start"] : told.label["end"]]
    assert sum(told.scores.values()) <= 1 + 1e-9
    (none,) = predict(answerer.path, [("was it good", "the room is a room")])
    assert none.label["text"] == ""
    assert none.label["start"] is None
    assert same(evaluate(answerer.path, asked)["test"], answerer.metrics["test"])
    with pytest.raises(DataError, match="no pair of texts"):
        predict(answerer.path, "no question")


def test_answers_in_long_texts_are_found_wherever_they_stand(answerer: Run) -> None:
    """Of 200 words the network sees 32 tokens at a time."""
    words = random.Random(0).choices(OTHER, k=200)
    for place in (0, 57, 131, 199):
        before = " ".join(words[:place])
        text = " ".join([*words[:place], "lovely", *words[place + 1 :]])
        (told,) = predict(answerer.path, [("was it good", text)])
        assert (told.label["text"], told.label["start"]) == ("lovely", len(before) + bool(before))


def test_words_keep_their_features_whatever_part_they_are_in(tagged: Path) -> None:
    dataset = read_dataset(tagged)
    source = suited(WordVectors(), dataset)
    target = prepare(dataset, source.card.input, seed=0, progress=Silent())
    for part in target.parts.values():
        assert part.units is not None
        assert len(part.units) == part.count
        assert len(part) == len(part.digests) == part.units.starts[-1]
        places = [item.input for item in part.dataset.items]
        texts = {(place.passage.text, place.word) for place in places if isinstance(place, Place)}
        assert len(set(part.digests)) == len(texts)
        assert part.groups is not None
        assert len(set(part.groups.tolist())) == part.count
