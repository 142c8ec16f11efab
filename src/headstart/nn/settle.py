"""Making a network with random weights fit to be used."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def settle_statistics(encoder: nn.Module, sample: Tensor) -> None:
    """Give the batch norms of a random network the statistics of a batch; else its features fade out or blow up.

    sample: a prepared batch (B, ...). The network is left in eval mode.
    """
    norms = [module for module in encoder.modules() if isinstance(module, _BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    encoder.train()
    with torch.no_grad():
        encoder(sample)
    encoder.eval()
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
