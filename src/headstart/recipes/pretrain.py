"""Pretrain: let a network learn from items without labels; what comes of it is a source.

headstart pretrain texts.txt --source lstm --out runs/language
headstart fit reviews.csv --source runs/language
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import ValidationError

from headstart import __version__
from headstart.artifacts.save import save_pretrained
from headstart.core.card import Frozen
from headstart.core.config import PretrainConfig, TrainConfig
from headstart.core.errors import ArtifactError, ConfigError, UserError
from headstart.core.options import METHOD_PREFIX, train_config
from headstart.core.progress import Progress, Silent
from headstart.core.source import Source
from headstart.data.dataset import Dataset
from headstart.data.read import read_dataset
from headstart.evaluation.report.pretrained import write_pretrained
from headstart.nn.encoder import Encoder
from headstart.recipes import folder
from headstart.recipes.choose import suited, training_items
from headstart.recipes.cost import Stopwatch, peak_memory_mb
from headstart.recipes.paths import absolute, fresh_folder
from headstart.recipes.pretraining import Pretrained, Raw, gather, objective_of, pretrain_on
from headstart.recipes.publish import PROBES, SCHEMA, environment
from headstart.recipes.recipe import DataRecipe
from headstart.sources.words import by_text
from headstart.tracking.recorder import Recorder

EPOCHS_FIRST: Final = 10
EPOCHS_ONWARD: Final = 3
"""Where the user does not say: of random weights, and of a network that has learned before."""


class PretrainRecipe(Frozen):
    """`recipe.yaml` of pretraining; `headstart pretrain recipe.yaml` does it again. train: of it the group `pretrain`,
    and how it is computed."""

    schema_version: Literal[1] = 1
    kind: Literal["pretrain"] = "pretrain"
    headstart: str
    data: DataRecipe
    source: str
    source_sha256: str | None = None
    train: TrainConfig
    seed: int = 0
    track: tuple[str, ...] = ("tensorboard",)

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def read(cls, path: Path) -> PretrainRecipe:
        """Raises ArtifactError naming the file and the field that does not fit."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ArtifactError(f"recipe {path} cannot be read: {error}".splitlines()[0]) from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ArtifactError(f"{path} is no recipe of pretraining: {field}: {first['msg']}.") from error


