"""Predict: a saved model's answers for new inputs.

headstart predict runs/mine new.jpg
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from headstart.artifacts.load import Loaded, LoadedModel, load_model
from headstart.core.card import Input, TableInput
from headstart.core.errors import ConfigError, DataError
from headstart.core.progress import Progress, Silent
from headstart.data.dataset import Dataset, Finding, Item
from headstart.data.kept import Kept
from headstart.data.loader import Batches, prefetch
from headstart.data.modalities import MODALITIES
from headstart.data.passages import by_word
from headstart.data.read import read_inputs
from headstart.recipes.choose import Standardise
from headstart.tasks.question_answering import QuestionAnswering

Given = str | Path | Image.Image | np.ndarray | tuple[str, str] | dict[str, Any]
"""A file, a folder, an open image, or uint8 pixels (H, W), (H, W, 3) or (H, W, 4); for a model of texts, a text or the
two of a pair; for one of tables, a table, or a row as its cells by column."""

BATCH_SIZE = 32


@dataclass(frozen=True)
class Prediction:
    """input: as it was named. label: what the model says, as JSON. scores: of each output, in the model's order:
    probabilities, or numbers in the user's units."""

    input: str
    label: Any
    scores: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def predict(
    model: Loaded | str | Path,
    inputs: Given | Iterable[Given],
    *,
    batch_size: int = BATCH_SIZE,
    standardise: Standardise = "source",
    progress: Progress | None = None,
) -> list[Prediction]:
    """One prediction an input, in order; a folder stands for every image below it.

    model: a run folder, its `model/`, or one that `headstart.load` gave. Memory use does not grow with the inputs.
    standardise: "per-cohort" sees a table's numbers by the means and deviations of these very rows.

    Raises DataError naming an input that is missing or cannot be read, ArtifactError for a model that is not whole.
    """
    return list(stream(model, inputs, batch_size=batch_size, standardise=standardise, progress=progress))


def stream(
    model: Loaded | str | Path,
    inputs: Given | Iterable[Given],
    *,
    batch_size: int = BATCH_SIZE,
    standardise: Standardise = "source",
    progress: Progress | None = None,
) -> Iterator[Prediction]:
    """As `predict`, each prediction as soon as its batch is done. What does not exist is noticed before the first."""
    loaded = model if isinstance(model, Loaded) else load_model(model)
    dataset, progress = items_of(inputs, loaded.task.modality), progress or Silent()
    for finding in unlike(loaded, dataset):
        progress.say(finding.message)
    if standardise == "per-cohort":
        loaded = of_cohort(loaded, dataset)
    return _stream(loaded, dataset, batch_size, progress)


def unlike(model: Loaded, dataset: Dataset) -> list[Finding]:
    """What there is to say of items that the model was not made for. Raises DataError where they cannot be shown."""
    contracts = dict.fromkeys(member.contract for member in model.members)
    found = [finding for c in contracts for finding in MODALITIES[c.modality].fits(dataset, c)]
    return list(dict.fromkeys(found))


def of_cohort(model: Loaded, dataset: Dataset) -> Loaded:
    """The model as it sees a table's numbers by the means and deviations of all rows of `dataset`, whose labels stay
    out of it: right where a whole cohort was measured on another scale. Raises ConfigError where it takes no table."""
    from headstart.data.modalities.table import restandardised

    def one(member: LoadedModel) -> LoadedModel:
        if not isinstance(member.contract, TableInput):
            raise ConfigError(f"{model.folder} takes no tables, so there is nothing to standardise by cohort.")
        return replace(member, contract=restandardised(member.contract, [item.cells for item in dataset.items]))

    if isinstance(model, LoadedModel):
        return one(model)
    return replace(model, members=tuple(map(one, model.members)))


def _stream(model: Loaded, dataset: Dataset, batch_size: int, progress: Progress) -> Iterator[Prediction]:
    if model.task.by_word:
        yield from _texts(model, dataset, batch_size, progress)
        return
    start = 0
    for logits in logits_of(model, dataset, batch_size=batch_size, progress=progress):
        scores = model.scores_of(logits)
        for item, label, row in zip(dataset.items[start:], model.task.decode(scores), scores.tolist(), strict=False):
            yield Prediction(item.id, label, dict(zip(model.task.outputs, row, strict=True)))
        start += len(logits)


