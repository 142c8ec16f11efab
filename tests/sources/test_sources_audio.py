"""Sources that hear: packs give what their authors' own code gave, transformers what the library itself gives."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn

from headstart.core.card import AudioInput, Mel
from headstart.core.errors import ShapeError, SourceError
from headstart.data.sound import fitted
from headstart.nn.aisfx import AiSfx
from headstart.nn.resemblyzer import Resemblyzer
from headstart.nn.spectrogram import log_mel
from headstart.nn.windows import mean_of_sounding, windows
from headstart.sources import PACKS, build, resolve
from headstart.sources.packs import aisfx, resemblyzer, whisper
from headstart.sources.packs.pack import Pack
from headstart.sources.transformers_audio import sounding
from headstart.testing.sources import CHECKS, Check, random_batch
from headstart.testing.transformers import save_audio_network

STORED = json.loads((Path(__file__).parent / "data" / "audio_packs.json").read_text())
"""What the original networks, run by their own packages, said of `sound`: the first twelve of the pooled features."""

FETCHED = ["aisfx", "resemblyzer", "whisper-tiny.en"]


def sound(rate: int, seconds: float) -> np.ndarray:
    """A voice-like tone that swells three times a second, a rising tone, something like noise."""
    n = np.arange(round(rate * seconds))
    t = n / rate
    voice = 0.5 * np.sin(2 * np.pi * (150 + 50 * np.sin(2 * np.pi * 0.7 * t)) * t) * (1 + np.sin(2 * np.pi * 3 * t)) / 2
    rising = 0.2 * np.sin(2 * np.pi * (800 + 900 * t) * t)
    made: np.ndarray = (voice + rising + 0.02 * np.cos(0.7 * n**1.5)).astype(np.float32)
    return made


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in FETCHED:
        pack = PACKS[name]
        assert isinstance(pack, Pack)
        pack.install(lambda _: None)


@pytest.mark.network
@pytest.mark.parametrize("case", STORED)
def test_a_pack_hears_what_its_authors_code_heard(fetched: None, case: str) -> None:
    stored = STORED[case]
    encoder = PACKS[case.partition(" ")[0]].load()
    assert isinstance(encoder.input, AudioInput)
    contract = encoder.input.model_copy(update={"seconds": stored["seconds"]})
    wave = fitted(sound(contract.rate, stored["sounding"]), contract)
    with torch.no_grad():
        features = encoder(log_mel(torch.from_numpy(wave)[None], contract))
    # Whisper's own reference is the mean over all positions, also those of the silence behind the sound.
    found = (features.pooled if features.tokens is None else features.tokens.mean(1))[0, :12]
    torch.testing.assert_close(found, torch.tensor(stored["pooled"]), rtol=0, atol=stored["tolerance"])


@pytest.mark.network
@pytest.mark.parametrize("name", FETCHED)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_the_contract_of_what_was_fetched(fetched: None, name: str, check: Check) -> None:
    check(PACKS[name])


def test_windows_overlap_and_a_short_last_one_is_left_out() -> None:
    frames = torch.arange(1.0, 8).expand(1, 2, 7)
    assert windows(frames, 4, 2, 4)[0, :, 0].tolist() == [[1, 2, 3, 4], [3, 4, 5, 6]]
    assert windows(frames, 4, 2, 3)[0, :, 0].tolist() == [[1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 0]]
    assert windows(frames[..., :2], 4, 2, 4)[0, :, 0].tolist() == [[1, 2, 0, 0]]


def test_silent_stretches_do_not_count_unless_all_is_silent() -> None:
    parts = torch.zeros(2, 3, 1, 2)
    parts[0, 1] = 1
    vectors = torch.tensor([[[1.0], [5.0], [9.0]]] * 2)
    assert mean_of_sounding(vectors, parts).tolist() == [[5], [5]]
    parts[0, 2] = -1
    assert mean_of_sounding(vectors, parts).tolist() == [[7], [5]]


def test_resemblyzer_is_three_recurrent_layers_and_a_projection() -> None:
    torch.manual_seed(0)
    lstm, linear = nn.LSTM(40, 256, 3, batch_first=True), nn.Linear(256, 256)
    original = {**{f"lstm.{n}": t for n, t in lstm.state_dict().items()}}
    original |= {f"linear.{n}": t for n, t in linear.state_dict().items()}
    original |= {"similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    out = io.BytesIO()
    torch.save({"step": 3, "model_state": original, "optimizer_state": {}}, out)
    network = loaded(Resemblyzer(), resemblyzer.convert(out.getvalue()))
    mel = torch.rand(2, 40, 160)
    with torch.no_grad():
        _, (hidden, _) = lstm(mel.transpose(1, 2))
        expected = nn.functional.normalize(linear(hidden[-1]).relu(), dim=1)
        torch.testing.assert_close(network(mel).pooled, expected, rtol=0, atol=1e-5)


def test_aisfx_is_four_blocks_of_two_convolutions() -> None:
    torch.manual_seed(0)
    network = AiSfx(4).eval()
    original = {f"embedding_net.{n}": t for n, t in network.state_dict().items()}
    original = {n: torch.rand_like(t) if t.is_floating_point() else t for n, t in original.items()}
    original["fc.0.0.weight"] = torch.ones(3)
    out = io.BytesIO()
    torch.save((original, {"prosfx": (np.int64(0), 78)}), out)
    loaded(network, aisfx.convert(out.getvalue()))

    def block(x: Tensor, number: int) -> Tensor:
        start = f"embedding_net.conv_block{number}."
        for i in (1, 2):
            x = nn.functional.conv2d(x, original[f"{start}conv{i}.weight"], padding=1)
            parts = [original[f"{start}bn{i}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
            x = nn.functional.batch_norm(x, *parts).relu()
        return x

    mel = torch.rand(1, 24, 100)
    x = mel.transpose(1, 2)[:, None]
    for number in (1, 2, 3):
        x = nn.functional.max_pool2d(block(x, number), 2)
    expected = block(x, 4).mean(3).amax(2)
    with torch.no_grad():
        torch.testing.assert_close(network(mel).pooled, expected, rtol=1e-4, atol=1e-4)


def loaded(network: nn.Module, converted: dict[str, Tensor]) -> nn.Module:
    network.load_state_dict({name.removeprefix("encoder.network."): t for name, t in converted.items()})
    return network.eval()


def ctranslate2_file(tensors: dict[str, np.ndarray], version: int = 6) -> bytes:
    """A file as CTranslate2 writes it, in half precision."""

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    out = struct.pack("<I", version) + string("WhisperSpec") + struct.pack("<II", 3, len(tensors))
    for name, array in tensors.items():
        data = array.astype("<f2").tobytes()
        out += string(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        out += struct.pack("<BI", 4, len(data)) + data
    return out + struct.pack("<I", 0)


def test_whisper_is_read_from_a_file_of_ctranslate2() -> None:
    torch.manual_seed(0)
    encoder = whisper.WHISPER_TINY_EN
    config = transformers.WhisperConfig(**encoder.card.architecture.options)
    network = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).half().float()
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    original = {"encoder/position_encodings/encodings": state["embed_positions.weight"]}
    ends = {"weight": "weight", "bias": "bias"}
    norms = {"weight": "gamma", "bias": "beta"}
    original |= {f"encoder/{conv}/{end}": state[f"{conv}.{end}"] for conv in ("conv1", "conv2") for end in ends}
    original |= {f"encoder/layer_norm/{theirs}": state[f"layer_norm.{ours}"] for ours, theirs in norms.items()}
    parts = {"self_attn.out_proj": "self_attention/linear_1", "fc1": "ffn/linear_0", "fc2": "ffn/linear_1"}
    parts |= {"self_attn_layer_norm": "self_attention/layer_norm", "final_layer_norm": "ffn/layer_norm"}
    for i in range(4):
        layer = f"layers.{i}."
        for ours, theirs in parts.items():
            for end, last in (norms if "norm" in theirs else ends).items():
                original[f"encoder/layer_{i}/{theirs}/{last}"] = state[f"{layer}{ours}.{end}"]
        joined = [state[f"{layer}self_attn.{letter}_proj.weight"] for letter in "qkv"]
        original[f"encoder/layer_{i}/self_attention/linear_0/weight"] = np.concatenate(joined)
        query, value = (state[f"{layer}self_attn.{letter}_proj.bias"] for letter in "qv")
        original[f"encoder/layer_{i}/self_attention/linear_0/bias"] = np.concatenate([query, 0 * query, value])
    converted = whisper.convert(ctranslate2_file(original))
    assert converted.keys() == {f"encoder.network.{name}" for name in state}
    for name, tensor in converted.items():
        np.testing.assert_array_equal(tensor.numpy(), state[name.removeprefix("encoder.network.")])
    with pytest.raises(SourceError, match="of version 5; expected 6"):
        whisper.convert(ctranslate2_file({}, version=5))


@pytest.mark.parametrize("model_type", ["wav2vec2", "hubert", "wavlm"])
def test_a_network_of_waves_gives_the_librarys_own_tokens(tmp_path: Path, model_type: str) -> None:
    encoder = resolve(f"transformers:{save_audio_network(tmp_path, model_type)}").load()
    plain = transformers.AutoModel.from_pretrained(tmp_path).eval()
    assert encoder.input == AudioInput(rate=16_000, seconds=5.0, any_length=True, level="unit")
    batch = random_batch(encoder.input)
    with torch.no_grad():
        features, expected = encoder(batch), plain(input_values=batch).last_hidden_state
    assert features.tokens is not None
    torch.testing.assert_close(features.tokens, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features.pooled, expected.mean(1), rtol=1e-5, atol=1e-5)


def test_training_masks_nothing_by_chance(tmp_path: Path) -> None:
    folder = save_audio_network(
        tmp_path, "wav2vec2", mask_time_prob=0.5, layerdrop=0.9, hidden_dropout=0.0, attention_dropout=0.0,
        feat_proj_dropout=0.0, activation_dropout=0.0,
    )  # fmt: skip
    encoder = resolve(f"transformers:{folder}").load()
    batch = random_batch(encoder.input)
    with torch.no_grad():
        torch.testing.assert_close(encoder.train()(batch).pooled, encoder.eval()(batch).pooled)


def test_whisper_gives_the_librarys_own_tokens_and_takes_less_than_thirty_seconds(tmp_path: Path) -> None:
    folder = save_audio_network(tmp_path, "whisper", max_source_positions=100)
    encoder = resolve(f"transformers:{folder}").load()
    plain = transformers.AutoModel.from_pretrained(tmp_path).eval().encoder
    mel = Mel(bands=16, log="whisper")
    assert encoder.input == AudioInput(rate=16_000, seconds=2.0, any_length=True, shortest=2.0, mel=mel)
    batch = random_batch(encoder.input)
    assert batch.shape == (2, 16, 200)
    with torch.no_grad():
        features, expected = encoder(batch), plain(batch).last_hidden_state
        assert features.tokens is not None
        torch.testing.assert_close(features.tokens, expected, rtol=1e-5, atol=1e-5)
        assert encoder(batch[..., :60]).pooled.shape == (2, 24)


def test_whisper_pools_where_there_is_a_sound(tmp_path: Path) -> None:
    encoder = resolve(f"transformers:{save_audio_network(tmp_path, 'whisper', max_source_positions=100)}").load()
    contract = encoder.input
    assert isinstance(contract, AudioInput)
    wave = fitted(sound(16_000, 0.5), contract)
    silence = np.zeros_like(wave)
    batch = log_mel(torch.from_numpy(np.stack([wave, silence])), contract)
    heard = sounding(batch)
    assert heard.shape == (2, 100)
    assert heard[0].tolist() == [True] * 26 + [False] * 74  # the last window reaches half its length beyond the end
    assert heard[1].all()  # of a clip without any sound, silence is all there is
    with torch.no_grad():
        features = encoder(batch)
    assert features.tokens is not None
    torch.testing.assert_close(features.pooled[0], features.tokens[0, :26].mean(0))
    torch.testing.assert_close(features.pooled[1], features.tokens[1].mean(0))


def test_a_clip_longer_than_whisper_hears_is_refused() -> None:
    card = whisper.WHISPER_TINY_EN.card
    with torch.device("meta"):
        encoder = build(card.architecture, card.input)
        with pytest.raises(ShapeError, match="at most 3000 frames at a time, got 3100"):
            encoder(torch.zeros(1, 80, 3100))


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")  # as its authors have it
def test_an_audio_spectrogram_transformer_hears_what_its_own_processor_makes(tmp_path: Path) -> None:
    encoder = resolve(f"transformers:{save_audio_network(tmp_path, 'audio-spectrogram-transformer')}").load()
    assert isinstance(encoder.input, AudioInput)
    plain = transformers.AutoModel.from_pretrained(tmp_path).eval()
    processor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    wave = sound(16_000, encoder.input.seconds)
    expected_input = processor(wave, sampling_rate=16_000, return_tensors="pt")["input_values"].float()
    with torch.no_grad():
        found = encoder(log_mel(torch.from_numpy(wave)[None], encoder.input))
        expected = plain(input_values=expected_input)
    torch.testing.assert_close(found.pooled, expected.pooler_output, rtol=0, atol=2e-3)
