"""Networks among those of Hugging Face transformers that hear waves (wav2vec 2.0 and its kin) or spectrograms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from headstart.core.card import Architecture, AudioInput, Mel
from headstart.core.errors import ShapeError
from headstart.core.types import Features
from headstart.nn.encoder import Encoder
from headstart.nn.pooling import pool
from headstart.sources.stages import Stage, Stages, by_structure

AST, WHISPER = "audio-spectrogram-transformer", "whisper"
MODEL_TYPES = (AST, "data2vec-audio", "hubert", "wav2vec2", "wavlm", WHISPER)
SECONDS = 5.0
"""Of sound that are heard, where the network takes any length."""
SHORTEST = 3.0
"""Seconds that Whisper hears at the least. It was trained on clips that silence made half a minute long; a word that is
cut off where it ends says less to it (docs/audio.md has numbers)."""


class AudioTransformer(Encoder):
    """A transformers network that hears; of Whisper, the encoder. It masks nothing and skips no layer by chance.

    Pooled is the mean over positions, of Whisper over those in which there is a sound; of an audio spectrogram
    transformer, that of its two summary tokens.
    """

    def __init__(self, network: Any, architecture: Architecture, input: AudioInput) -> None:
        super().__init__()
        self.kind = architecture.name
        if self.kind == WHISPER:
            network = getattr(network, "encoder", network)
        else:
            network.config.apply_spec_augment = False
            network.config.layerdrop = 0.0
        self.network = network
        self.architecture = architecture
        self.input = input
        self.width = int(network.config.hidden_size)
        self._stages = Stages(network, stages(network))

    def forward(self, batch: Tensor) -> Features:
        """batch: (B, samples), or (B, bands, frames) with a mel in the contract -> pooled (B, D), tokens (B, T, D)."""
        if self.kind == WHISPER:
            tokens = _whisper(self.network, batch)
            return Features(pool(tokens, sounding(batch), "mean"), tokens=tokens)
        if self.kind == AST:
            output = self.network(input_values=self._filled(batch).transpose(1, 2))
            return Features(output.pooler_output, tokens=output.last_hidden_state)
        tokens = self.network(input_values=batch).last_hidden_state
        return Features(tokens.mean(1), tokens=tokens)

    def _filled(self, batch: Tensor) -> Tensor:
        """(B, bands, frames) -> (B, bands, max_length), the rest a level of zero, as in training."""
        mel = self.input.mel if isinstance(self.input, AudioInput) else None
        missing = self.network.config.max_length - batch.shape[2]
        return nn.functional.pad(batch, (0, missing), value=-mel.mean / mel.std if mel else 0.0)

    def stages(self) -> tuple[str, ...]:
        return self._stages.names

    def stage_of(self, name: str) -> int:
        return self._stages.of(name.removeprefix("network").removeprefix("."))


def _whisper(network: Any, batch: Tensor) -> Tensor:
    """(B, bands, frames) of at most 30 seconds -> (B, T, D). The library's own forward pass takes 30 seconds only."""
    x = nn.functional.gelu(network.conv1(batch))
    x = nn.functional.gelu(network.conv2(x)).transpose(1, 2)
    longest = len(network.embed_positions.weight)
    if x.shape[1] > longest:
        raise ShapeError(f"this Whisper hears at most {2 * longest} frames at a time, got {batch.shape[2]}: cut clips.")
    x = x + network.embed_positions.weight[: x.shape[1]]
    x = nn.functional.dropout(x, network.dropout, network.training)
    for layer in network.layers:
        x = layer(x, None)
    normalised: Tensor = network.layer_norm(x)
    return normalised


def sounding(batch: Tensor) -> Tensor:
    """(B, bands, frames) of Whisper's spectrogram -> (B, T) bool: positions in which there is a sound; all of them
    where there is none at all. Frames whose bands are all at the clip's lowest level hold none.
    """
    loud = batch.gt(batch.amin((1, 2), keepdim=True)).any(1)
    found = nn.functional.max_pool1d(loud.float()[:, None], 2, ceil_mode=True)[:, 0] > 0
    return found | ~found.any(1, keepdim=True)


def stages(network: nn.Module) -> list[Stage]:
    """What comes before the layers, part by part; every layer. A normalisation that ends them goes with the last."""
    found = by_structure(network)
    positions = [stage for stage in found if stage.name == "embed_positions"]
    if positions:  # Whisper's are added to what the second convolution gives
        found.remove(positions[0])
        found[1] = replace(found[1], parameters=found[1].parameters + positions[0].parameters)
    if getattr(network.config, "do_stable_layer_norm", False):  # registered before the layers, passed after them
        end = tuple(f"encoder.layer_norm.{name}" for name in ("weight", "bias"))
        found = [replace(stage, parameters=tuple(p for p in stage.parameters if p not in end)) for stage in found]
        found[-1] = replace(found[-1], parameters=found[-1].parameters + end)
    return found


def whisper_encoder(library: Any, config: Any) -> nn.Module:
    """Whisper's encoder with random weights, without the decoder."""
    encoder: nn.Module = library.models.whisper.modeling_whisper.WhisperEncoder(config)
    return encoder


def input_of(config: Any, processor: Mapping[str, Any]) -> AudioInput:
    """The contract of a feature extractor's configuration."""
    rate = int(processor["sampling_rate"])
    if config.model_type == WHISPER:
        mel = Mel(
            bands=processor["feature_size"], window=processor["n_fft"], hop=processor["hop_length"], log="whisper"
        )
        longest = 2 * config.max_source_positions * mel.hop / rate
        shortest = min(SHORTEST, longest)
        return AudioInput(rate=rate, seconds=min(SECONDS, longest), any_length=True, shortest=shortest, mel=mel)
    if config.model_type == AST:
        normal = processor.get("do_normalize", True)
        mel = Mel(
            bands=processor["num_mel_bins"],
            window=400,
            transform=512,
            hop=160,
            lowest=20,
            scale="htk",
            norm="none",
            edges="none",
            kaldi=True,
            floor=2.0**-23,
            mean=processor["mean"] if normal else 0,
            std=2 * processor["std"] if normal else 1,
        )
        return AudioInput(rate=rate, seconds=processor["max_length"] * mel.hop / rate, mel=mel)
    return AudioInput(
        rate=rate, seconds=SECONDS, any_length=True, level="unit" if processor["do_normalize"] else "none"
    )
