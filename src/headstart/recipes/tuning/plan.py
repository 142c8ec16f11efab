"""The plan of a study: everything that decides its trials, in one readable file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from headstart.core.card import Frozen
from headstart.core.errors import ArtifactError, ConfigError
from headstart.recipes import folder
from headstart.recipes.recipe import DataRecipe
from headstart.recipes.tuning.space import differences

FILE = "study.yaml"


class Plan(Frozen):
    """fixed: options of every trial. space: what is searched, as text. first: the values that it begins with.

    metric: what trials are compared by, on validation items.
    """

    schema_version: Literal[1] = 1
    headstart: str
    data: DataRecipe
    source: str
    source_sha256: str | None = None
    method: str
    fixed: dict[str, Any] = Field(default_factory=dict)
    space: dict[str, str]
    first: dict[str, Any]
    metric: str
    seed: int

    def write(self, place: Path) -> None:
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        folder.write_text(place / FILE, text)

    @classmethod
    def read(cls, place: Path) -> Plan:
        """Raises ArtifactError where it cannot be read."""
        try:
            return cls.model_validate(yaml.safe_load((place / FILE).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            words = str(error).splitlines()[0]
            raise ArtifactError(f"{place / FILE} cannot be read: {words}. Choose another --out.") from error

    def require_same(self, begun: Plan, place: Path) -> None:
        """Raises ConfigError naming the differences where the study that was begun at `place` is not this one."""
        found = differences(begun.space, self.space)
        for name, there, here in (
            ("the data", _short(begun.data.fingerprint), _short(self.data.fingerprint)),
            ("the source", begun.source, self.source),
            ("the source's sha256", _short(begun.source_sha256), _short(self.source_sha256)),
            ("the method", begun.method, self.method),
            ("--set", _options(begun.fixed), _options(self.fixed)),
            ("the metric", begun.metric, self.metric),
            ("the seed", str(begun.seed), str(self.seed)),
        ):
            if there != here:
                found.append(f"{name} is {there} there, {here} here")
        if found:
            raise ConfigError(
                f"--out {place} holds another study, which cannot be gone on with: {'; '.join(found)}. "
                "Give the same command as before, or choose another --out."
            )


def require_place(place: Path) -> None:
    """Raises ConfigError where `place` holds something that is no study."""
    if place.exists() and not place.is_dir():
        raise ConfigError(f"--out {place} is a file. Give a folder that does not exist yet, or that of a study.")
    if place.is_dir() and not (place / FILE).is_file() and any(not p.name.startswith(".") for p in place.iterdir()):
        raise ConfigError(
            f"--out {place} is a folder with other things in it. Give one that does not exist yet, or that of a study."
        )


def _short(digest: str | None) -> str:
    return (digest or "unknown")[:12]


def _options(options: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items()) or "not given"
