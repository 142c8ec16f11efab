"""timm: features are timm's own, stages follow the network, weights come from the hub's cache or the hub."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants

from headstart.core.card import Architecture, ImageInput
from headstart.core.errors import OfflineError
from headstart.sources import build, resolve
from headstart.sources.timm import TimmEncoder, describe, input_of, trained_on
from headstart.testing.host import Host
from headstart.testing.sources import random_batch

NAME = "test_resnet.r160_in1k"


def encoder_of(model: str, crop: int | None = None) -> TimmEncoder:
    architecture, input = describe(model)
    encoder = build(architecture, input if crop is None else input.model_copy(update={"crop": crop}))
    assert isinstance(encoder, TimmEncoder)
    return encoder


@pytest.mark.parametrize(
    ("model", "stages"),
    [
        ("tf_efficientnet_lite0", ["stem", *(f"blocks.{i}" for i in range(7)), "conv_head"]),
        ("resnet18", ["stem", "layer1", "layer2", "layer3", "layer4"]),
        ("vgg11_bn", ["stem", *(f"features.{i}" for i in (4, 8, 11, 15, 18, 22, 25)), "pre_logits"]),
        ("vit_tiny_patch16_224", ["stem", *(f"blocks.{i}" for i in range(12))]),
        ("convnext_atto", ["stem", *(f"stages.{i}" for i in range(4))]),
        ("mobilenetv3_small_050", ["stem", *(f"blocks.{i}" for i in range(6)), "conv_head"]),
        ("swin_tiny_patch4_window7_224", ["stem", *(f"layers.{i}" for i in range(4))]),
        ("densenet121", ["stem", *(f"features.denseblock{i}" for i in (1, 2, 3, 4))]),
    ],
)
def test_stages_run_from_input_to_output(model: str, stages: list[str]) -> None:
    with torch.device("meta"):
        encoder = encoder_of(model)
    assert list(encoder.stages()) == stages
    named = {name for block in encoder.blocks for name, _ in block.parameters}
    assert named == {name for name, _ in encoder.named_parameters()}
    assert all(block.parameters for block in encoder.blocks)


@pytest.mark.parametrize("model", ["test_efficientnet", "test_vit", "test_convnext", "test_nfnet", "test_maxvit"])
def test_features_are_those_of_timm(model: str) -> None:
    encoder = encoder_of(model)
    plain = timm.create_model(model, num_classes=0).eval()
    plain.load_state_dict(encoder.network.state_dict())
    batch = random_batch(encoder.input)
    with torch.no_grad():
        features, expected = encoder(batch), plain(batch)
        last = plain.forward_features(batch)
    torch.testing.assert_close(features.pooled, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features.tokens if last.ndim == 3 else features.maps[0], last, rtol=1e-5, atol=1e-5)


def test_a_network_that_works_channels_last_gives_its_map_channels_first() -> None:
    encoder = build(
        Architecture(
            library="timm",
            name="swin_tiny_patch4_window7_224",
            options={"img_size": 56, "embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1]},
        ),
        ImageInput(resize=56, crop=56),
    )
    features = encoder(random_batch(encoder.input))
    assert features.maps[0].shape[:2] == (2, 96)
    torch.testing.assert_close(features.maps[0].mean((2, 3)), features.pooled)


def test_the_width_counts_what_comes_after_pooling() -> None:
    encoder = encoder_of("mobilenetv3_small_050", crop=64)
    assert encoder(torch.zeros(1, 3, 64, 64)).pooled.shape == (1, encoder.width) == (1, 1024)


def test_preprocessing_is_that_of_the_weights() -> None:
    assert input_of(timm.get_pretrained_cfg("resnet18.a1_in1k").to_dict()) == ImageInput(resize=235, crop=224)
    assert input_of(timm.get_pretrained_cfg("vgg16.tv_in1k").to_dict()).interpolation == "bilinear"


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("fb_in22k_ft_in1k", "ImageNet-22k, then ImageNet-1k"),
        ("a1_in1k", "ImageNet-1k"),
        ("lvd142m", "LVD-142M, no labels"),
        ("untrained", "see the weights tag 'untrained'"),
        ("", "not stated"),
    ],
)
def test_a_tag_says_what_it_was_trained_on(tag: str, words: str) -> None:
    assert trained_on(tag) == words


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    state: dict[str, torch.Tensor] = timm.create_model("test_resnet").state_dict()
    return state


def test_weights_in_the_hubs_cache_need_no_network(hub_cache: Path) -> None:
    source = resolve(f"timm:{NAME}")
    assert not source.availability().here
    folder = hub_cache / f"models--timm--{NAME}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    safetensors.torch.save_file(weights(), folder / "snapshots" / "abc" / "model.safetensors")

    assert source.availability().here
    encoder = source.load()
    for name, tensor in encoder.get_submodule("network").state_dict().items():
        assert torch.equal(tensor, weights()[name]), name
    head = source.classifier()
    assert head is not None
    with torch.no_grad():
        scores = head(encoder(random_batch(encoder.input)))
        whole = timm.create_model("test_resnet").eval()
        whole.load_state_dict(weights())
        torch.testing.assert_close(scores, whole(random_batch(encoder.input)), rtol=1e-5, atol=1e-5)


def test_offline_is_said_at_once(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    source = resolve(f"timm:{NAME}")
    begin = time.monotonic()
    with pytest.raises(OfflineError) as error:
        source.load()
    assert time.monotonic() - begin < 5
    message = str(error.value)
    assert message.startswith(f"source 'timm:{NAME}' is not on this machine and http://127.0.0.1:9 cannot be reached.")
    assert "On this machine: efficientnet-lite0" in message
    assert "headstart sources install" in message
    assert "\n" not in message


def test_an_offline_setting_is_respected(hub_cache: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "ENDPOINT", host.url)
    with pytest.raises(OfflineError, match=r"HF_HUB_OFFLINE is set"):
        resolve(f"timm:{NAME}").load()
    assert host.asked == []


def test_weights_are_fetched_once_from_a_hub_that_answers(host: Host, tmp_path: Path) -> None:
    """The whole way through huggingface_hub and timm, against a hub on this machine."""
    host.files[f"/timm/{NAME}/resolve/main/model.safetensors"] = safetensors.torch.save(weights())
    code = (
        "from headstart.core.errors import UserError\n"
        "from headstart.sources import resolve\n"
        f"for _ in range(2): print(float(next(resolve('timm:{NAME}').load().parameters()).detach().double().sum()))\n"
        "try: resolve('timm:test_vit.r160_in1k').load()\n"
        "except UserError as error: print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": host.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    first, second, refused = done.stdout.splitlines()
    assert float(first) == pytest.approx(float(weights()["conv1.0.weight"].double().sum()))
    assert second == first
    assert len([path for path in host.asked if NAME in path]) == 2  # HEAD and GET, once
    assert refused.startswith("SourceError source 'timm:test_vit.r160_in1k': model.safetensors of timm/test_vit")
    assert "hf auth login" in refused
