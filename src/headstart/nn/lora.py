"""Low-rank adapters (Hu et al. 2022) on the encoder's linear layers and convolutions, by peft; merged when trained."""

from __future__ import annotations

import re

import torch
from torch import nn

from headstart.core.errors import ConfigError
from headstart.core.extras import require
from headstart.nn.encoder import Encoder


def adaptable(encoder: Encoder, blocks: int | None = None) -> list[str]:
    """Names of the layers that can carry an adapter, in the last `blocks` blocks with parameters (None: all).

    Those are linear layers, and convolutions that are not grouped, dilated or padded otherwise than with zeros: peft
    cannot merge grouped (depthwise) ones, and its down-projection copies neither dilation nor padding mode.
    """
    weighted = [i for i, block in enumerate(encoder.blocks) if block.parameters]
    chosen = set(weighted if blocks is None else weighted[max(0, len(weighted) - blocks) :])
    return [name for name, module in encoder.named_modules() if _fits(module) and encoder.stage_of(name) in chosen]


def inject(encoder: Encoder, rank: int, alpha: float, dropout: float, blocks: int | None, seed: int) -> list[str]:
    """Put adapters of `rank` on every adaptable layer, in place; the names of those layers.

    The network's outputs do not change: each adapter adds alpha/rank * up(down(x)) with `up` zero and `down` drawn
    from `seed`. Trainable are the parameters whose name contains "lora_". Raises ConfigError if no layer fits.
    """
    peft = require("peft", "train", "LoRA")
    names = adaptable(encoder, blocks)
    if not names:
        raise ConfigError(
            "LoRA found no layer to adapt: it needs linear layers or ungrouped convolutions. "
            "Choose more blocks, or another method such as 'bitfit' or 'partial'."
        )
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules="|".join(re.escape(name) for name in names),  # a string is matched in full
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(config, encoder)
    return names


def merge(encoder: Encoder) -> None:
    """Add each adapter to the weight it adapts and take peft's modules out, in place: names are the source's again."""
    layers = require("peft.tuners.tuners_utils", "train", "LoRA")
    wrapped = [(name, m) for name, m in encoder.named_modules() if isinstance(m, layers.BaseTunerLayer)]
    for name, module in wrapped:
        module.merge(safe_merge=True)
        parent, _, attribute = name.rpartition(".")
        setattr(encoder.get_submodule(parent), attribute, module.get_base_layer())
    if "peft_config" in encoder.__dict__:
        del encoder.peft_config


def _fits(module: nn.Module) -> bool:
    if isinstance(module, nn.Linear):
        return True
    return (
        isinstance(module, nn.Conv1d | nn.Conv2d)
        and module.groups == 1
        and all(d == 1 for d in module.dilation)
        and module.padding_mode == "zeros"
    )
