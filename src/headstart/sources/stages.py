"""An ordered partition of a network into stages, read off its structure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

_SPINE = 0.9
"""The share of all parameters that is nearly all."""


@dataclass(frozen=True)
class Stage:
    """name: as shown to the user. parameters: qualified names of its parameters within the network."""

    name: str
    parameters: tuple[str, ...]


class Stages:
    """Which stage a parameter or module of a network belongs to, also after adapters have wrapped parts of it.

    stages: in the order in which the input passes them; every parameter of `network` is in exactly one.
    Modules without parameters (activations, dropout, pooling) go with the stage that was registered before them.
    """

    def __init__(self, network: nn.Module, stages: Sequence[Stage]) -> None:
        self.names = tuple(stage.name for stage in stages)
        self._index = {name: i for i, stage in enumerate(stages) for name in stage.parameters}
        current = 0
        for module_name, module in network.named_modules():
            prefix = f"{module_name}." if module_name else ""
            inside = {self._index[f"{prefix}{name}"] for name, _ in module.named_parameters()}
            if len(inside) <= 1 and module_name:
                current = inside.pop() if inside else current
                self._index[module_name] = current
        self._index[""] = len(self.names) - 1

    def of(self, name: str) -> int:
        """Index of the stage of a qualified name; an unknown name belongs where its closest known ancestor does."""
        while name not in self._index:
            name = name.rpartition(".")[0]
        return self._index[name]


def by_structure(network: nn.Module, spines: Container[str] = ()) -> list[Stage]:
    """The stages of a network whose children are registered in the order in which the input passes them.

    A list of modules is no stage, nor is a child that holds nearly all parameters: their children are.
    spines: names of children that are no stages either.
    """
    total = sum(p.numel() for p in network.parameters())
    return join_small(network, list(_split(network, "", total, spines)))


def _split(module: nn.Module, prefix: str, total: int, spines: Container[str]) -> Iterator[Stage]:
    own = tuple(f"{prefix}{name}" for name, _ in module.named_parameters(recurse=False))
    if own:
        yield Stage("", own)
    for name, child in module.named_children():
        parameters = tuple(f"{prefix}{name}.{n}" for n, _ in child.named_parameters())
        if not parameters:
            continue
        share = sum(p.numel() for p in child.parameters()) / total
        spine = share >= _SPINE or name in spines or isinstance(child, nn.ModuleList)
        if spine and any(True for _ in child.children()):
            yield from _split(child, f"{prefix}{name}.", total, spines)
        else:
            yield Stage(f"{prefix}{name}", parameters)


def join_small(network: nn.Module, stages: Sequence[Stage]) -> list[Stage]:
    """Stages that hold no weight matrix (a lone normalisation) or no module of their own (a class token) join the
    stage before them, or, at the input, the one after."""
    dims = {name: p.ndim for name, p in network.named_parameters()}
    joined: list[Stage] = []
    waiting: tuple[str, ...] = ()
    for stage in stages:
        if stage.name and any(dims[name] > 1 for name in stage.parameters):
            joined.append(replace(stage, parameters=waiting + stage.parameters))
            waiting = ()
        elif joined:
            joined[-1] = replace(joined[-1], parameters=joined[-1].parameters + stage.parameters)
        else:
            waiting += stage.parameters
    return joined or [Stage("all", waiting)]


def named(stages: Sequence[Stage]) -> list[Stage]:
    """All but the first, each named by the shortest path of its first parameter that no other stage shares."""
    result = list(stages[:1])
    for i, stage in enumerate(stages[1:], start=1):
        elsewhere = {
            prefix for j, other in enumerate(stages) if j != i for n in other.parameters for prefix in _prefixes(n)
        }
        result.append(replace(stage, name=next(p for p in _prefixes(stage.parameters[0]) if p not in elsewhere)))
    return result


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
