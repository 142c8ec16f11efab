"""What trains in a phase: freezing, module modes and the optimiser's parameter groups, all over `encoder.blocks`."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.core.method import Phase
from headstart.nn.encoder import Block
from headstart.nn.model import Model

PREFIX = "encoder."


def weighted_blocks(model: Model) -> tuple[Block, ...]:
    """The encoder's blocks that hold parameters, input to output: what `Phase.blocks` counts."""
    return tuple(block for block in model.encoder.blocks if block.parameters)


def select(model: Model, phase: Phase) -> dict[str, nn.Parameter]:
    """Name in the model -> parameter, of everything that trains in `phase`, in the model's order.

    `phase.parameters` decides on every parameter, head included, where it is given. Else the head trains, and the
    last `phase.blocks` blocks that hold parameters (None: all; a number beyond the blocks there are: all).
    """
    if phase.parameters is not None:
        return {name: p for name, p in model.named_parameters() if phase.parameters(name, p)}
    blocks = weighted_blocks(model)
    count = len(blocks) if phase.blocks is None else min(phase.blocks, len(blocks))
    names = {PREFIX + name for block in blocks[len(blocks) - count :] for name, _ in block.parameters}
    return {name: p for name, p in model.named_parameters() if name in names or not name.startswith(PREFIX)}


def frozen_stages(model: Model, phase: Phase) -> int:
    """How many of the encoder's stages, from the input on, hold nothing that trains in `phase`."""
    trained = [name.removeprefix(PREFIX) for name in select(model, phase) if name.startswith(PREFIX)]
    return min((model.encoder.stage_of(name) for name in trained), default=len(model.encoder.stages()))


def apply(model: Model, phase: Phase) -> None:
    """Set `requires_grad` and the modes of every module for `phase`.

    Blocks in which nothing trains are in eval mode: no dropout, frozen batch-norm statistics. A block that holds no
    parameters is in training mode if any block below it trains. `phase.batchnorm == "freeze"` puts batch-norm in eval
    mode wherever it is; its affine weights still train.
    """
    chosen = select(model, phase)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    encoder = model.encoder
    trained = {encoder.stage_of(name.removeprefix(PREFIX)) for name in chosen if name.startswith(PREFIX)}
    trained |= {i for i, block in enumerate(encoder.blocks) if not block.parameters and any(j < i for j in trained)}
    awake: set[str] = set()
    for name, module in encoder.named_modules():
        # A container is awake if anything in it is; some (attention, fused norms) act on `training` themselves.
        if name and _acts_alone(module) and encoder.stage_of(name) in trained:
            parts = name.split(".")
            awake.update(".".join(parts[:i]) for i in range(len(parts) + 1))
    model.train()
    for name, module in encoder.named_modules():
        held = phase.batchnorm == "freeze" and isinstance(module, _BatchNorm)
        module.training = name in awake and not held


def parameter_groups(
    model: Model,
    phase: Phase,
    learning_rate: float,
    head_learning_rate: float | None = None,
    weight_decay: float = 0.0,
    head_weight_decay: float | None = None,
    layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Groups for a torch optimiser: "name", "params", "lr" and "weight_decay" each; input to output, the head last.

    The top block gets `learning_rate`, each block below it the one above times `layer_decay`. The head's rate and
    decay are `head_*`, or the encoder's where None. Biases and vectors (the affine weights of norms) do not decay;
    they form groups of their own, named "<block>/no-decay".
    """
    chosen = select(model, phase)
    blocks = weighted_blocks(model)
    head = [(name, p) for name, p in chosen.items() if not name.startswith(PREFIX)]
    parts: list[tuple[str, list[tuple[str, nn.Parameter]], float, float]] = []
    for depth, block in enumerate(blocks):
        mine = [(name, p) for name, p in block.parameters if PREFIX + name in chosen]
        parts.append((block.name, mine, learning_rate * layer_decay ** (len(blocks) - 1 - depth), weight_decay))
    parts.append(
        (
            "head",
            head,
            learning_rate if head_learning_rate is None else head_learning_rate,
            weight_decay if head_weight_decay is None else head_weight_decay,
        )
    )
    groups: list[dict[str, Any]] = []
    for name, members, rate, decay in parts:
        decayed = [p for n, p in members if _decays(n, p)]
        spared = [p for n, p in members if not _decays(n, p)]
        if decayed:
            groups.append({"name": name, "params": decayed, "lr": rate, "weight_decay": decay})
        if spared:
            groups.append({"name": f"{name}/no-decay", "params": spared, "lr": rate, "weight_decay": 0.0})
    return groups


def _acts_alone(module: nn.Module) -> bool:
    """Whether a module does something itself rather than only holding others."""
    return not any(True for _ in module.children()) or any(True for _ in module.parameters(recurse=False))


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and not name.endswith("bias")
