"""Fit: from a folder of data to a judged, shippable model.

    headstart fit photos/ --out runs/mine

Reads and checks the data, splits it, carries the source's knowledge over by the method, calibrates on validation data,
looks at the test data once, measures what the transfer was worth against baselines on the same splits, and writes the
run folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from headstart import __version__
from headstart.core.config import TrainConfig
from headstart.core.duration import seconds_of
from headstart.core.errors import ArtifactError, ConfigError, UserError
from headstart.core.extras import require
from headstart.core.method import Method
from headstart.core.options import METHOD_PREFIX, train_config
from headstart.core.progress import Progress, Silent
from headstart.core.source import Source
from headstart.data.dataset import Dataset
from headstart.data.read import read_dataset
from headstart.features.bank import FeatureBank
from headstart.methods import make_method
from headstart.nn.encoder import Encoder
from headstart.recipes import folder, pretrain
from headstart.recipes.auto.plan import Move, default_plan
from headstart.recipes.auto.search import Entrant, Search
from headstart.recipes.baselines import Baseline, best_of, no_transfer_baselines, probe_baseline, scratch_baseline
from headstart.recipes.choose import others, suited
from headstart.recipes.cost import Stopwatch
from headstart.recipes.encode import feature_bank
from headstart.recipes.fitted import Fitted, Member, final_logits
from headstart.recipes.models import make_loop, new_model
from headstart.recipes.paths import absolute, fresh_folder
from headstart.recipes.prepare import ROLES, Target, label_kind, prepare
from headstart.recipes.pretrain import PretrainedRun
from headstart.recipes.pretraining import Raw, gather, objective_of, pretrain_on
from headstart.recipes.publish import Outcome, publish
from headstart.recipes.recipe import DataRecipe, Recipe, VerdictLevel
from headstart.recipes.run import Run
from headstart.recipes.slicing import slice_values
from headstart.recipes.translate import retold, translators
from headstart.sources.words import by_text, by_word, reader_of
from headstart.tracking.recorder import Recorder

DEFAULT_METHOD = "lp-ft"


def fit(
    data: str | Path | Dataset,
    *,
    source: str | Source = "auto",
    method: str = "auto",
    budget: str | float | None = None,
    out: str | Path | None = None,
    task: str | None = None,
    input: str | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    slice: str | None = None,
    seed: int = 0,
    verdict: VerdictLevel = "quick",
    options: Mapping[str, Any] | None = None,
    track: Sequence[str] = ("tensorboard",),
    overwrite: bool = False,
    photos: bool = True,
    explain: int = 0,
    progress: Progress | None = None,
    began: float | None = None,
) -> Run:
    """Fit a model to `data` and judge it.

    data: a folder (`class/*.jpg`, or splits above the classes), a table, `hf:NAME`, a Dataset, or the `recipe.yaml` of
        an earlier run, which is then done again (of the other arguments only `out`, `overwrite` and `progress` count).
    source: a name as in `headstart sources`, or a Source. method: a name as in `headstart.methods.METHODS`; "auto"
        starts from a frozen probe and replaces it only on validation evidence.
    budget: how long all of it may take with `method="auto"`, as "60s" or a number of seconds: the best use is made of
        it. None tries the probe and lp-ft, always.
    task: "classification", "multilabel" or "regression"; None reads it off the labels.
    input, label, group, split: columns of a table. slice: a column, or "group", "domain" or "class": every metric is
        also given for each of its values, with the largest gaps between them.
    options: fields of TrainConfig (`{"epochs": 5, "augment.mixup": 0.2}`) and of the method (`{"method.alpha": 0.01}`).
    verdict: "quick" compares with no transfer, "full" also trains the same network from scratch for the same time,
        "none" neither.
    began: when the work began, by `time.time`, where that was before this call; a budget counts from then.
    out: a folder that does not exist yet; None makes one below `runs/`. photos: whether the report shows test photos.
    explain: so many test items are explained in the report, the worst mistakes and the surest right answers.

    Raises UserError (DataError, SourceError, ConfigError, ...) before anything is written where the input is at fault.
    """
    progress = progress or Silent()
    if isinstance(data, str | Path) and Path(data).suffix in (".yaml", ".yml"):
        recipe = Recipe.read(Path(data))
        dataset = _read(recipe.data)
        chosen = _suited(recipe, dataset)
    else:
        options = dict(options or {})
        if budget is not None and method != "auto":
            raise ConfigError(
                f"budget {str(budget)!r} was given with the method {method!r}: a budget is for method auto, which "
                "chooses what to do with it. Leave out --method, or give --set epochs=N instead of --budget."
            )
        about = DataRecipe(
            path=data.name if isinstance(data, Dataset) else absolute(data),
            input=input,
            label=label,
            group=group,
            split=split,
            slice=slice,
            task=task,
        )
        dataset = data if isinstance(data, Dataset) else _read(about)
        train = _found_anywhere(train_config(options))
        chosen = suited(source, dataset, seed, standardise=train.standardise)
        if method == "auto" and not chosen.card.pretrained and not train.pretrain.epochs:
            if budget is not None:
                progress.say(f"{chosen.card.name} has random weights and one way to train: the budget is passed over.")
            method, budget = "scratch", None
        recipe = Recipe(
            headstart=__version__,
            data=about,
            source=source if isinstance(source, str) and source != "auto" else chosen.card.name,
            further_sources=others(chosen.card.name, dataset) if source == "auto" and budget is not None else (),
            method=method,
            budget=None if budget is None else seconds_of(budget),
            method_options={
                k.removeprefix(METHOD_PREFIX): v for k, v in options.items() if k.startswith(METHOD_PREFIX)
            },
            train=train,
            seed=seed,
            verdict=verdict,
            track=tuple(track),
            photos=photos,
            explain=explain,
        )
    if recipe.explain:
        _require_explainable(recipe, dataset)
    if recipe.data.slice is not None:
        slice_values(dataset, recipe.data.slice)  # raises where no item has one, before anything is done
    _require_used(_method(recipe), recipe)  # raises where an option does not fit, before anything is done
    place = Path(out) if out is not None else fresh_folder(dataset.name)
    folder.require_free(place, overwrite)
    watch = Stopwatch(began)
    target, encoder = _open(dataset, chosen, recipe, progress, watch)
    raw = _raw(recipe, target, encoder, chosen, progress)
    recipe = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"fingerprint": target.fingerprint}),
            "source_sha256": chosen.card.sha256,
            "pretrain_fingerprint": raw.fingerprint if raw else None,
        }
    )
    with folder.only_writer(place):
        folder.clear(place)
        folder.write_text(place / "recipe.yaml", recipe.to_yaml())
        try:
            return _run(recipe, target, chosen, encoder, raw, place, progress, watch, resumed=False)
        except UserError:
            if not (place / "checkpoints").exists():  # nothing was learned yet: leave nothing behind
                folder.clear(place)
            raise


def resume(run: str | Path, *, progress: Progress | None = None) -> Run | PretrainedRun:
    """Go on with a run that was killed; its numbers are those of the unbroken run.

    Raises ArtifactError where the folder holds no run, or where the data or the source have changed since.
    """
    place, progress = Path(run), progress or Silent()
    if not folder.is_run(place):
        raise ArtifactError(
            f"{place} holds no run: it has no recipe.yaml. Give a folder that `headstart fit --out` wrote."
        )
    if folder.kind(place) == "pretrain":
        return pretrain.resume(place, progress=progress)
    if folder.is_complete(place):
        progress.say(f"{place} is finished already; nothing to do.")
        return Run(place)
    recipe = Recipe.read(place / "recipe.yaml")
    dataset, watch = _read(recipe.data), Stopwatch()
    chosen = _suited(recipe, dataset)
    target, encoder = _open(dataset, chosen, recipe, progress, watch)
    if target.fingerprint != recipe.data.fingerprint:
        raise ArtifactError(
            f"the data at {recipe.data.path} has changed since this run was begun, so it cannot be gone on with. "
            f"Put the data back, or fit again with --overwrite."
        )
    if chosen.card.sha256 != recipe.source_sha256:
        raise ArtifactError(
            f"the source {recipe.source} is not the one this run was begun with (its sha256 differs). "
            "Fit again with --overwrite."
        )
    raw = _raw(recipe, target, encoder, chosen, progress)
    if raw is not None and raw.fingerprint != recipe.pretrain_fingerprint:
        raise ArtifactError(
            f"the items at {recipe.train.pretrain.data} have changed since this run was begun, so it cannot be gone on "
            "with. Put them back, or fit again with --overwrite."
        )
    with folder.only_writer(place):
        return _run(recipe, target, chosen, encoder, raw, place, progress, watch, resumed=True)


def _run(
    recipe: Recipe,
    target: Target,
    source: Source,
    encoder: Encoder,
    raw: Raw | None,
    place: Path,
    progress: Progress,
    watch: Stopwatch,
    *,
    resumed: bool,
) -> Run:
    """Everything from the checked target to the published run. raw: what is learned from first, without labels."""
    with Recorder(place, recipe.track, recipe.model_dump(mode="json"), resume=resumed, say=progress.say) as recorder:
        for finding in target.findings:
            recorder.text(f"data: {finding.code}", finding.message)
        plain, bank = source, feature_bank(source, target.parts, wanted=recipe.train.precision, load=lambda: encoder)
        plain_bank, pretrained = bank, None
        if raw is not None:
            with watch("pretraining"):
                pretrained = pretrain_on(
                    raw,
                    by_text(plain),
                    reader_of(encoder),
                    recipe.train,
                    seed=recipe.seed,
                    folder=place / "checkpoints" / "pretraining",
                    record=recorder.row,
                    progress=progress,
                )
            source = by_word(pretrained.source) if target.contract.by_word else pretrained.source
            bank = feature_bank(source, target.parts, wanted=recipe.train.precision)
        with watch("method"):
            if recipe.method == "auto":
                search = _search(recipe, Entrant(source, target, bank), place, recorder, progress, watch)
                fitted, encoded = search.run(), search.encoded
                settled = {
                    "plan": tuple(move.model_dump(mode="json") for move in search.moves),
                    "random_network": recipe.random_network and search.can_afford_a_random_network,
                }
                recipe = recipe.model_copy(update=settled)
                folder.write_text(place / "recipe.yaml", recipe.to_yaml())
            else:
                fitted = _apply(recipe, target, source, bank, place, recorder, progress)
                encoded = bank.encoded
        with watch("baselines"):
            baselines: dict[str, Baseline] = {}
            if recipe.verdict != "none":
                progress.stage("baselines without transfer")
                found = no_transfer_baselines(target, plain, recipe.seed, random_network=recipe.random_network)
                baselines = {
                    "no_transfer": best_of("no_transfer", found),
                    **{baseline.name: baseline for baseline in found},
                }
                if plain.card.pretrained:
                    baselines["probe"] = probe_baseline(target, plain_bank, recipe.seed)
            if recipe.verdict == "full":
                progress.stage("baseline from scratch")
                budget = watch.stages["method"] + watch.stages.get("pretraining", 0.0)
                baselines["scratch"], epochs = scratch_baseline(recipe, target, plain, place, budget, progress)
                recipe = recipe.model_copy(update={"scratch_epochs": epochs})
                folder.write_text(place / "recipe.yaml", recipe.to_yaml())
        encoded += 0 if plain_bank is bank else plain_bank.encoded
        encoded += sum(b.encoded for b in baselines.values() if b.name != "no_transfer")
        return publish(
            Outcome(recipe, target, fitted, baselines, encoded, pretrained), place, recorder, progress, watch
        )


def _apply(
    recipe: Recipe,
    target: Target,
    source: Source,
    bank: FeatureBank,
    place: Path,
    recorder: Recorder,
    progress: Progress,
) -> Fitted:
    """One method, as the user named it."""
    method = _method(recipe)
    model = new_model(source, target, recipe.seed, pretrained=method.pretrained)
    loop = make_loop(
        model,
        target,
        recipe.train,
        recipe.seed,
        place / "checkpoints",
        precision=bank.precision,
        bank=bank,
        record=recorder.row,
        progress=progress,
    )
    progress.stage(f"{recipe.method}: training")
    method.fit(model, loop)
    progress.stage("predicting")
    heads = sum(p.numel() for p in model.head.parameters())
    return Fitted(
        method=recipe.method,
        members=(Member(model, source.card, target.parts, loop.precision),),
        logits={role: final_logits(loop, bank, role, target.parts[role]) for role in ("validation", "test")},
        history=loop.history,
        notes=loop.notes,
        parameters_trained=loop.parameters_trained or heads,
    )


def _search(
    recipe: Recipe, first: Entrant, place: Path, recorder: Recorder, progress: Progress, watch: Stopwatch
) -> Search:
    """The planner, with the sources that it may use."""

    def other(name: str) -> Entrant:
        source = suited(name, first.target.parts["train"].given, recipe.seed, standardise=recipe.train.standardise)
        target = first.target.shown_as(source.card.input)
        return Entrant(source, target, feature_bank(source, target.parts, wanted=recipe.train.precision))

    plan = recipe.plan
    if plan is None and recipe.budget is None:
        moves = default_plan(first.name, recipe.train.epochs)
    else:
        moves = tuple(Move.model_validate(move) for move in plan or ())
    return Search(
        recipe,
        first,
        [partial(other, name) for name in recipe.further_sources],
        place,
        plan=moves,
        deadline=None if recipe.budget is None or plan is not None else watch.started + recipe.budget,
        record=recorder.row,
        progress=progress,
    )


def _raw(recipe: Recipe, target: Target, encoder: Encoder, source: Source, progress: Progress) -> Raw | None:
    """What is learned from before the method: the training items, and those that the user adds; None where nothing is.

    Raises ConfigError where the network cannot learn so.
    """
    config = recipe.train.pretrain
    if not config.epochs:
        return None
    objective_of(reader_of(encoder), config.objective, source.card.name)
    progress.stage("reading what to learn from without labels")
    own, *away = (target.parts[role].given for role in ROLES)
    more = [read_dataset(config.data, input=recipe.data.input, labelled=False)] if config.data else []
    return gather(own, by_text(source).card.input, seed=recipe.seed, more=more, away=away)


def _require_used(method: Method, recipe: Recipe) -> None:
    """Raises ConfigError where the method would throw away what is learned before it."""
    if recipe.train.pretrain.epochs and not method.pretrained:
        raise ConfigError(
            f"pretrain.epochs={recipe.train.pretrain.epochs}: the method {recipe.method!r} begins with random weights "
            "and would forget what was learned before. Use --method full, or leave it out."
        )


def _open(
    dataset: Dataset, source: Source, recipe: Recipe, progress: Progress, watch: Stopwatch
) -> tuple[Target, Encoder]:
    """The checked target and the source's encoder, the one loaded while the other is read."""
    away = translators(recipe.train.augment, dataset)  # raises before anything is done
    with watch("data"), ThreadPoolExecutor(1, thread_name_prefix="headstart-source") as pool:
        loading = pool.submit(source.load) if source.availability().here else None
        target = prepare(dataset, source.card.input, seed=recipe.seed, progress=progress)
    progress.stage("loading the source")
    with watch("source"):
        encoder = loading.result() if loading is not None else source.load()
    if away is not None:
        with watch("translation"):
            target = retold(target, away, progress)
    return target, encoder


