"""Names that resolve to objects on first use, so that listing them imports nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from headstart.core.errors import ConfigError, unknown_name

T = TypeVar("T")


class Registry(Generic[T], Mapping[str, T]):
    """A read-only mapping from a name to an object named as `"package.module:attribute"`.

    kind: what the names stand for, used in messages ("method", "task", ...).
    builtin: name -> "module:attribute".
    group: entry-point group by which other distributions add names, e.g. "headstart.methods".
    hint: appended to the message for an unknown name.

    Raises ConfigError for a name nobody registered, naming the closest ones.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str], group: str, hint: str = "") -> None:
        self.kind = kind
        self._builtin = dict(builtin)
        self._group = group
        self._hint = hint

    @cached_property
    def _targets(self) -> dict[str, str]:
        third_party = {e.name: e.value for e in entry_points(group=self._group)}
        return {**third_party, **self._builtin}

    def __getitem__(self, name: str) -> T:
        try:
            target = self._targets[name]
        except KeyError:
            raise ConfigError(unknown_name(self.kind, name, self._targets, self._hint)) from None
        module, _, attribute = target.partition(":")
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        return cast(T, found)

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets))

    def __len__(self) -> int:
        return len(self._targets)
