"""What an answer is said to rest on is what it rests on: known beforehand, and seen when it is taken away."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import headstart
from headstart.artifacts.load import LoadedEnsemble, LoadedModel
from headstart.cli.app import run
from headstart.core.card import Architecture, AudioInput, Column, ImageInput, Mel, TableInput
from headstart.core.errors import ConfigError
from headstart.core.source import Source
from headstart.core.types import Features
from headstart.data.dataset import Item
from headstart.data.modalities import MODALITIES
from headstart.evaluation.blocks import blocks, onto
from headstart.evaluation.explanation import Columns, Seen, Sound, Words
from headstart.nn import attribution
from headstart.nn.attribution import Path as Way
from headstart.nn.attribution import grad_cam, integrated_gradients
from headstart.nn.encoder import Encoder
from headstart.nn.model import Model
from headstart.nn.spectrogram import band_edges, log_mel
from headstart.recipes.explain import explain
from headstart.recipes.explaining.base import Onlooker
from headstart.recipes.explaining.table import explain_row
from headstart.recipes.explaining.text import _units
from headstart.recipes.predict import predict
from headstart.sources import build
from headstart.tasks.classification import Classification
from headstart.tasks.regression import Regression
from headstart.testing.models import save_tiny_ensemble, save_tiny_model
from headstart.testing.sources import tiny_source, tiny_text_source

pytest.importorskip("captum")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:captum")


def loaded(model: Model, task: Classification, source: Source) -> LoadedModel:
    card = source.card
    cpu = torch.device("cpu")
    return LoadedModel(Path("taught"), model.eval(), task, card.input, 1.0, card, cpu, "float32")


def taught(source: Source, batch: Tensor, targets: Tensor, task: Classification, steps: int) -> LoadedModel:
    """The source's network, trained on a prepared batch until it has learned it."""
    torch.manual_seed(0)
    model = Model(source.load(), len(task.outputs))
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        chosen = torch.randperm(len(batch))[:32]
        loss = task.loss(model(batch[chosen]), targets[chosen])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    with torch.no_grad():
        right = (model(batch).argmax(1) == targets).float().mean()
    assert right > 0.95, f"it has not learned: {right:.2f}"
    return loaded(model, task, source)


# -- pictures ---------------------------------------------------------------------------------------------------------

CORNERS = [(2, 2), (2, 20), (20, 2), (20, 20)]
COLOURS = {"green": (20, 200, 20), "red": (220, 20, 20)}


def square(label: str, corner: tuple[int, int], seed: int) -> np.ndarray:
    """(32, 32, 3): a coloured square of 10 pixels in a corner of grey noise."""
    picture = np.random.default_rng(seed).integers(90, 160, (32, 32, 3), dtype=np.uint8)
    top, left = corner
    picture[top : top + 10, left : left + 10] = COLOURS[label]
    return picture


