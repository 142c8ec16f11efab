"""Explain: what in an input a model's answer rests on.

headstart explain runs/mine photo.jpg --out why.html
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.artifacts.load import Loaded, LoadedEnsemble, LoadedModel, load_model
from headstart.core.errors import ConfigError, unknown_name
from headstart.core.progress import Progress, Silent
from headstart.core.task import Task
from headstart.data.dataset import Dataset
from headstart.data.kept import Kept
from headstart.data.loader import Batches
from headstart.data.passages import by_word
from headstart.evaluation.explanation import Explanation, save_pictures
from headstart.evaluation.report.explained import write_explanations
from headstart.nn.attribution import STEPS, TOLERANCE, Output
from headstart.recipes.explaining import EXPLAINERS
from headstart.recipes.explaining.base import AUTO, METHODS, Onlooker
from headstart.recipes.folder import writing
from headstart.recipes.predict import Given, items_of, logits_of, unlike
from headstart.tasks.question_answering import QuestionAnswering
from headstart.tasks.regression import Regression
from headstart.tasks.token_classification import TokenClassification


def explain(
    model: Loaded | str | Path,
    inputs: Given | Iterable[Given],
    *,
    target: str | None = None,
    method: str = AUTO,
    out: str | Path | None = None,
    pictures: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Explanation]:
    """What each part of each input adds to the model's answer.

    model, inputs: as in `predict`. target: the label or quantity that is explained; None takes the label that the model
    gives, of several labels the likeliest, of several quantities the first. method: "grad-cam" of pictures where the
    network has feature maps; "integrated-gradients" of pictures, texts, spectrograms and numbers; "occlusion" of waves,
    spectrograms and columns; "auto" the first of these that can be used. Of an ensemble
    it is the mean over its members.
    Of a text's entities each is explained, by the tag of its first word; of an answer where it begins and where it
    ends; of a target the word that it fits best.
    out: write one HTML page there. pictures: write a PNG of each picture or recording into this folder.

    Attributions of integrated gradients add up to the difference that the input makes to the answer; where they miss
    it by more than 5 %, an explanation holds no evidence but says so.
    Raises ConfigError for a target or method that there is not, MissingExtra where captum is needed and absent, and
    whatever `predict` raises.
    """
    loaded = model if isinstance(model, Loaded) else load_model(model)
    progress = progress or Silent()
    if method not in METHODS:
        raise ConfigError(unknown_name("way to explain", method, METHODS))
    if target is not None and target not in loaded.task.outputs:
        raise ConfigError(unknown_name("label to explain", target, loaded.task.outputs))
    dataset = items_of(inputs, loaded.task.modality)
    for finding in unlike(loaded, dataset):
        progress.say(finding.message)
    if out is not None:
        with writing("--out", Path(out)):  # before the work, not after it
            Path(out).parent.mkdir(parents=True, exist_ok=True)
    if pictures is not None:
        with writing("--pictures", Path(pictures)):
            Path(pictures).mkdir(parents=True, exist_ok=True)
    every = explain_words if loaded.task.by_word else explain_items
    explained = every(loaded, dataset, target=target, method=method, progress=progress)
    if pictures is not None:
        with writing("--pictures", Path(pictures)):
            explained = save_pictures(Path(pictures), explained)
    if out is not None:
        with writing("--out", Path(out)):
            write_explanations(Path(out), explained, model=str(loaded.folder))
    return explained


def explain_items(
    model: Loaded, dataset: Dataset, *, target: str | None = None, method: str = AUTO, progress: Progress
) -> list[Explanation]:
    """Why each item gets its answer. target, method: as in `explain`."""
    logits = np.concatenate(list(logits_of(model, dataset, progress=Silent())))
    explained = []
    for number, row in enumerate(model.scores_of(logits)):
        wanted = model.task.outputs.index(target) if target is not None else _answered(model.task, row)
        label = model.task.decode(row[None])[0]
        explained.append(_explain(model, dataset, number, row, wanted, label, method))
        progress.advance("explaining", number + 1, len(dataset))
    return explained


def explain_words(
    model: Loaded, dataset: Dataset, *, target: str | None = None, method: str = AUTO, progress: Progress
) -> list[Explanation]:
    """Why words of each text get their answers. target, method: as in `explain`. An explanation's `input` names the
    word, its `label` is the entity or the answer that it is part of."""
    task, explained = model.task, []
    assert isinstance(task, TokenClassification | QuestionAnswering)
    for number in range(len(dataset)):
        rows, units = by_word(dataset.take([number]), asked=isinstance(task, QuestionAnswering))
        scores = model.scores_of(np.concatenate(list(logits_of(model, rows, progress=Silent()))))
        told, grounds = task.decode(scores, units)[0], task.grounds(scores, units)[0]
        labels = dict(zip(grounds, told if isinstance(task, TokenClassification) else told[:1] * 2, strict=False))
        if target is not None:
            wanted = task.outputs.index(target)
            grounds = [(int(scores[:, wanted].argmax()), wanted)]
        if not grounds:
            progress.say(f"{dataset[number].id}: no entity is found in it. To see what speaks for one: --target TAG.")
        for row, wanted in grounds:
            label = labels.get((row, wanted))
            explained.append(_explain(model, rows, row, scores[row], wanted, label, method))
        progress.advance("explaining", number + 1, len(dataset))
    return explained


def _explain(
    model: Loaded, dataset: Dataset, number: int, scores: np.ndarray, wanted: int, label: Any, method: str
) -> Explanation:
    """Of one item. scores: (K,), the model's own. wanted: the output that is explained. label: the answer."""
    task, item = model.task, dataset[number]
    onlookers = [
        _onlooker(member, dataset, number, wanted, weight)
        for member, weight in zip(model.members, _weights(model), strict=True)
    ]
    found = EXPLAINERS[task.modality](item, onlookers, method)
    gap = max(found.gaps, default=None)
    refused = ""
    if gap is not None and gap > TOLERANCE:
        refused = (
            f"after {STEPS[-1]} steps the attributions miss what they should add up to by {gap:.0%} "
            f"({TOLERANCE:.0%} is allowed), so they are not shown"
        )
    return Explanation(
        input=item.id,
        label=label,
        scores=dict(zip(task.outputs, scores.tolist(), strict=True)),
        target=task.outputs[wanted],
        value=_value(task, scores, wanted),
        method=" + ".join(dict.fromkeys(found.methods)),
        gap=gap,
        evidence=None if refused else found.evidence,
        refused=refused,
    )


