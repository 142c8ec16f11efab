"""The contract suite, over every pack that is on this machine and a small stand-in of every other kind of source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
import torchvision
import transformers

from headstart.core import assets
from headstart.core.card import TableInput, TextInput
from headstart.core.source import Source
from headstart.data.dataset import Dataset, Item
from headstart.data.tokens import train_tokenizer
from headstart.recipes.pretrain import pretrain
from headstart.sources import PACKS, resolve
from headstart.sources.recurrent import RecurrentNetwork
from headstart.sources.spectrogram import heard
from headstart.sources.tables import TableNetwork
from headstart.testing.models import save_tiny_model
from headstart.testing.sources import CHECKS, Check, tiny_audio_source, tiny_source, tiny_table_source, tiny_text_source
from headstart.testing.transformers import save_audio_network


def tiny(folder: Path) -> Source:
    return tiny_source(3)


def timm_file(model: str) -> Callable[[Path], Source]:
    def make(folder: Path) -> Source:
        torch.manual_seed(0)
        file = folder / "weights.safetensors"
        safetensors.torch.save_file(timm.create_model(model).state_dict(), file)
        return resolve(f"{file}@timm:{model}")

    return make


def torchvision_file(folder: Path) -> Source:
    torch.manual_seed(0)
    file = folder / "weights.pth"
    wrapped = {f"module.{k}": v for k, v in torchvision.models.squeezenet1_1(weights=None).state_dict().items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, file)
    return resolve(f"{file}@torchvision:squeezenet1_1")


def vit_folder(folder: Path) -> Source:
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=4, num_attention_heads=2, intermediate_size=96, image_size=32, patch_size=8
    )
    return saved(folder, transformers.ViTForImageClassification(config), {"height": 32, "width": 32})


def convnext_folder(folder: Path) -> Source:
    config = transformers.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1])
    return saved(folder, transformers.ConvNextForImageClassification(config), {"shortest_edge": 64})


def dinov2_folder(folder: Path) -> Source:
    config = transformers.Dinov2Config(
        hidden_size=24, num_hidden_layers=4, num_attention_heads=2, image_size=32, patch_size=8
    )
    return saved(folder, transformers.Dinov2Model(config), {"height": 32, "width": 32})


def swin_folder(folder: Path) -> Source:
    config = transformers.SwinConfig(image_size=64, embed_dim=12, depths=[1, 1, 2], num_heads=[1, 2, 4], window_size=4)
    return saved(folder, transformers.SwinModel(config), {"height": 64, "width": 64})


def saved(folder: Path, model: transformers.PreTrainedModel, size: dict[str, int]) -> Source:
    model.save_pretrained(folder)
    transformers.ViTImageProcessor(size=size).save_pretrained(folder)
    return resolve(f"transformers:{folder}")


def audio_folder(model_type: str, **options: object) -> Callable[[Path], Source]:
    def make(folder: Path) -> Source:
        return resolve(f"transformers:{save_audio_network(folder, model_type, **options)}")

    return make


def table_network(name: str) -> Source:
    contract = tiny_table_source().card.input
    assert isinstance(contract, TableInput)
    return TableNetwork(name, contract)


def recurrent_network(folder: Path) -> Source:
    tokenizer = assets.keep(train_tokenizer(["good film, bad food", "a warm bright night", "中国人"], 300))
    return RecurrentNetwork("lstm", TextInput(tokenizer=tokenizer, length=32))


def pretrained_run(folder: Path) -> Source:
    run = pretrain(
        Dataset("texts", tuple(Item(str(i), f"good film {i}") for i in range(20)), "text", "none"),
        source=recurrent_network(folder),
        epochs=1,
        out=folder / "run",
        track=(),
    )
    return resolve(str(run.path))


def earlier_run(folder: Path) -> Source:
    save_tiny_model(folder / "run" / "model")
    return resolve(str(folder / "run"))


MAKERS: dict[str, Callable[[Path], Source]] = {
    "tiny": tiny,
    "tiny text": lambda folder: tiny_text_source(3),
    "timm resnet": timm_file("test_resnet"),
    "timm vit": timm_file("test_vit"),
    "timm convnext": timm_file("test_convnext"),
    "torchvision": torchvision_file,
    "transformers vit": vit_folder,
    "transformers convnext": convnext_folder,
    "transformers dinov2": dinov2_folder,
    "transformers swin": swin_folder,
    "transformers wav2vec2": audio_folder("wav2vec2"),
    "transformers wav2vec2 large": audio_folder("wav2vec2", do_stable_layer_norm=True, feat_extract_norm="layer"),
    "transformers hubert": audio_folder("hubert"),
    "transformers wavlm": audio_folder("wavlm"),
    "transformers whisper": audio_folder("whisper"),
    "transformers ast": audio_folder("audio-spectrogram-transformer"),
    "tiny table": lambda folder: tiny_table_source(3),
    "mlp": lambda folder: table_network("mlp"),
    "resnet": lambda folder: table_network("resnet"),
    "ft-transformer": lambda folder: table_network("ft-transformer"),
    "tiny audio": lambda folder: tiny_audio_source(3),
    "heard": lambda folder: heard(tiny_source(3), 1.0),
    "lstm": recurrent_network,
    "pretrained run": pretrained_run,
    "run": earlier_run,
}


@pytest.fixture(scope="module", params=[*PACKS, *MAKERS])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    if request.param in MAKERS:
        return MAKERS[request.param](tmp_path_factory.mktemp("source"))
    pack = PACKS[request.param]
    if not pack.availability().here:
        pytest.skip(f"{request.param} is not on this machine: {pack.availability().how}")
    return pack


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(source: Source, check: Check) -> None:
    check(source)
