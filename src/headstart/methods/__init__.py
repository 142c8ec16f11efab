"""Methods: how knowledge moves from a source to a target. One file a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.core.method import Method
from headstart.core.registry import Registry

METHODS: Registry[type[Method]] = Registry(
    "method",
    {
        "bitfit": "headstart.methods.adapters.bitfit:BitFit",
        "elastic": "headstart.methods.finetune.elastic:Elastic",
        "full": "headstart.methods.finetune.full:Full",
        "gradual": "headstart.methods.finetune.gradual:Gradual",
        "head": "headstart.methods.finetune.head:Head",
        "l1": "headstart.methods.finetune.l1:L1",
        "l2-sp": "headstart.methods.finetune.l2_sp:L2SP",
        "llrd": "headstart.methods.finetune.llrd:LayerDecay",
        "lora": "headstart.methods.adapters.lora:LoRA",
        "lp-ft": "headstart.methods.finetune.lp_ft:LPFT",
        "partial": "headstart.methods.finetune.partial:Partial",
        "probe": "headstart.methods.finetune.probe:Probe",
        "scratch": "headstart.methods.finetune.scratch:Scratch",
        "soup": "headstart.methods.finetune.soup:Soup",
        "wise-ft": "headstart.methods.finetune.wise_ft:WiSEFT",
    },
    group="headstart.methods",
)


def make_method(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """The method of that name. options: its own fields, as in `make_method("partial", {"blocks": 2})`.

    Raises ConfigError for a name nobody registered, an option the method does not have, or a value that does not fit.
    """
    from headstart.core.options import METHOD_PREFIX, build

    return build(METHODS[name], {METHOD_PREFIX + key: value for key, value in (options or {}).items()})