@pytest.fixture(scope="module")
def colours() -> LoadedModel:
    """Tells a red square from a green one, wherever it is."""
    source, modality = tiny_source(), MODALITIES["image"]
    labels = sorted(COLOURS)
    views = [square(labels[i % 2], CORNERS[i // 2 % 4], i) for i in range(64)]
    batch = modality.prepare(modality.collate(views, source.card.input), source.card.input)
    targets = torch.arange(64) % 2
    return taught(source, batch, targets, Classification(tuple(labels)), steps=30)


def framed(picture: np.ndarray) -> np.ndarray:
    """With a border of 2 pixels, which the network's preprocessing cuts off again."""
    return np.pad(picture, [(2, 2), (2, 2), (0, 0)], mode="edge")


def test_it_looks_at_the_square(colours: LoadedModel) -> None:
    for number, (top, left) in enumerate(CORNERS):
        picture = square("red", (top, left), 100 + number)
        (found,) = explain(colours, framed(picture))
        assert (found.label, found.target, found.method) == ("red", "red", "integrated-gradients")
        assert found.gap is not None
        assert found.gap <= attribution.TOLERANCE
        assert isinstance(found.evidence, Seen)
        np.testing.assert_array_equal(found.evidence.view, picture)
        strength = np.abs(found.evidence.map)
        inside = strength[top : top + 10, left : left + 10].sum() / strength.sum()
        assert inside > 3 * 100 / 32**2, f"only {inside:.0%} of it is in the square"
        grid = np.abs(found.evidence.grid)
        row, column = np.unravel_index(grid.argmax(), grid.shape)
        assert (row > 3) == (top > 10), "it points to another corner"
        assert (column > 3) == (left > 10)


def test_taking_away_what_counts_lowers_the_score_more_than_taking_away_anything(colours: LoadedModel) -> None:
    """Deletion (Petsiuk et al. 2018): nine of 49 cells become the baseline's grey."""
    rng, modality, contract = np.random.default_rng(0), MODALITIES["image"], colours.contract
    for number, corner in enumerate(CORNERS):
        picture = square("red", corner, 200 + number)
        (found,) = explain(colours, framed(picture), target="red")
        assert isinstance(found.evidence, Seen)

        def without(cells: np.ndarray, picture: np.ndarray = picture) -> float:
            gone = picture.copy()
            edges = np.linspace(0, 32, 8).round().astype(int)
            for row, column in zip(*np.unravel_index(cells, (7, 7)), strict=True):
                gone[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = 128
            green, red = colours.logits(modality.collate([gone], contract))[0]
            return float(red - green)

        most = without(np.argsort(-found.evidence.grid.ravel())[:9])
        random = [without(rng.choice(49, 9, replace=False)) for _ in range(8)]
        assert most < min(random), f"{most} without what counts, {random} without random cells"


class Averaging(Encoder):
    """One convolution, its maps averaged: what Grad-CAM gives is known."""

    architecture = Architecture(library="test", name="averaging")
    input = ImageInput(resize=8, crop=8)
    width = 3

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 2, stride=2)

    def forward(self, batch: Tensor) -> Features:
        maps: Tensor = self.conv(batch)
        return Features(maps.mean((2, 3)), maps=(maps,))

    def stages(self) -> tuple[str, ...]:
        return ("conv",)

    def stage_of(self, name: str) -> int:
        return 0


def test_grad_cam_of_averaged_maps_is_what_each_place_adds() -> None:
    """Of a linear head on averaged maps it is CAM (Zhou et al. 2016), whose places add up to the output."""
    model = Model(Averaging(), 2).eval()
    model.head.weight.data.normal_()
    batch = torch.randn(2, 3, 8, 8)
    found = grad_cam(model, batch, lambda logits: logits[:, 1])
    with torch.no_grad():
        maps = model.encoder(batch).maps[0]
        places = torch.einsum("bchw,c->bhw", maps, model.head.weight[1]) / 16
    torch.testing.assert_close(places.sum((1, 2)) + model.head.bias[1], model(batch)[:, 1])
    torch.testing.assert_close(found, places.clamp(min=0))


def test_grad_cam_of_a_network_that_works_channels_last() -> None:
    options = {"img_size": 64, "window_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 1]}
    input = ImageInput(resize=64, crop=64)
    swin = build(Architecture(library="timm", name="swin_tiny_patch4_window7_224", options=options), input)
    model = Model(swin, 2).eval()
    model.head.weight.data.normal_()
    found = grad_cam(model, torch.randn(1, 3, 64, 64), lambda logits: logits[:, 0])
    assert found.shape[1:] == swin(torch.randn(1, 3, 64, 64)).maps[-1].shape[2:]
    assert found.max() > 0


def test_attributions_that_do_not_add_up_are_refused(colours: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(model: Model, batch: Tensor, baseline: Tensor, output: attribution.Output) -> Way:
        return Way(torch.zeros_like(batch), 0.0, 2.0, 256)

    monkeypatch.setattr("headstart.recipes.explaining.image.integrated_gradients", short)
    (found,) = explain(colours, framed(square("red", (2, 2), 0)))
    assert found.evidence is None
    assert found.gap == 1
    assert found.refused.startswith("after 256 steps the attributions miss what they should add up to by 100%")
    assert found.to_json()["attributions"] is None


def test_more_steps_are_taken_until_they_add_up() -> None:
    """A step function needs more than the first number of steps; a straight one does not."""
    model = Model(Averaging(), 1).eval()
    model.head.weight.data.fill_(1)
    batch, baseline = torch.randn(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    straight = integrated_gradients(model, batch, baseline, lambda logits: logits[:, 0])
    assert straight.steps == attribution.STEPS[0]
    assert straight.gap < 1e-4
    low, high = straight.start, straight.end

    def step(logits: Tensor) -> Tensor:
        return torch.sigmoid(60 * ((logits[:, 0] - low) / (high - low) - 0.5))

    bent = integrated_gradients(model, batch, baseline, step)
    assert bent.steps > attribution.STEPS[0]
    assert bent.gap <= attribution.TOLERANCE


def test_an_ensemble_is_the_mean_of_its_members(tmp_path: Path, toy_photos: Path) -> None:
    whole = headstart.load(save_tiny_ensemble(tmp_path / "model"))
    assert isinstance(whole, LoadedEnsemble)
    photo = toy_photos / "test" / "disc" / "01.jpg"
    (found,) = explain(whole, photo, target="cat")
    parts = [explain(member, photo, target="cat")[0].evidence for member in whole.members]
    assert isinstance(found.evidence, Seen)
    assert found.evidence.map.shape == (48, 48)
    totals = [part.map.sum() for part in parts if isinstance(part, Seen)]
    assert found.evidence.map.sum() == pytest.approx(np.dot(whole.weights, totals) / sum(whole.weights), rel=1e-6)
    assert found.scores == pytest.approx(predict(whole, photo)[0].scores)


def test_numbers_are_explained_in_their_unit(tmp_path: Path, toy_photos: Path) -> None:
    task = Regression(("weight",), (50.0,), (10.0,))
    model = headstart.load(save_tiny_model(tmp_path / "model", task=task))
    (found,) = explain(model, toy_photos / "test" / "disc" / "01.jpg")
    assert isinstance(model, LoadedModel)
    contract = model.contract
    assert isinstance(contract, ImageInput)
    grey = torch.zeros(1, 3, contract.crop, contract.crop)
    with torch.no_grad():
        start = 50 + 10 * float(model.model(grey))
    assert isinstance(found.evidence, Seen)
    allowed = attribution.TOLERANCE * abs(found.value - start) + 1e-3
    assert found.evidence.map.sum() == pytest.approx(found.value - start, abs=allowed)


def test_a_run_explains_its_test_items_in_its_report(toy_photos: Path, tmp_path: Path) -> None:
    found = headstart.fit(
        toy_photos, source=tiny_source(), method="probe", out=tmp_path / "run", verdict="none", track=(), explain=3
    )
    page = (found.path / "report.html").read_text()
    why = page[page.index('id="why"') :]
    assert why[: why.index("</section>")].count("<article") == 3
    assert why.count("<dt>Labelled</dt>") == 3
    assert "explain: 3" in (found.path / "recipe.yaml").read_text()
    with pytest.raises(ConfigError, match="--no-photos keeps them out"):
        headstart.fit(toy_photos, source=tiny_source(), out=tmp_path / "other", explain=3, photos=False)
    assert not (tmp_path / "other").exists()


def test_the_command_prints_a_drawing_and_writes_a_page_and_pictures(
    tmp_path: Path, toy_photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(save_tiny_model(tmp_path / "model"))
    photo, page = str(toy_photos / "test" / "disc" / "01.jpg"), tmp_path / "deep" / "why.html"
    given = ["explain", model, photo, "--out", str(page), "--pictures", str(tmp_path / "png"), "--json"]
    assert run(given) == 0
    printed = capsys.readouterr()
    (found,) = json.loads(printed.out)
    assert np.shape(found["attributions"]["grid"]) == (7, 7)
    assert found["target"] == found["label"]
    with Image.open(found["picture"]) as picture:
        assert picture.size == (224, 224)
    assert printed.err.count("  | ") == 7
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 1
    assert "01.jpg" in text


def test_where_it_cannot_be_written_is_said_before_the_work(
    colours: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (32, 32), "red").save(photo)
    if Path("/dev/full").exists():  # a disk without room
        with pytest.raises(ConfigError, match=r"--out /dev/full cannot be written: No space left"):
            explain(colours, photo, out="/dev/full")
    monkeypatch.setattr("headstart.recipes.explain.explain_items", None)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"--out .*thesis.txt.* cannot be written"):
        explain(colours, photo, out=tmp_path / "thesis.txt" / "why.html")
    with pytest.raises(ConfigError, match=r"--pictures .*thesis.txt cannot be written"):
        explain(colours, photo, pictures=tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_what_there_is_not_is_named(colours: LoadedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = framed(square("red", (2, 2), 0))
    with pytest.raises(ConfigError, match="unknown label to explain 'rde'. Did you mean 'red'"):
        explain(colours, picture, target="rde")
    with pytest.raises(ConfigError, match="unknown way to explain 'gradcam'. Did you mean 'grad-cam'"):
        explain(colours, picture, method="gradcam")
    with pytest.raises(ConfigError, match="the last feature map is one cell. Use integrated-gradients"):
        explain(colours, picture, method="grad-cam")
    with pytest.raises(ConfigError, match=r"occlusion cannot explain this kind of input. Possible here: integrated"):
        explain(colours, picture, method="occlusion")


# -- texts ------------------------------------------------------------------------------------------------------------

OTHERS = ("the", "film", "book", "food", "room", "day", "night", "man", "was", "is", "very", "so", *"天书人是")


@pytest.fixture(scope="module")
def moods() -> LoadedModel:
    """A text is "up" if the word "good" or 好 is in it."""
    source, modality = tiny_text_source(), MODALITIES["text"]
    contract, rng = source.card.input, np.random.default_rng(0)
    texts = []
    for i in range(128):
        words = list(rng.choice(OTHERS, 6, replace=False))
        if i % 2:
            words[rng.integers(6)] = "good" if i % 4 == 1 else "好"
        texts.append(" ".join(words))
    batch = modality.collate([modality.evaluation(text, contract) for text in texts], contract)
    return taught(source, batch, torch.arange(128) % 2, Classification(("other", "up"), "text"), steps=60)


@pytest.mark.parametrize(("text", "word"), [("the Film was Good, so", "Good"), ("天是好书", "好")])
def test_it_reads_the_word(moods: LoadedModel, text: str, word: str) -> None:
    (found,) = explain(moods, [text])
    assert found.label == "up"
    assert isinstance(found.evidence, Words)
    best = max(found.evidence.words, key=lambda one: one.score)
    assert best.word == word == text[best.start : best.end]
    assert "".join(piece for piece, _ in found.evidence.pieces(0)) == text

    def without(gone: str) -> float:
        return predict(moods, [text.replace(gone, "")])[0].scores["up"]

    others = [one.word for one in found.evidence.words if one is not best and one.word.isalpha()]
    assert without(best.word) < min(without(other) for other in others)


def test_words_are_put_together_again_from_their_parts(moods: LoadedModel) -> None:
    (found,) = explain(moods, ["unheard-of: 不好 film!"], target="up")
    assert isinstance(found.evidence, Words)
    assert [one.word for one in found.evidence.words] == ["unheard", "-", "of", ":", "不", "好", "film", "!"]
    assert all(one.seen for one in found.evidence.words)
    (long,) = explain(moods, ["good " * 40], target="up")
    assert isinstance(long.evidence, Words)
    assert [one.seen for one in long.evidence.words] == [True] * 30 + [False] * 10


def test_both_texts_of_a_pair_are_explained(moods: LoadedModel) -> None:
    (found,) = explain(moods, [("the film", "good food")])
    assert isinstance(found.evidence, Words)
    assert [(one.word, one.part) for one in found.evidence.words] == [("the", 0), ("film", 0), ("good", 1), ("food", 1)]


def test_words_of_any_script() -> None:
    def units(text: str, tokens: list[tuple[int, int]] | None = None) -> list[str]:
        return [text[a:b] for a, b in _units(text, tokens or [])]

    assert units("it's 'so' good_ 3.5") == ["it's", "'", "so", "'", "good_", "3", ".", "5"]
    assert units("हिन्दी में") == ["हिन्दी", "में"]
    assert units("我爱北京") == ["我", "爱", "北", "京"]
    assert units("我爱北京", [(0, 1), (1, 2), (2, 4)]) == ["我", "爱", "北京"]


# -- recordings -------------------------------------------------------------------------------------------------------


class Listening(Encoder):
    """Half a second of 8 kHz: the loudness in one band, at any time."""

    architecture = Architecture(library="test", name="listening")
    width = 1

    def __init__(self, input: AudioInput) -> None:
        super().__init__()
        self.input = input
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, batch: Tensor) -> Features:
        if batch.ndim == 2:
            return Features(self.scale * batch.square().mean(1, keepdim=True))
        return Features(self.scale * batch[:, 12:20].exp().mean((1, 2))[:, None])

    def stages(self) -> tuple[str, ...]:
        return ("all",)

    def stage_of(self, name: str) -> int:
        return 0


@pytest.mark.parametrize("mel", [Mel(bands=24, window=256, hop=128, floor=1e-6), None])
def test_it_hears_when_and_how_high(mel: Mel | None, tmp_path: Path) -> None:
    contract = AudioInput(rate=8000, seconds=0.5, mel=mel)
    model = Model(Listening(contract), 2).eval()
    model.head.weight.data[:] = torch.tensor([[0.0], [1.0]])
    card = tiny_source().card.model_copy(update={"modality": "audio", "input": contract})
    task = Classification(("no", "yes"), "audio")
    whole = LoadedModel(Path("x"), model, task, contract, 1.0, card, torch.device("cpu"), "float32")
    time = np.arange(4000) / 8000
    edges = band_edges(mel or Mel(bands=64, window=400, hop=80), 8000)
    pitch = edges[16] if mel else 1000.0
    beep = np.where((time > 0.3) & (time < 0.4), 0.5 * np.sin(2 * np.pi * pitch * time), 0.001)
    path = tmp_path / "beep.wav"
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(path, beep, 8000)
    (found,) = explain(whole, path, target="yes", pictures=tmp_path)
    assert found.method == ("integrated-gradients" if mel else "occlusion")
    assert isinstance(found.evidence, Sound)
    middles = (found.evidence.seconds[:-1] + found.evidence.seconds[1:]) / 2
    when = found.evidence.map.sum(0)
    assert when[(middles > 0.27) & (middles < 0.43)].sum() > 0.9 * np.abs(when).sum()
    if mel:
        high = found.evidence.map.sum(1)
        assert abs(int(high.argmax()) - 16) <= 1
    assert found.picture is not None
    with Image.open(found.picture) as picture:
        assert picture.width > 500
    document = found.evidence.to_json()
    assert np.shape(document["grid"]) == (len(document["hertz"]) - 1, len(document["seconds"]) - 1)


def test_bands_lie_around_their_tones() -> None:
    mel = Mel(bands=40, window=1024, hop=256)
    edges = band_edges(mel, 16_000)
    assert np.all(np.diff(edges) > 0)
    for tone in (500.0, 2000.0, 6000.0):
        contract = AudioInput(rate=16_000, seconds=0.5, mel=mel)
        wave = torch.sin(2 * torch.pi * tone * torch.arange(8000) / 16_000)[None]
        loudest = int(log_mel(wave, contract)[0].exp().mul(torch.from_numpy(np.diff(edges))[:, None]).sum(1).argmax())
        assert edges[loudest] <= tone * 1.05
        assert edges[loudest + 1] >= tone * 0.95


# -- rows of tables ---------------------------------------------------------------------------------------------------


class Adding(Encoder):
    """Columns times known weights; one that is missing adds nothing."""

    architecture = Architecture(library="test", name="adding")
    width = 3

    def __init__(self, input: TableInput) -> None:
        super().__init__()
        self.input = input
        self.weights = nn.Parameter(torch.tensor([2.0, -3.0, 0.5]))

    def forward(self, batch: Tensor) -> Features:
        return Features(batch.nan_to_num(0) * self.weights)

    def stages(self) -> tuple[str, ...]:
        return ("all",)

    def stage_of(self, name: str) -> int:
        return 0


@pytest.mark.parametrize("levels", [(), ("a", "b", "c")])
def test_columns_of_a_sum_get_their_terms(levels: tuple[str, ...]) -> None:
    columns = (Column(name="age", mean=40, std=10), Column(name="dose"), Column(name="site", levels=levels))
    contract = TableInput(columns=columns)
    model = Model(Adding(contract), 1).eval()
    model.head.weight.data.fill_(1)
    card = tiny_source().card.model_copy(update={"modality": "table", "input": contract})
    task = Regression(("y",), (0.0,), (1.0,), "table")
    member = LoadedModel(Path("x"), model, task, contract, 1.0, card, torch.device("cpu"), "float32")
    row = torch.tensor([[1.5, float("nan") if levels else 1.0, 2.0]])
    found = explain_row(Item("row", ()), [Onlooker(member, None, row, row, lambda z: z[:, 0], 1.0)], "auto")
    assert found.methods == ("occlusion" if levels else "integrated-gradients",)
    assert isinstance(found.evidence, Columns)
    names, values, scores = zip(*found.evidence.rows, strict=True)
    assert names == ("age", "dose", "site")
    assert values == (55.0, None if levels else 1.0, "c" if levels else 2.0)
    assert scores == pytest.approx((3.0, 0.0 if levels else -3.0, 1.5 if levels else 1.0), abs=1e-5)


# -- maps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 7), (3, 5), (32, 32), (1, 40)])
def test_coarser_and_finer_maps_keep_their_sum(shape: tuple[int, int]) -> None:
    map = np.random.default_rng(0).normal(size=shape)
    found = blocks(map, 7, 7)
    assert found.shape == (7, 7)
    assert found.sum() == pytest.approx(map.sum())
    np.testing.assert_allclose(blocks(map, *shape), map, atol=1e-12)


def test_a_map_laid_on_other_cells() -> None:
    edges, cuts = np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.5, 3.0])
    found = onto(np.array([[1.0, 3.0], [5.0, 7.0]]), (edges, edges), (edges, cuts))
    np.testing.assert_allclose(found, [[2.0, 1.5], [6.0, 3.5]])