def _answered(task: Task, scores: np.ndarray) -> int:
    """The output that an answer is about."""
    return 0 if task.kind == "number" else int(scores.argmax())


def _value(task: Task, scores: np.ndarray, wanted: int) -> float:
    """Log-odds of a label, or the number itself."""
    if task.kind == "number":
        return float(scores[wanted])
    least = np.finfo(np.float64).tiny
    against = scores.sum() - scores[wanted] if task.kind == "single" else 1 - scores[wanted]
    return float(np.log(max(scores[wanted], least)) - np.log(max(against, least)))


def _weights(model: Loaded) -> list[float]:
    """Of each member, summing to 1."""
    if isinstance(model, LoadedEnsemble):
        return [weight / sum(model.weights) for weight in model.weights]
    return [1.0]


def _onlooker(member: LoadedModel, dataset: Dataset, number: int, wanted: int, weight: float) -> Onlooker:
    batches = Batches(dataset, Kept(member.contract, memory_limit=0), member.contract, workers=1)
    view = batches.evaluation([number])
    unit = member.task.std[wanted] if isinstance(member.task, Regression) else 1.0
    return Onlooker(
        member=member,
        kept=batches.item(number),
        view=view,
        ready=batches.prepare(view.to(member.device)),
        output=_output(member, wanted),
        weight=weight * unit,
    )


def _output(member: LoadedModel, wanted: int) -> Output:
    """The log-odds of a label, or a quantity in standard units."""
    if member.task.kind != "single":
        return lambda logits: logits[:, wanted]
    others = [k for k in range(len(member.task.outputs)) if k != wanted]

    def odds(logits: Tensor) -> Tensor:
        tempered = logits.double() / member.temperature
        return tempered[:, wanted] - torch.logsumexp(tempered[:, others], dim=1)

    return odds
