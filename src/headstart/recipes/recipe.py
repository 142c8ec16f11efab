"""The recipe of a run: everything that decides its numbers, in one readable file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from headstart.core.card import Frozen
from headstart.core.config import TrainConfig
from headstart.core.errors import ArtifactError

VerdictLevel = Literal["none", "quick", "full"]


class DataRecipe(Frozen):
    """Where the target is and how it is read. fingerprint: of content and labels; None until it was read."""

    path: str
    input: str | None = None
    label: str | None = None
    group: str | None = None
    split: str | None = None
    slice: str | None = None
    task: str | None = None
    fingerprint: str | None = None


class Recipe(Frozen):
    """Running it again on the same machine gives the same run.

    method_options: of the method, without "method.". train: the complete TrainConfig.
    pretrain_fingerprint: of the items that were learned from without labels, if any were.
    budget: seconds that `method: auto` may take; None tries the same few moves always. further_sources: what it may use
        beside `source`. plan: the moves that it made; where they are given, they are made again and no clock is read.
    random_network: whether that baseline is measured; a budget may leave no room for it.
    explain: how many test items are explained in the report.
    scratch_epochs: how long the from-scratch baseline trains under `verdict: full`; settled by its time budget in the
        first run.
    """

    schema_version: Literal[1] = 1
    headstart: str
    data: DataRecipe
    source: str
    source_sha256: str | None = None
    method: str
    method_options: dict[str, Any] = Field(default_factory=dict)
    train: TrainConfig = TrainConfig()
    pretrain_fingerprint: str | None = None
    budget: float | None = None
    further_sources: tuple[str, ...] = ()
    plan: tuple[dict[str, Any], ...] | None = None
    seed: int = 0
    verdict: VerdictLevel = "quick"
    random_network: bool = True
    scratch_epochs: int | None = None
    track: tuple[str, ...] = ("tensorboard",)
    photos: bool = True
    explain: int = Field(0, ge=0)

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Raises ArtifactError naming the file and the field that does not fit."""
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            if isinstance(found, dict) and found.get("kind") == "ensemble":
                raise ArtifactError(
                    f"recipe {path} is that of an ensemble. "
                    f"Make it with: headstart ensemble {path} --out {path.parent} --overwrite"
                )
            if isinstance(found, dict) and found.get("kind") == "pretrain":
                raise ArtifactError(
                    f"recipe {path} is that of pretraining. Do it again with: headstart pretrain {path}; fit what came "
                    f"of it with: headstart fit DATA --source {path.parent}"
                )
            return cls.model_validate(found)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ArtifactError(f"recipe {path} cannot be read: {error}".splitlines()[0]) from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ArtifactError(
                f"recipe {path} does not fit: {field}: {first['msg']}. Correct it or fit again."
            ) from error
