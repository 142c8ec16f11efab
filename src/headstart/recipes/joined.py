"""The runs that an ensemble joins: found whole, found to fit together, and the data that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from headstart.artifacts import layout
from headstart.artifacts.load import LoadedEnsemble, LoadedModel, load_model
from headstart.core.card import Frozen
from headstart.core.errors import ArtifactError, ConfigError, DataError
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset
from headstart.data.read import read_dataset
from headstart.evaluation.predictions import Predictions
from headstart.metrics.pooling import Pool
from headstart.recipes import folder
from headstart.recipes.prepare import Target, label_kind, prepare
from headstart.recipes.recipe import DataRecipe, Recipe
from headstart.recipes.run import Run

Weighting = Literal["equal", "validation"]


class MemberRecipe(Frozen):
    """run: the folder of a finished run. sha256: of its model's description, so of everything in its model."""

    run: str
    sha256: str


class EnsembleRecipe(Frozen):
    """`recipe.yaml` of an ensemble; `headstart ensemble recipe.yaml` makes it again. seed: of the intervals."""

    schema_version: Literal[1] = 1
    kind: Literal["ensemble"] = "ensemble"
    headstart: str
    members: tuple[MemberRecipe, ...] = Field(min_length=2)
    data: DataRecipe
    weights: Weighting = "equal"
    combine: Pool = "probabilities"
    seed: int = 0
    photos: bool = True

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def read(cls, path: Path) -> EnsembleRecipe:
        """Raises ArtifactError naming the file and the field that does not fit."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ArtifactError(f"recipe {path} cannot be read: {error}".splitlines()[0]) from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ArtifactError(f"{path} is no recipe of an ensemble: {field}: {first['msg']}.") from error


@dataclass(frozen=True)
class Joined:
    """A finished run that becomes a member. name: of its folder, or the whole path where two have the same."""

    run: Run
    name: str
    recipe: Recipe
    model: LoadedModel

    @property
    def place(self) -> str:
        """Its folder, as it is found from anywhere."""
        return str(self.run.path.absolute())

    @property
    def fingerprint(self) -> str:
        return str(self.run.metrics["data"]["fingerprint"])

    @property
    def sha256(self) -> str:
        """Of its model's description, so of everything in its model."""
        return layout.sha256((self.run.model / layout.DESCRIPTION).read_bytes())

    @property
    def described(self) -> str:
        return f"{self.run.metrics['method']} on {self.model.source.name}, alone"


def open_run(place: Path, sha256: str | None = None) -> Joined:
    """A finished run of one model. sha256: what its model's description must have."""
    if not folder.is_run(place) or not folder.is_complete(place):
        how = f"Go on with: headstart resume {place}" if folder.is_run(place) else "Give the folder of a finished run."
        raise ArtifactError(f"{place} is no finished run. {how}")
    run = Run(place)
    if run.metrics.get("method") == "ensemble":
        members = ", ".join(member["run"] for member in run.metrics["ensemble"]["members"])
        raise ConfigError(f"{place} is an ensemble already. Join the runs it was made of: {members}.")
    model = load_model(place)
    if isinstance(model, LoadedEnsemble):
        raise ConfigError(
            f"the model of {place} is an ensemble already, and ensembles hold single models. Leave it out."
        )
    found = Joined(run, place.name, Recipe.read(place / "recipe.yaml"), model)
    if sha256 is not None and found.sha256 != sha256:
        raise ArtifactError(
            f"the model of {place} is not the one that this ensemble was made of: it was fitted again. "
            "Join the runs as they are now instead of the recipe."
        )
    return found


def named(members: Sequence[Joined]) -> list[Joined]:
    """With the whole path as its name where two folders are called alike."""
    names = [member.name for member in members]
    return [member if names.count(member.name) == 1 else replace(member, name=member.place) for member in members]


def require_distinct(members: Sequence[Joined], place: Path) -> None:
    """Raise ConfigError for fewer than two runs, one that is given twice, or one that `place` would replace."""
    if len(members) < 2:
        raise ConfigError(f"an ensemble has two members or more, got {len(members)}. Give two or more finished runs.")
    paths = [member.run.path.resolve() for member in members]
    if len(set(paths)) < len(paths):
        twice = next(str(path) for path in paths if paths.count(path) > 1)
        raise ConfigError(f"{twice} is given twice. Give each run once.")
    if place.resolve() in paths:
        raise ConfigError(f"--out {place} is one of the members, which would be lost. Choose another folder.")


def shared_target(members: Sequence[Joined], data: DataRecipe | str | Path | Dataset, progress: Progress) -> Target:
    """The members' data, split as they split it. Raises where it is not the same for all, or is no longer that."""
    first = members[0]
    for other in members[1:]:
        if other.model.task != first.model.task and other.fingerprint == first.fingerprint:
            raise ConfigError(
                f"{first.name} and {other.name} predict different things: {first.model.task.to_json()} and "
                f"{other.model.task.to_json()}. Join runs of one task."
            )
        if other.fingerprint != first.fingerprint:
            raise ConfigError(
                f"{first.name} and {other.name} were fitted on different data: the fingerprints of "
                f"{first.recipe.data.path} and {other.recipe.data.path} differ. Join runs of the same data and split."
            )
    columns = first.recipe.data
    dataset = read_dataset(
        columns.path if isinstance(data, DataRecipe) else data,
        input=columns.input,
        label=columns.label,
        kind=label_kind(columns.task),
        group=columns.group,
        split=columns.split,
    )
    seeds = sorted({member.recipe.seed for member in members})
    if len(seeds) > 1 and not {"validation", "test"} <= dataset.splits:
        raise ConfigError(
            f"the runs have different seeds ({', '.join(map(str, seeds))}), and {dataset.name} does not say what "
            "validates and what tests: each run divided it in its own way, so what tests one has trained another. "
            "Fit them with one --seed, or give the data a split."
        )
    target = prepare(dataset, first.model.contract, seed=seeds[0], progress=progress)
    if target.fingerprint != first.fingerprint:
        raise DataError(
            f"{dataset.name} is not the data that the runs were fitted on, or has changed since: its fingerprint "
            "differs. Name the same data with --data, or fit the runs again."
        )
    ids = {item.id for item in target.parts["test"].dataset.items}
    for member in members:
        if set(Predictions.load(member.run.path / "predictions.jsonl", member.model.task).ids) != ids:
            raise DataError(
                f"{dataset.name} holds the content that {member.name} was fitted on, but its test items are other ones "
                "or have other names now. Put the names back, or fit the run again."
            )
    return target
