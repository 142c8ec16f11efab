"""The model card: what the model is, how good it was found to be, where it stops. Format: the Hugging Face hub's
(YAML front matter, then Markdown), so that the folder can be uploaded as it is."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import yaml

from headstart import __version__
from headstart.core.card import Input, SourceCard
from headstart.core.task import Task
from headstart.core.types import Interval
from headstart.data.modalities import MODALITIES

_LICENSES: Final = frozenset(
    {
        "apache-2.0",
        "mit",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc0-1.0",
        "cc-by-4.0",
        "cc-by-nc-4.0",
        "cc-by-sa-4.0",
        "gpl-3.0",
    }
)
_METRICS: Final = {
    "accuracy": ("accuracy", "Accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "Balanced accuracy"),
    "precision_macro": ("precision", "Precision (macro)"),
    "recall_macro": ("recall", "Recall (macro)"),
    "f1_macro": ("f1", "F1 (macro)"),
    "f1_micro": ("f1", "F1 (micro)"),
    "roc_auc": ("roc_auc", "ROC-AUC"),
    "log_loss": ("log_loss", "Log loss"),
    "ece": ("ece", "Expected calibration error"),
    "mse": ("mse", "Mean squared error"),
    "mae": ("mae", "Mean absolute error"),
    "r2": ("r_squared", "R squared"),
}
"""Our name -> (the hub's, for a person)."""
_WHEN: Final = ("before", "after")
_PIPELINES: Final = {
    "image": "image-classification",
    "text": "text-classification",
    "audio": "audio-classification",
    "table": "tabular-classification",
}


@dataclass(frozen=True)
class CardFacts:
    """What the card tells beyond what the model knows of itself.

    name: of the run. data: of the data set. fingerprint: of its content. metrics: as in `metrics.json`.
    warnings: what the checks of the data found.
    """

    name: str
    data: str
    fingerprint: str
    metrics: Mapping[str, Any]
    seed: int = 0
    warnings: tuple[str, ...] = ()


def render(
    *, task: Task, sources: Sequence[SourceCard], contracts: Sequence[Input], facts: CardFacts, joined: str = ""
) -> str:
    """The text of `card.md`.

    sources, contracts: of the model, or of each member of an ensemble. joined: how an ensemble joins them, a sentence.
    """
    front = yaml.safe_dump(_front(task, sources, facts), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n\n" + "\n".join(_body(task, sources, contracts, facts, joined)) + "\n"


def render_pretrained(source: SourceCard, contract: Input, metrics: Mapping[str, Any]) -> str:
    """The text of `card.md` of a network that was pretrained without labels. metrics: as in its `metrics.json`."""
    told = metrics["pretraining"]
    license_id = source.license.lower()
    known = license_id in _LICENSES
    licence = {"license": license_id} if known else {"license": "other", "license_name": _slug(license_id)}
    front = {**licence, "library_name": "headstart", "tags": ["headstart", "transfer-learning", told["objective"]]}
    modality = MODALITIES[contract.modality]
    lines = [
        f"# A network pretrained without labels on {_plain(told['data'])}",
        "",
        f"It predicts nothing yet. Fit it to labelled {modality.plural}: `headstart fit DATA --source MODEL`. Made by "
        f"headstart {__version__} from `{source.name}` by the objective `{told['objective']}`, {told['epochs']} passes "
        f"over {told['n']['train']} {modality.plural}.",
        "",
        f"Loss of {told['loss_of']} on {told['n']['held_out']} held-out {modality.plural}, with 95 % interval:",
        "",
        "| | loss | perplexity |",
        "|---|---|---|",
        *(f"| {when} | {_interval(told[when], 'loss')} | {_interval(told[when], 'perplexity')} |" for when in _WHEN),
        "",
        "What it was trained on, with its biases, is part of it.",
        "",
        f"- Trained on: {_plain(source.trained_on)}",
        f"- Preprocessing: {modality.describe(contract)}, digest `{contract.digest()}`",
        f"- Python {platform.python_version()}, {', '.join(_versions())}",
    ]
    shown = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{shown}---\n\n" + "\n".join(lines) + "\n"


def _interval(found: Mapping[str, Any], name: str) -> str:
    if name not in found:
        return "-"
    interval = Interval.from_json(found[name])
    return f"{interval.value:.4g} [{interval.low:.4g}, {interval.high:.4g}]"


def _front(task: Task, sources: Sequence[SourceCard], facts: CardFacts) -> dict[str, Any]:
    licenses = dict.fromkeys(source.license for source in sources)
    license_id = " and ".join(licenses).lower()
    license_lines = {"license": license_id}
    if license_id not in _LICENSES:
        license_lines = {"license": "other", "license_name": _slug(license_id)}
    bases = list(dict.fromkeys(_base_model(source) for source in sources))
    kind = "question-answering" if task.kind == "multi" else "token-classification"
    pipeline = {"pipeline_tag": kind if task.by_word else _PIPELINES[task.modality]} if task.kind != "number" else {}
    measured = dict(_intervals(facts.metrics.get("test", {})))
    return {
        **license_lines,
        "base_model": bases if len(bases) > 1 else bases[0],
        "library_name": "headstart",
        **pipeline,
        "tags": ["headstart", "transfer-learning", task.name],
        "metrics": sorted({_METRICS.get(name, (name, name))[0] for name in measured}),
        "model-index": [
            {
                "name": facts.name,
                "results": [
                    {
                        "task": {"type": task.name, "name": task.name.replace("-", " ")},
                        "dataset": {"name": facts.data, "type": _slug(facts.data), "split": "test"},
                        "metrics": [
                            {"type": kind, "name": title, "value": round(interval.value, 6)}
                            for name, interval in measured.items()
                            for kind, title in [_METRICS.get(name, (name, name.replace("_", " ")))]
                        ],
                    }
                ],
            }
        ],
    }


def _base_model(source: SourceCard) -> str:
    at_hub = "//huggingface.co/" in source.origin
    return source.origin.removeprefix("https://huggingface.co/") if at_hub else source.name


def _body(
    task: Task, sources: Sequence[SourceCard], contracts: Sequence[Input], facts: CardFacts, joined: str
) -> Iterator[str]:
    metrics, n = facts.metrics, facts.metrics.get("n", {})
    shown = ", ".join(f"`{_plain(name)}`" for name in task.outputs[:50])
    more = f" and {len(task.outputs) - 50} more (`labels.json`)" if len(task.outputs) > 50 else ""
    kind = {"single": "one label out of", "multi": "any number of labels out of", "number": "the quantities"}[task.kind]
    method = metrics.get("method", "fit")
    modality = MODALITIES[task.modality]
    example = modality.example[0]
    named = dict.fromkeys(f"`{source.name}` (trained on {source.trained_on})" for source in sources)

    began = f"pretrained source{'s' if len(named) > 1 else ''}"
    if not any(source.pretrained for source in sources):
        began = "network with random weights"

    yield f"# {_plain(facts.name)}"
    yield ""
    yield (
        f"Predicts {kind} {shown}{more} for each {modality.noun}. Made by headstart {__version__} from the {began} "
        f"{' and '.join(named)} with the method `{method}`." + (f" {joined}" if joined else "")
    )
    yield ""
    yield "## Intended use"
    yield ""
    yield (
        f"{modality.noun.capitalize()}s of the kind that the data set `{_plain(facts.data)}` holds. For others, first "
        "evaluate it on labelled examples of them: `headstart evaluate MODEL DATA`."
    )
    yield ""
    yield "## Data"
    yield ""
    yield (
        f"`{_plain(facts.data)}`: {n.get('train', 0)} training, {n.get('validation', 0)} validation and "
        f"{n.get('test', 0)} test items. Fingerprint of content and labels: `{facts.fingerprint}`."
    )
    if facts.warnings:
        yield ""
        yield "The checks of the data found:"
        yield ""
        yield from (f"- {_plain(warning)}" for warning in facts.warnings)
    yield ""
    yield "## Evaluation"
    yield ""
    yield from _evaluation(metrics)
    yield ""
    yield "## Limits"
    yield ""
    yield from _limits(task, n, modality.noun)
    yield ""
    yield "## How to use"
    yield ""
    yield "```"
    yield f"headstart predict MODEL {example}"
    yield "```"
    yield "```python"
    yield "import headstart"
    yield ""
    yield f"print(headstart.predict('MODEL', {_quoted(example)}))"
    yield "```"
    yield ""
    yield "## Provenance"
    yield ""
    yield from dict.fromkeys(
        f"- Source: `{source.name}`, {source.origin}, licence {source.license}, sha256 {source.sha256 or 'not known'}"
        + (f", languages {source.languages}" if source.languages else "")
        for source in sources
    )
    yield f"- Method `{method}`, seed {facts.seed}"
    yield from dict.fromkeys(
        f"- Preprocessing: {MODALITIES[contract.modality].describe(contract)}, digest `{contract.digest()}`"
        for contract in contracts
    )
    yield f"- Python {platform.python_version()}, {', '.join(_versions())}"


def _evaluation(metrics: Mapping[str, Any]) -> Iterator[str]:
    measured = list(_intervals(metrics.get("test", {})))
    if not measured:
        yield "It was not evaluated on held-out data."
        return
    yield f"On {metrics.get('n', {}).get('test', 0)} test items that no choice has looked at:"
    yield ""
    yield "| metric | value | 95 % interval |"
    yield "|---|---|---|"
    for name, interval in measured:
        title = _METRICS.get(name, (name, name.replace("_", " ")))[1]
        yield f"| {title} | {interval.value:.3f} | {interval.low:.3f} to {interval.high:.3f} |"
    verdict = metrics.get("verdict")
    if verdict:
        yield ""
        yield (
            f"Did the pretrained source help? **{verdict['transfer']}**: gain {verdict['gain']:+.3f} "
            f"[{verdict['low']:+.3f}, {verdict['high']:+.3f}] against `{verdict['against']}`, "
            f"p = {verdict['p_value']:.3g} ({verdict['test']})."
        )


def _limits(task: Task, n: Mapping[str, Any], noun: str) -> Iterator[str]:
    if task.kind == "single":
        yield f"- It answers with one of its labels for any {noun} at all, also for one that has none of them."
    if task.kind != "number":
        yield f"- Its probabilities were calibrated on the validation items; on {noun}s of another kind they are not."
    yield (
        f"- The intervals say how far {n.get('test', 0)} test items can be trusted. They do not cover a change of "
        "place, time or instrument."
    )
    yield "- What the source learnt, its biases too, is part of it."


def _intervals(test: Mapping[str, Any]) -> Iterator[tuple[str, Interval]]:
    for name, value in test.items():
        if isinstance(value, Mapping) and isinstance(value.get("value"), int | float):
            yield name, Interval.from_json(dict(value))


def _versions() -> Iterator[str]:
    for package in ("torch", "timm", "torchvision", "transformers", "safetensors", "pillow"):
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _quoted(argument: str) -> str:
    """A command's argument as Python writes it."""
    return repr(shlex.split(argument)[0])


def _plain(text: str) -> str:
    """User's words on one line, unable to end a code span or begin a heading."""
    return " ".join(str(text).split()).replace("`", "'")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"
