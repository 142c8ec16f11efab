"""Predict: a saved model's answers for new inputs.

headstart predict runs/mine new.jpg
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from headstart.artifacts.load import Loaded, LoadedModel, load_model
from headstart.core.card import Input
from headstart.core.errors import DataError
from headstart.core.progress import Progress, Silent
from headstart.data.dataset import Dataset, Item
from headstart.data.kept import Kept
from headstart.data.loader import Batches, prefetch
from headstart.data.read import read_inputs

Given = str | Path | Image.Image | np.ndarray | tuple[str, str]
"""A file, a folder, an open image, or uint8 pixels (H, W), (H, W, 3) or (H, W, 4); for a model of texts, a text or the
two of a pair."""

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
    progress: Progress | None = None,
) -> list[Prediction]:
    """One prediction an input, in order; a folder stands for every image below it.

    model: a run folder, its `model/`, or one that `headstart.load` gave. Memory use does not grow with the inputs.

    Raises DataError naming an input that is missing or cannot be read, ArtifactError for a model that is not whole.
    """
    return list(stream(model, inputs, batch_size=batch_size, progress=progress))


def stream(
    model: Loaded | str | Path,
    inputs: Given | Iterable[Given],
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> Iterator[Prediction]:
    """As `predict`, each prediction as soon as its batch is done. What does not exist is noticed before the first."""
    loaded = model if isinstance(model, Loaded) else load_model(model)
    return _stream(loaded, items_of(inputs, loaded.task.modality), batch_size, progress or Silent())


def _stream(model: Loaded, dataset: Dataset, batch_size: int, progress: Progress) -> Iterator[Prediction]:
    start = 0
    for logits in logits_of(model, dataset, batch_size=batch_size, progress=progress):
        scores = model.scores_of(logits)
        for item, label, row in zip(dataset.items[start:], model.task.decode(scores), scores.tolist(), strict=False):
            yield Prediction(item.id, label, dict(zip(model.task.outputs, row, strict=True)))
        start += len(logits)


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
    parts = [range(start, min(start + batch_size, len(dataset))) for start in range(0, len(dataset), batch_size)]
    views = prefetch(partial(_views, batches, part) for part in parts)
    for part, batch in zip(parts, views, strict=True):
        yield [member.logits(batch[member.contract]) for member in members]
        progress.advance("predicting", part.stop, len(dataset))


def _views(batches: dict[Input, Batches], part: range) -> dict[Input, Tensor]:
    return {contract: made.evaluation(part) for contract, made in batches.items()}


def items_of(inputs: Given | Iterable[Given], modality: str) -> Dataset:
    """What `predict` is given, as items without labels. Raises DataError for what is missing or nothing at all."""
    one = isinstance(inputs, str | Path | Image.Image | np.ndarray | tuple)
    items: list[Item] = []
    for number, given in enumerate([inputs] if one else inputs):  # type: ignore[arg-type]
        if isinstance(given, str | Path):
            items += read_inputs([given], modality).items
        elif isinstance(given, tuple):
            items.append(Item(f"pair {number}", given))
        else:
            items.append(_in_memory(given, f"input {number}"))
    if not items:
        raise DataError("there is nothing to predict: the list of inputs is empty. Give image files or folders.")
    return Dataset(f"{len(items)} inputs", tuple(items), modality=modality, kind="none")  # type: ignore[arg-type]


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
