"""torchvision: features are torchvision's own for every supported family, weights are checked by their name's hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torchvision import models

from headstart.core.card import Architecture, ImageInput
from headstart.core.errors import OfflineError, SourceError
from headstart.sources import build, resolve
from headstart.sources.torchvision import TorchvisionSource
from headstart.testing.host import Host
from headstart.testing.sources import random_batch

SMALL = ImageInput(resize=64, crop=64)


def architecture(name: str, **options: object) -> Architecture:
    return Architecture(library="torchvision", name=name, options=options)


@pytest.mark.parametrize(
    ("model", "width", "first", "last"),
    [
        ("convnext_tiny", 768, "features.0", "features.7"),
        ("densenet121", 1024, "features.conv0", "features.denseblock4"),
        ("efficientnet_b0", 1280, "features.0", "features.8"),
        ("mnasnet0_5", 1280, "layers.0", "layers.14"),
        ("mobilenet_v2", 1280, "features.0", "features.18"),
        ("mobilenet_v3_small", 1024, "features.0", "classifier.0"),
        ("regnet_x_400mf", 400, "stem", "trunk_output.block4"),
        ("resnet18", 512, "conv1", "layer4"),
        ("shufflenet_v2_x0_5", 1024, "conv1", "conv5"),
        ("swin_t", 768, "features.0", "features.7"),
        ("vgg11", 4096, "features.0", "classifier.3"),
    ],
)
def test_features_are_what_torchvisions_last_layer_is_given(model: str, width: int, first: str, last: str) -> None:
    quick = {"init_weights": False} if model == "vgg11" else {}
    encoder = build(architecture(model, **quick), SMALL)
    plain = models.get_model(model, weights=None, **quick).eval()
    missing, extra = plain.load_state_dict(encoder.get_submodule("network").state_dict(), strict=False)
    assert not extra
    assert len(missing) == 2, "all but the last layer's weight and bias"
    given: list[torch.Tensor] = []
    layer = [m for m in plain.modules() if isinstance(m, nn.Linear)][-1]
    layer.register_forward_hook(lambda module, inputs, output: given.append(inputs[0]))
    with torch.no_grad():
        features = encoder(random_batch(encoder.input))
        plain(random_batch(encoder.input))
    torch.testing.assert_close(features.pooled, given[0], rtol=1e-5, atol=1e-5)
    assert features.pooled.shape == (2, encoder.width) == (2, width)
    assert features.maps[0].ndim == 4
    assert (encoder.stages()[0], encoder.stages()[-1]) == (first, last)


def test_squeezenet_scores_are_torchvisions() -> None:
    encoder = build(architecture("squeezenet1_1"), SMALL)
    plain = models.squeezenet1_1(weights=None).eval()
    plain.load_state_dict(encoder.get_submodule("network").state_dict(), strict=False)
    with torch.no_grad():
        expected = plain.features(random_batch(encoder.input))
        features = encoder(random_batch(encoder.input))
    torch.testing.assert_close(features.maps[0], expected)
    torch.testing.assert_close(features.pooled, expected.mean((2, 3)))


def test_a_network_can_be_cut_short() -> None:
    torch.manual_seed(3)
    encoder = build(architecture("vgg11_bn", layers=14), SMALL)
    torch.manual_seed(3)
    again = build(architecture("vgg11_bn", layers=14), SMALL)
    assert len(encoder.get_submodule("network.features")) == 14  # type: ignore[arg-type]
    assert encoder.width == 256
    assert encoder(random_batch(encoder.input)).pooled.shape == (2, 256)
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), again.parameters(), strict=True))
    kernel = encoder.get_parameter("network.features.11.weight")
    assert float(kernel.detach().std()) == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.05), "as torchvision draws VGG"


@pytest.mark.parametrize("model", ["vit_b_16", "googlenet", "maxvit_t"])
def test_a_network_that_is_no_chain_is_refused(model: str) -> None:
    with pytest.raises(SourceError, match=r"not a plain chain of layers.*use 'timm:NAME'"):
        build(architecture(model), SMALL)


@pytest.fixture
def fetched(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a squeezenet's weights on a host on this machine, named as torchvision names them."""
    torch.manual_seed(1)
    original = tmp_path / "original.pth"
    torch.save(models.squeezenet1_1(weights=None).state_dict(), original)
    data = original.read_bytes()
    path = f"/models/squeezenet1_1-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    host.files[path] = data
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    known = models.SqueezeNet1_1_Weights.DEFAULT
    stand_in = SimpleNamespace(url=f"{host.url}{path}", meta=known.meta)
    monkeypatch.setattr(TorchvisionSource, "_weights", stand_in)
    return path


def test_weights_are_fetched_once_and_checked(fetched: str, host: Host, tmp_path: Path) -> None:
    source = resolve("torchvision:squeezenet1_1")
    assert not source.availability().here
    encoder = source.load()
    assert source.availability().here
    asked = len(host.asked)
    assert torch.equal(next(source.load().parameters()), next(encoder.parameters()))
    assert len(host.asked) == asked

    head = source.classifier()
    assert head is not None
    whole = models.squeezenet1_1(weights=None).eval()
    file = Path(source.availability().how)
    whole.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        batch = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(head(encoder(batch)), whole(batch))

    file.write_bytes(file.read_bytes()[:-1] + b"\0\0")
    with pytest.raises(SourceError, match=r"damaged or was changed.*Delete it and fetch it again"):
        source.load()


def test_a_file_with_another_hash_is_not_kept(fetched: str, host: Host, tmp_path: Path) -> None:
    host.files[fetched] = b"something else"
    with pytest.raises(SourceError, match="could not be fetched: invalid hash value"):
        resolve("torchvision:squeezenet1_1").load()
    assert not list((tmp_path / "torch" / "hub" / "checkpoints").glob("*"))


def test_offline_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    stand_in = SimpleNamespace(url="http://127.0.0.1:9/resnet18-00000000.pth", meta={})
    monkeypatch.setattr(TorchvisionSource, "_weights", stand_in)
    with pytest.raises(OfflineError, match=r"'torchvision:resnet18' is not on this machine.*efficientnet-lite0"):
        resolve("torchvision:resnet18").load()


def test_the_card_is_made_from_torchvisions_own_record() -> None:
    card = resolve("torchvision:mobilenet_v3_small").card
    assert card.license == "BSD-3-Clause"
    assert card.source_accuracy == pytest.approx(0.67668)
    assert card.parameters == 2_542_856 - 1000 * 1025
    assert card.input == ImageInput(interpolation="bilinear")
    assert card.origin.startswith("https://")
    old, new = (resolve(f"torchvision:resnet50.IMAGENET1K_{v}").card for v in ("V1", "V2"))
    assert isinstance(old.input, ImageInput)
    assert isinstance(new.input, ImageInput)
    assert (old.input.resize, new.input.resize) == (256, 232)
