"""Where to compute, in which number format and memory layout."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Literal

import torch

from headstart.core.errors import ConfigError

Precision = Literal["float32", "bfloat16", "float16"]


def best_device() -> torch.device:
    """CUDA where there is one, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 arithmetic is done by the hardware (CUDA Ampere and later; AMX or AVX512-BF16 processors)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(bool(getattr(torch.cpu, name, bool)()) for name in probes)
    return False


def resolve_precision(wanted: str, device: torch.device) -> Precision:
    """ "auto" is bfloat16 where the hardware does it, else float32. float16 needs CUDA."""
    match wanted:
        case "auto":
            return "bfloat16" if has_fast_bfloat16(device) else "float32"
        case "float16" if device.type != "cuda":
            raise ConfigError(
                f"precision float16 needs a CUDA device, this machine computes on {device.type}. "
                "Use bfloat16 or float32."
            )
        case "float32" | "bfloat16" | "float16":
            return wanted
    raise ConfigError(f"unknown precision {wanted!r}. Known: auto, float32, bfloat16, float16.")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """The context in which a forward pass runs in that precision."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))
