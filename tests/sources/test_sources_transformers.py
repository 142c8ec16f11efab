"""transformers: features are the library's own, a saved folder is enough, the extra is asked for by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from huggingface_hub import constants

from headstart.core import extras
from headstart.core.card import ImageInput, TextInput
from headstart.core.errors import MissingExtra, OfflineError, SourceError
from headstart.sources import resolve
from headstart.sources.transformers import TransformersSource
from headstart.sources.transformers_image import input_of
from headstart.sources.transformers_text import MODEL_TYPES as TEXT_TYPES
from headstart.testing.sources import (
    check_blocks_in_order,
    check_blocks_partition,
    check_features,
    check_padding,
    check_rebuilds,
    random_batch,
    tiny_tokenizer,
)

PROCESSOR = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2}


def save_vit(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=96,
        image_size=32,
        patch_size=8,
        id2label={0: "cat", 1: "dog", 2: "owl"},
    )
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_features_are_those_of_the_classifier_it_came_from(tmp_path: Path) -> None:
    source = resolve(f"transformers:{save_vit(tmp_path)}")
    assert source.availability().here
    encoder = source.load()
    plain = transformers.ViTForImageClassification.from_pretrained(tmp_path).eval()
    batch = random_batch(encoder.input)
    with torch.no_grad():
        features = encoder(batch)
        expected = plain.vit(pixel_values=batch).last_hidden_state
    assert features.tokens is not None
    torch.testing.assert_close(features.tokens, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features.pooled, expected[:, 0], rtol=1e-5, atol=1e-5)
    assert not [name for name, _ in encoder.named_parameters() if "pooler" in name or "classifier" in name]
    assert [name.rpartition(".")[2] for name in encoder.stages()] == ["embeddings", "0", "1", "2"]


def test_a_convolutional_network_gives_its_map(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    model = transformers.ResNetModel(config).eval()
    model.save_pretrained(tmp_path)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875).save_pretrained(tmp_path)
    encoder = resolve(f"transformers:{tmp_path}").load()
    assert isinstance(encoder.input, ImageInput)
    assert (encoder.input.resize, encoder.input.crop) == (73, 64)
    with torch.no_grad():
        features = encoder(random_batch(encoder.input))
        expected = model(pixel_values=random_batch(encoder.input))
    torch.testing.assert_close(features.maps[0], expected.last_hidden_state)
    torch.testing.assert_close(features.pooled, expected.pooler_output.flatten(1))


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"size": {"height": 224, "width": 224}}, (224, 224)),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, (256, 224)),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384)),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
            (256, 224),
        ),
        ({"size": {"height": 256, "width": 256}, "do_center_crop": False, "crop_size": {"height": 224}}, (256, 256)),
    ],
)
def test_preprocessing_is_read_from_the_processor(processor: dict[str, object], expected: tuple[int, int]) -> None:
    found = input_of({**PROCESSOR, **processor})
    assert (found.resize, found.crop) == expected
    assert found.interpolation == "bilinear"
    assert found.mean == (0.5, 0.5, 0.5)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(SourceError, match="unknown transformers model type 't5'"):
        resolve(f"transformers:{tmp_path}").load()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    file = save_vit(tmp_path) / "model.safetensors"
    kept = {
        k: v for k, v in safetensors.torch.load_file(file).items() if ".layers.1." not in k and ".layer.1." not in k
    }
    safetensors.torch.save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(SourceError, match=r"do not fit its configuration; missing: .*1"):
        resolve(f"transformers:{tmp_path}").load()


def test_weights_as_a_pickle_are_refused(tmp_path: Path) -> None:
    file = save_vit(tmp_path) / "model.safetensors"
    torch.save(safetensors.torch.load_file(file), tmp_path / "pytorch_model.bin")
    file.unlink()
    with pytest.raises(SourceError, match=r"the folder has no model\.safetensors"):
        resolve(f"transformers:{tmp_path}").load()


def test_offline_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    source = resolve("transformers:google/vit-base-patch16-224")
    assert not source.availability().here
    with pytest.raises(OfflineError, match=r"cannot be reached\. On this machine: efficientnet-lite0"):
        source.load()


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras, "import_module", absent)
    with pytest.raises(MissingExtra, match=r"pip install 'headstart\[transformers\]'"):
        resolve(f"transformers:{tmp_path}").load()


def test_the_card_of_a_folder_claims_nothing(tmp_path: Path) -> None:
    card = TransformersSource(str(save_vit(tmp_path))).card
    assert (card.license, card.trained_on) == ("not stated", "not stated")
    assert card.input == ImageInput(
        resize=32, crop=32, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    assert card.architecture.options["hidden_size"] == 24


SIZES = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 220,
    "max_position_embeddings": 40,
}
STRUCTURE = (check_blocks_partition, check_blocks_in_order, check_features, check_rebuilds, check_padding)
OTHER_NAMES: dict[str, dict[str, object]] = {
    "albert": {"embedding_size": 16, "num_hidden_groups": 1},
    "distilbert": {"dim": 16, "hidden_dim": 32, "n_heads": 2, "n_layers": 2},
    "electra": {"embedding_size": 12},
    "gpt2": {"n_embd": 16, "n_head": 2, "n_layer": 2, "n_positions": 40},
    "llama": {"num_key_value_heads": 1},
    "mistral": {"num_key_value_heads": 1, "head_dim": 8},
    "modernbert": {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "qwen2": {"num_key_value_heads": 1},
    "qwen3": {"num_key_value_heads": 1, "head_dim": 8},
    "roberta": {"type_vocab_size": 1},
    "roformer": {"embedding_size": 16},
}


def text_folder(folder: Path, model_type: str) -> Path:
    """What save_pretrained writes of a text network, with a tokenizer beside it."""
    torch.manual_seed(0)
    sizes = {**SIZES, **OTHER_NAMES.get(model_type, {})}
    transformers.AutoModel.from_config(transformers.AutoConfig.for_model(model_type, **sizes)).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tiny_tokenizer())
    return folder


@pytest.mark.parametrize("model_type", TEXT_TYPES)
def test_every_kind_of_text_network_keeps_the_contract(model_type: str, tmp_path: Path) -> None:
    source = resolve(f"transformers:{text_folder(tmp_path, model_type)}")
    for check in STRUCTURE:
        check(source)
    encoder = source.load()
    assert encoder.stages()[0] == "embeddings"
    assert len(encoder.stages()) == (2 if model_type == "albert" else 3)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "gpt2"])
def test_text_features_are_the_librarys_own(model_type: str, tmp_path: Path) -> None:
    """One text at a time and without padding, as the library is used by hand; positions of RoBERTa included."""
    encoder = resolve(f"transformers:{text_folder(tmp_path, model_type)}").load()
    plain = transformers.AutoModel.from_pretrained(tmp_path).eval()
    batch = random_batch(encoder.input, 3)
    with torch.no_grad():
        features = encoder(batch)
        for i, row in enumerate(batch):
            real = row[:, row[1] >= 0]
            segments = {"token_type_ids": real[1:2]} if model_type == "bert" else {}
            expected = plain(input_ids=real[:1], **segments).last_hidden_state[0]
            assert features.tokens is not None
            torch.testing.assert_close(features.tokens[i, : len(expected)], expected, rtol=1e-4, atol=1e-5)
            pooled = expected[-1] if model_type == "gpt2" else expected.mean(0)
            torch.testing.assert_close(features.pooled[i], pooled, rtol=1e-4, atol=1e-5)


def test_what_sentence_transformers_saved_is_kept_to(tmp_path: Path) -> None:
    text_folder(tmp_path, "bert")
    card = TransformersSource(str(tmp_path)).card
    assert isinstance(card.input, TextInput)
    assert (card.modality, card.input.length, card.architecture.options["pooling"]) == ("text", 40, "mean")
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 24}')
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    source = TransformersSource(str(tmp_path))
    assert isinstance(source.card.input, TextInput)
    assert (source.card.input.length, source.card.architecture.options["pooling"]) == (24, "cls")
    encoder = source.load()
    batch = random_batch(encoder.input)
    features = encoder(batch)
    assert features.tokens is not None
    assert torch.equal(features.pooled, features.tokens[:, 0])


def test_a_network_whose_tokenizer_numbers_no_texts_is_told_none(tmp_path: Path) -> None:
    """multilingual-e5 is a BERT with the tokenizer of XLM-R: it has a vector for second texts that it never saw."""
    text_folder(tmp_path, "bert")
    tokenizer = tiny_tokenizer().replace(b'"type_id": 1', b'"type_id": 0')
    (tmp_path / "tokenizer.json").write_bytes(tokenizer)
    encoder = resolve(f"transformers:{tmp_path}").load()
    batch = random_batch(encoder.input)
    first = batch.clone()
    first[:, 1].clamp_(max=0)
    with torch.no_grad():
        assert torch.equal(encoder(batch).pooled, encoder(first).pooled)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (text_folder(tmp_path, "bert") / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match=r"the folder has no tokenizer\.json"):
        resolve(f"transformers:{tmp_path}").load()
