"""Penalties on weights, as plain functions: towards zero, or towards the weights that training started from.

`start` maps names in the model to tensors, such as `{"encoder.stem.weight": ...}`. Parameters that do not train are
left out of every sum: their part is constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


def l2_sp(model: nn.Module, start: Mapping[str, Tensor], alpha: float, beta: float) -> Tensor:
    """alpha/2 ||w_S - w0_S||^2 + beta/2 ||w_N||^2 (Li et al. 2018, eq. 2): a scalar.

    S are the parameters named in `start`, N all others: the new head. `start` holds parameters only, so batch-norm
    statistics stay out of it.
    """
    total = _zero(model)
    for name, parameter in _training(model):
        if name in start:
            total = total + alpha / 2 * (parameter - start[name]).square().sum()
        else:
            total = total + beta / 2 * parameter.square().sum()
    return total


def elastic_net(model: nn.Module, l1: float, l2: float, start: Mapping[str, Tensor] | None = None) -> Tensor:
    """l1 ||d||_1 + l2/2 ||d||_2^2 (Zou and Hastie 2005), d the way from where a weight is drawn to: a scalar.

    A weight is drawn to its value in `start`, or to zero where it is not named there. Biases and vectors (the affine
    weights of norms) are never drawn to zero: that would not make the network simpler, only wrong.
    """
    total = _zero(model)
    for name, parameter in _training(model):
        if start is not None and name in start:
            distance = parameter - start[name]
        elif parameter.ndim > 1:
            distance = parameter
        else:
            continue
        if l1:
            total = total + l1 * distance.abs().sum()
        if l2:
            total = total + l2 / 2 * distance.square().sum()
    return total


def l1(model: nn.Module, strength: float, start: Mapping[str, Tensor] | None = None) -> Tensor:
    """strength ||d||_1, d as in `elastic_net`: few weights move at all (Tibshirani 1996)."""
    return elastic_net(model, strength, 0.0, start)


def _training(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)


def _zero(model: nn.Module) -> Tensor:
    return torch.zeros((), device=next(model.parameters()).device)
