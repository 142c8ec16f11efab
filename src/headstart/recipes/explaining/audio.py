"""When and how high in a recording: integrated gradients of the spectrogram, or occlusion of stretches of the wave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from headstart.core.card import AudioInput, Mel
from headstart.data.dataset import Item
from headstart.data.sound import fitted
from headstart.evaluation.blocks import onto
from headstart.evaluation.explanation import Sound
from headstart.nn.attribution import integrated_gradients, occlusion
from headstart.nn.spectrogram import band_edges, log_mel
from headstart.recipes.explaining.base import INTEGRATED, OCCLUSION, Found, Onlooker, chosen

STRETCHES: Final = 32
"""Parts of the time that are silenced one after the other."""
FAINT: Final = 1e-3
"""Share of a recording that is left in its baseline: some networks leave out what is wholly silent."""


def explain_sound(item: Item, onlookers: Sequence[Onlooker], method: str) -> Found:
    """The mean over members, on the cells of the one that hears longest."""
    longest = max(onlookers, key=lambda onlooker: _contract(onlooker).seconds)
    hertz, seconds = _edges(longest)
    heard = len(longest.kept) / _contract(longest).rate
    total, methods, gaps = np.zeros((len(hertz) - 1, len(seconds) - 1)), [], []
    for onlooker in onlookers:
        map, used, gap = _map(onlooker, method)
        own_hertz, own_seconds = _edges(onlooker)
        own_seconds = np.linspace(0, own_seconds[-1], map.shape[1] + 1)
        if len(map) == 1:  # of a wave: all frequencies
            own_hertz = hertz[[0, -1]]
        start = max(0.0, (min(heard, seconds[-1]) - own_seconds[-1]) / 2)
        total += onlooker.weight * onto(map, (own_hertz, start + own_seconds), (hertz, seconds))
        methods.append(used)
        gaps += [] if gap is None else [gap]
    wave = torch.from_numpy(np.ascontiguousarray(fitted(longest.kept, _contract(longest)), np.float32))[None]
    levels = log_mel(wave, _shown(_contract(longest)))[0].numpy()
    return Found(Sound(total, hertz, seconds, levels), tuple(methods), tuple(gaps))


def _map(onlooker: Onlooker, method: str) -> tuple[np.ndarray, str, float | None]:
    """(bands, frames), or (1, stretches) of a wave; how it was found; its gap where it has one."""
    model, ready, output = onlooker.member.model, onlooker.ready, onlooker.output
    waves = _contract(onlooker).mel is None
    if chosen(method, *([OCCLUSION] if waves else [INTEGRATED, OCCLUSION])) == OCCLUSION:
        silent = torch.zeros_like(ready) if waves else _silence(onlooker)
        found = occlusion(model, ready, _silenced(ready, silent), output)
        return found.double().cpu().numpy()[None], OCCLUSION, None
    path = integrated_gradients(model, ready, _faint(ready, _silence(onlooker)), output)
    return path.values[0].double().cpu().numpy(), INTEGRATED, path.gap


def _silenced(ready: Tensor, silent: Tensor) -> Tensor:
    """(1, ..., time) -> (STRETCHES, ..., time), a stretch of each taken from what is silent."""
    cuts = np.linspace(0, ready.shape[-1], STRETCHES + 1).round().astype(int)
    found = ready.repeat(STRETCHES, *[1] * (ready.ndim - 1))
    for row, start, end in zip(found, cuts, cuts[1:], strict=False):
        row[..., start:end] = silent[0][..., start:end]
    return found


def _faint(ready: Tensor, silence: Tensor) -> Tensor:
    """Nearly silent. The loudest point stays: networks that measure every level against it would see no silence."""
    faint = silence + FAINT * (ready - silence)
    loudest = ready == ready.amax()
    return torch.where(loudest, ready, faint)


def _silence(onlooker: Onlooker) -> Tensor:
    """The spectrogram of silence."""
    contract = _contract(onlooker)
    return log_mel(torch.zeros(1, contract.samples), contract).to(onlooker.ready)


def _edges(onlooker: Onlooker) -> tuple[np.ndarray, np.ndarray]:
    """Hertz and seconds at which the cells of its spectrogram begin and end."""
    contract = _shown(_contract(onlooker))
    assert contract.mel is not None
    return band_edges(contract.mel, contract.rate), np.linspace(0, contract.seconds, contract.frames + 1)


def _shown(contract: AudioInput) -> AudioInput:
    """The contract's spectrogram, or a usual one of a wave."""
    if contract.mel is not None:
        return contract
    rate = contract.rate
    return contract.model_copy(update={"mel": Mel(bands=64, window=rate // 20, hop=max(1, rate // 100), floor=1e-8)})


def _contract(onlooker: Onlooker) -> AudioInput:
    contract = onlooker.member.contract
    assert isinstance(contract, AudioInput)
    return contract
