"""Tiny random networks of Hugging Face transformers, saved as their authors save theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

_WAVE = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16, 16, 16),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (8, 8, 5),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
    "initializer_range": 0.2,
}
_WHISPER = {
    "d_model": 24,
    "encoder_layers": 3,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "num_mel_bins": 16,
    "vocab_size": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "init_std": 0.2,
}
_SPECTROGRAM = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "num_mel_bins": 32,
    "max_length": 64,
    "initializer_range": 0.2,
}


def save_audio_network(folder: Path, model_type: str, **options: Any) -> Path:
    """Save a network and its feature extractor. options: of its configuration. Returns `folder`."""
    torch.manual_seed(0)
    extractor: Any
    if model_type == "whisper":
        options = {**_WHISPER, **options}
        extractor = transformers.WhisperFeatureExtractor(feature_size=16)
    elif model_type == "audio-spectrogram-transformer":
        options = {**_SPECTROGRAM, **options}
        extractor = transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64)
    else:
        options = {**_WAVE, **options}
        extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    config = transformers.AutoConfig.for_model(model_type, **options)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def save_translator(folder: Path, words: Sequence[str], seed: int = 0) -> Path:
    """Save a Marian model that answers any text with some of `words`, and its tokenizer. Returns `folder`.

    words: what it reads and writes, in small letters; others are unknown to it. seed: of its weights.
    """
    special = ("<pad>", "</s>", "<unk>")
    vocabulary = {word: i for i, word in enumerate((*special, *words))}
    text, end = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [text, end],
            "pair": [text, text, end],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
        },
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=32,
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    ends = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "forced_eos_token_id": 1}
    layers = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 128}
    config = transformers.MarianConfig(vocab_size=len(words) + len(special), init_std=1.0, **ends, **layers, **sizes)
    network = transformers.MarianMTModel(config)
    network.generation_config.update(num_beams=2, min_new_tokens=3)
    network.save_pretrained(folder)
    return folder
