"""The network of aiSFX (Ma and Lerch 2022): four blocks of convolutions on two seconds of spectrogram at a time."""

from __future__ import annotations

from torch import Tensor, nn

from headstart.core.types import Features
from headstart.nn.windows import mean_of_sounding, windows

SIZE, STEP = 100, 50
"""Frames that the network was trained on, and from one stretch to the next."""


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return out


class AiSfx(nn.Module):
    """(B, bands, frames) -> pooled (B, 8 channels), the mean over stretches; tokens (B, P, 8 channels), one each.

    channels: of the first block; each following one has twice as many. Silence is zero in its spectrogram.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.width = 8 * channels
        sizes = [1, *(channels * 2**i for i in range(4))]
        for i in range(4):
            self.add_module(f"conv_block{i + 1}", _Block(sizes[i], sizes[i + 1]))

    def forward(self, batch: Tensor) -> Features:
        parts = windows(batch, SIZE, STEP, least=SIZE)
        x = parts.flatten(0, 1).transpose(1, 2)[:, None]  # (B P, 1, frames, bands)
        *pooling, last = self.children()
        for block in pooling:
            x = nn.functional.max_pool2d(block(x), 2)
        tokens = last(x).mean(3).amax(2).unflatten(0, parts.shape[:2])
        return Features(mean_of_sounding(tokens, parts), tokens=tokens)