def _read(data: DataRecipe) -> Dataset:
    kind = label_kind(data.task)
    return read_dataset(
        data.path,
        input=data.input,
        label=data.label,
        kind=kind,
        group=data.group,
        split=data.split,
        slice=data.slice,
    )


def _suited(recipe: Recipe, dataset: Dataset) -> Source:
    return suited(recipe.source, dataset, recipe.seed, standardise=recipe.train.standardise)


def _require_explainable(recipe: Recipe, dataset: Dataset) -> None:
    """Raises UserError where test items cannot be explained in the report."""
    if not recipe.photos:
        raise ConfigError("--explain shows test items in the report, and --no-photos keeps them out. Give one of them.")
    if dataset.kind in ("tags", "answers"):
        raise ConfigError(
            f"labels of kind {dataset.kind} are not explained in the report. Fit without --explain; headstart explain "
            "then tells what each entity or answer rests on."
        )
    require("captum", "explain", "explaining test items")


def _method(recipe: Recipe) -> Method:
    """Raises ConfigError for a method that is not known, or options that it does not have."""
    return make_method(DEFAULT_METHOD if recipe.method == "auto" else recipe.method, recipe.method_options)


def _found_anywhere(train: TrainConfig) -> TrainConfig:
    """With the path of further items to learn from as it is found from anywhere."""
    if not train.pretrain.data:
        return train
    pretrain = train.pretrain.model_copy(update={"data": absolute(train.pretrain.data)})
    return train.model_copy(update={"pretrain": pretrain})
