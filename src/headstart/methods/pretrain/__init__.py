"""Learning from items without labels, before any method. One objective a file."""

from headstart.core.registry import Registry
from headstart.methods.pretrain.pretext import Pretext

PRETEXTS: Registry[type[Pretext]] = Registry(
    "objective",
    {
        "masked-features": "headstart.methods.pretrain.masked_features:MaskedFeatures",
        "masked-tokens": "headstart.methods.pretrain.masked_tokens:MaskedTokens",
        "next-token": "headstart.methods.pretrain.next_token:NextToken",
    },
    group="headstart.objectives",
)