@dataclass(frozen=True)
class PretrainedRun:
    """A finished run of `headstart pretrain`: a source, by its path."""

    path: Path

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """`metrics.json`. Raises ArtifactError where the run was not finished."""
        if not folder.is_complete(self.path):
            raise ArtifactError(f"{self.path} holds no finished run. Go on with `headstart resume {self.path}`.")
        found: dict[str, Any] = json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))
        return found

    def summary(self) -> str:
        """What a person wants to know first, a few lines."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        told = self.metrics["pretraining"]
        n, plural = told["n"], self.metrics["plural"]
        yield f"{told['objective']} on {self.metrics['source']}: {n['train']:,} {plural}, {n['held_out']:,} held out"
        measure = "perplexity" if "perplexity" in told["after"] else "loss"
        for when in ("before", "after"):
            found = told[when][measure]
            yield f"held-out {measure} {when:<6}  {found['value']:.4g}  ({found['low']:.4g} to {found['high']:.4g})"
        yield f"report: {self.report}"
        yield f"use it: headstart fit DATA --source {self.path}"


def pretrain(
    data: str | Path | Dataset,
    *,
    source: str | Source = "auto",
    objective: Literal["auto", "masked-tokens", "next-token", "masked-features"] = "auto",
    epochs: int | None = None,
    out: str | Path | None = None,
    input: str | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    track: tuple[str, ...] = ("tensorboard",),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PretrainedRun:
    """Let a network learn from `data` without looking at a label.

    data: as of `fit`, and also what has no labels: a .txt file with a text a line, a table without a column for them;
        or the `recipe.yaml` of an earlier run. Items that it declares to validate or to test are left out, and, where
        it has labels and declares no such, those that `fit` would validate and test on with the same seed.
    source: a name, or a Source: "lstm", "mlp", "resnet" and "ft-transformer" begin with random weights.
    objective: "masked-tokens", "next-token", "masked-features"; "auto" is what suits the network.
    epochs: None is 3 passes, and 10 of random weights. label: a column of a table that is no input.
    options: `pretrain.learning_rate`, `pretrain.batch_size`, `pretrain.data`, `precision`, `checkpoint_seconds`.

    Raises UserError before anything is written where the input is at fault.
    """
    progress, watch = progress or Silent(), Stopwatch()
    if isinstance(data, str | Path) and Path(data).suffix in (".yaml", ".yml"):
        recipe = PretrainRecipe.read(Path(data))
        dataset = _read(recipe.data)
        chosen = by_text(suited(recipe.source, dataset, recipe.seed))
    else:
        about = DataRecipe(
            path=data.name if isinstance(data, Dataset) else absolute(data),
            input=input,
            label=label,
            group=group,
            split=split,
        )
        dataset = data if isinstance(data, Dataset) else _read(about)
        chosen = by_text(suited(source, dataset, seed))
        recipe = PretrainRecipe(
            headstart=__version__,
            data=about,
            source=source if isinstance(source, str) and source != "auto" else chosen.card.name,
            source_sha256=chosen.card.sha256,
            train=_config(options or {}, objective, epochs, first=not chosen.card.pretrained),
            seed=seed,
            track=track,
        )
    place = Path(out) if out is not None else fresh_folder(dataset.name)
    folder.require_free(place, overwrite)
    encoder, raw = _open(recipe, dataset, chosen, progress, watch)
    recipe = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"fingerprint": raw.fingerprint})},
    )
    with folder.only_writer(place):
        folder.clear(place)
        folder.write_text(place / "recipe.yaml", recipe.to_yaml())
        try:
            return _run(recipe, chosen, encoder, raw, place, progress, watch, resumed=False)
        except UserError:
            if not (place / "checkpoints").exists():  # nothing was learned yet: leave nothing behind
                folder.clear(place)
            raise


def resume(place: Path, *, progress: Progress | None = None) -> PretrainedRun:
    """Go on with pretraining that was killed; its numbers are those of the unbroken run.

    Raises ArtifactError where the data or the source have changed since.
    """
    progress, watch = progress or Silent(), Stopwatch()
    if folder.is_complete(place):
        progress.say(f"{place} is finished already; nothing to do.")
        return PretrainedRun(place)
    recipe = PretrainRecipe.read(place / "recipe.yaml")
    dataset = _read(recipe.data)
    chosen = by_text(suited(recipe.source, dataset, recipe.seed))
    encoder, raw = _open(recipe, dataset, chosen, progress, watch)
    if raw.fingerprint != recipe.data.fingerprint or chosen.card.sha256 != recipe.source_sha256:
        what = f"the data at {recipe.data.path}" if raw.fingerprint != recipe.data.fingerprint else recipe.source
        raise ArtifactError(
            f"{what} has changed since this run was begun, so it cannot be gone on with. Put it back, or pretrain "
            "again with --overwrite."
        )
    with folder.only_writer(place):
        return _run(recipe, chosen, encoder, raw, place, progress, watch, resumed=True)


def _run(
    recipe: PretrainRecipe,
    source: Source,
    encoder: Encoder,
    raw: Raw,
    place: Path,
    progress: Progress,
    watch: Stopwatch,
    *,
    resumed: bool,
) -> PretrainedRun:
    with Recorder(place, recipe.track, recipe.model_dump(mode="json"), resume=resumed, say=progress.say) as recorder:
        for finding in raw.findings:
            recorder.text(f"data: {finding.code}", finding.message)
        with watch("pretraining"):
            found = pretrain_on(
                raw,
                source,
                encoder,
                recipe.train,
                seed=recipe.seed,
                folder=place / "checkpoints",
                record=recorder.row,
                progress=progress,
            )
        progress.stage("saving")
        metrics = _metrics(recipe, found)
        with watch("saving"):
            _save(place / "model", found, metrics)
        metrics["cost"] = {
            "seconds": round(watch.total, 3),
            "seconds_by_stage": {name: round(seconds, 3) for name, seconds in watch.stages.items()},
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "parameters_trained": found.parameters,
        }
        write_pretrained(
            place / "report.html",
            title=raw.name,
            run=str(place),
            source=source.card,
            metrics=metrics,
            history=found.history,
            findings=raw.findings,
            recipe=recipe.to_yaml(),
        )
        folder.discard_checkpoints(place)
        folder.write_json(place / "metrics.json", metrics)
    return PretrainedRun(place)


def _metrics(recipe: PretrainRecipe, found: Pretrained) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "headstart": __version__,
        "kind": "pretrain",
        "source": found.source.source.card.name,
        "plural": found.raw.train.modality.plural,
        "seed": recipe.seed,
        "pretraining": found.to_json(),
        "warnings": [{"code": f.code, "message": f.message, "items": list(f.items)} for f in found.raw.findings],
        "data": {"name": found.raw.name, "fingerprint": found.raw.fingerprint},
        "environment": environment(found.precision),
    }


def _save(place: Path, found: Pretrained, metrics: Mapping[str, Any]) -> None:
    held_out = found.raw.held_out
    save_pretrained(
        place,
        encoder=found.source.encoder,
        output=found.source.output_layer(),
        source=found.source.card,
        probes=held_out.evaluation(range(min(PROBES, len(held_out)))),
        metrics=metrics,
    )


def _open(
    recipe: PretrainRecipe, dataset: Dataset, source: Source, progress: Progress, watch: Stopwatch
) -> tuple[Encoder, Raw]:
    """The network, which can learn so, and the items that it may learn from."""
    progress.stage("loading the source")
    with watch("source"):
        encoder = source.load()
    config = recipe.train.pretrain
    objective_of(encoder, config.objective, source.card.name)
    progress.stage("checking the data")
    with watch("data"):
        dataset.require_items()
        own = dataset.with_items(training_items(dataset, recipe.seed))
        mine = {item.id for item in own.items}
        spare = dataset.where(lambda item: item.label is None and item.split in (None, "train") and item.id not in mine)
        mine |= {item.id for item in spare.items}
        away = dataset.where(lambda item: item.id not in mine)
        if away.items:
            progress.say(
                f"{len(away)} of {len(dataset)} items are left out: they validate or test a fit to this data with seed "
                f"{recipe.seed}."
            )
        more = [read_dataset(config.data, input=recipe.data.input, labelled=False)] if config.data else []
        more += [spare] if spare.items else []
        return encoder, gather(own, source.card.input, seed=recipe.seed, more=more, away=[away])


def _config(options: Mapping[str, Any], objective: str, epochs: int | None, *, first: bool) -> TrainConfig:
    """Raises ConfigError for an option that says nothing of pretraining."""
    known = {f"pretrain.{name}" for name in PretrainConfig.model_fields} | {"precision", "checkpoint_seconds"}
    for key in options:
        if key.startswith(METHOD_PREFIX) or key not in known:
            raise ConfigError(
                f"--set {key} is of fitting; pretraining takes {', '.join(sorted(known))}. Give it to headstart fit."
            )
    usual = EPOCHS_FIRST if first else EPOCHS_ONWARD
    whole = {"pretrain.objective": objective, "pretrain.epochs": usual if epochs is None else epochs, **options}
    if more := whole.get("pretrain.data"):
        whole["pretrain.data"] = absolute(more)
    if not whole["pretrain.epochs"]:
        raise ConfigError("--epochs 0: there is nothing to do then. Give 1 or more.")
    return train_config(whole)


def _read(data: DataRecipe) -> Dataset:
    return read_dataset(
        data.path, input=data.input, label=data.label, group=data.group, split=data.split, labelled=False
    )