def _texts(model: Loaded, dataset: Dataset, batch_size: int, progress: Progress) -> Iterator[Prediction]:
    """A prediction a text, some of them at a time. scores: of each type of entity that is found its surest; of answers
    each one's probability."""
    for start in range(0, len(dataset), batch_size):
        some = dataset.take(range(start, min(start + batch_size, len(dataset))))
        rows, units = by_word(some, asked=isinstance(model.task, QuestionAnswering))
        logits = np.concatenate(list(logits_of(model, rows, batch_size=batch_size, progress=Silent())))
        for item, found in zip(some.items, model.task.decode(model.scores_of(logits), units), strict=True):
            yield Prediction(item.id, *_told(found))
        progress.advance("predicting", start + len(some), len(dataset))


def _told(found: list[dict[str, Any]]) -> tuple[Any, dict[str, float]]:
    """Label and scores of one text: its entities, or the best of its answers."""
    scores: dict[str, float] = {}
    for one in found:
        name = next(str(one[key]) for key in ("type", "tag", "text") if key in one)
        scores[name] = max(one["probability"], scores.get(name, 0.0))
    return found if not found or "type" in found[0] or "tag" in found[0] else found[0], scores


def logits_of(
    model: Loaded, dataset: Dataset, *, batch_size: int = BATCH_SIZE, progress: Progress
) -> Iterator[np.ndarray]:
    """Raw outputs (B, K) of the items in order; pictures are read in the background and not kept.

    Raises DataError naming an item that cannot be read.
    """
    return map(model.combine, member_logits(model.members, dataset, batch_size=batch_size, progress=progress))


def member_logits(
    members: Sequence[LoadedModel], dataset: Dataset, *, batch_size: int = BATCH_SIZE, progress: Progress
) -> Iterator[list[np.ndarray]]:
    """Raw outputs (B, K) of each model, in their order; models of one contract share their batches."""
    contracts = dict.fromkeys(member.contract for member in members)
    batches = {contract: Batches(dataset, Kept(contract, memory_limit=0), contract) for contract in contracts}
    parts = next(iter(batches.values())).parts(range(len(dataset)), batch_size)
    views = prefetch(partial(_views, batches, part) for part in parts)
    for part, batch in zip(parts, views, strict=True):
        yield [member.logits(batch[member.contract]) for member in members]
        progress.advance("predicting", part[-1] + 1, len(dataset))


def _views(batches: dict[Input, Batches], part: Sequence[int]) -> dict[Input, Tensor]:
    return {contract: made.evaluation(part) for contract, made in batches.items()}


def items_of(inputs: Given | Iterable[Given], modality: str) -> Dataset:
    """What `predict` is given, as items without labels. Raises DataError for what is missing or nothing at all."""
    one = isinstance(inputs, str | Path | Image.Image | np.ndarray | tuple | dict)
    every: list[Any] = [inputs] if one else list(inputs)  # type: ignore[arg-type]
    items: list[Item] = []
    for number, given in enumerate(every):
        if isinstance(given, str | Path):
            items += read_inputs([given], modality).items
        elif isinstance(given, dict):
            items.append(Item(f"row {number}", tuple(given.values()), columns=tuple(given)))
        elif isinstance(given, tuple):
            items.append(Item(f"pair {number}", given))
        else:
            items.append(_in_memory(given, f"input {number}"))
    if not items:
        raise DataError("there is nothing to predict: the list of inputs is empty. Give image files or folders.")
    name = str(every[0]) if len(every) == 1 and isinstance(every[0], str | Path) else f"{len(items)} inputs"
    return Dataset(name, tuple(items), modality=modality, kind="none")  # type: ignore[arg-type]


def _in_memory(given: Any, name: str) -> Item:
    """An image that is in memory, encoded without loss, so that it takes the road that files take."""
    image = given
    if isinstance(given, np.ndarray):
        if given.dtype != np.uint8 or given.ndim not in (2, 3) or given.shape[2:] not in ((), (3,), (4,)):
            raise DataError(
                f"{name} is an array of {given.dtype} {given.shape}. Expected uint8 pixels (H, W, 3) in RGB order, "
                "(H, W, 4) or (H, W)."
            )
        image = Image.fromarray(given)
    if not isinstance(image, Image.Image):
        raise DataError(f"{name} is a {type(given).__name__}. Expected a path, a PIL image or an array of pixels.")
    image = ImageOps.exif_transpose(image)
    if "transparency" in image.info:
        image = image.convert("RGBA")
    encoded = io.BytesIO()
    image.save(encoded, "TIFF")
    return Item(name, encoded.getvalue())
