"""Back-translation: training texts also as they come back from another language (Sennrich et al. 2016).

    headstart fit reviews.csv --set augment.back_translation=Helsinki-NLP/opus-mt-en-de,Helsinki-NLP/opus-mt-de-en

Each text is translated once, before training, and what comes back is kept in the cache by the text and the content of
both models: work that was killed goes on where it stood. Every view of a training item then draws the text or what came
back of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headstart.core.config import AugmentConfig
from headstart.core.errors import ConfigError
from headstart.core.progress import Progress
from headstart.data.dataset import Dataset, Item
from headstart.data.loader import Batches
from headstart.data.transforms.text import back_translated
from headstart.features.store import FeatureStore
from headstart.recipes.prepare import Target
from headstart.sources.transformers_translation import TranslationModel

TOGETHER = 64
"""Texts between two looks at the cache: what a kill can cost."""

Translators = tuple[TranslationModel, TranslationModel]


def translators(augment: AugmentConfig, dataset: Dataset) -> Translators | None:
    """The models that take the training texts away and back; None where that is not asked for.

    Raises ConfigError where the items are no texts, or have labels that would not fit other words; OfflineError or
    SourceError where a model is not on this machine and cannot be fetched.
    """
    if not augment.back_translation:
        return None
    if dataset.modality != "text":
        raise ConfigError(
            f"augment.back_translation translates texts, and {dataset.name} holds items of the modality "
            f"{dataset.modality}. Leave it out."
        )
    if dataset.kind in ("tags", "answers"):
        raise ConfigError(
            f"augment.back_translation changes the words that the {dataset.kind} of {dataset.name} belong to. Leave it "
            "out: it is for texts that have a label as a whole."
        )
    forth, back = augment.back_translation.split(",")
    return TranslationModel(forth), TranslationModel(back)


def retold(target: Target, models: Translators, progress: Progress) -> Target:
    """The target whose training items can also be shown as they come back from the other language."""
    part = target.parts["train"]
    originals = [part.batches.item(i) for i in range(len(part))]
    again = _back(sorted({text for given in originals for text in _texts(given)}), models, progress)
    items = [
        _with_version(item, given, tuple(again[text] for text in _texts(given)))
        for item, given in zip(part.dataset.items, originals, strict=True)
    ]
    told = part.dataset.with_items(items)
    train = replace(part, dataset=told, batches=Batches(told, part.batches.kept, target.contract))
    return replace(target, parts={**target.parts, "train": train})


def _texts(given: str | tuple[str, str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given


def _with_version(item: Item, given: str | tuple[str, str], again: tuple[str, ...]) -> Item:
    return item if again == _texts(given) else replace(item, versions=(again[0] if isinstance(given, str) else again,))


def _back(texts: Sequence[str], models: Translators, progress: Progress) -> dict[str, str]:
    """Of each text what comes back; the text itself where nothing does."""
    store, digests = FeatureStore(), [model.digest for model in models]
    progress.stage("translating")
    found: dict[str, str] = {}
    for start in range(0, len(texts), TOGETHER):
        some = texts[start : start + TOGETHER]
        known = {text: store.recall({"text": text, "translators": digests}) for text in some}
        missing = [text for text in some if known[text] is None]
        for text, again in zip(missing, back_translated(missing, *models), strict=True) if missing else ():
            known[text] = "" if again == text else again
            store.remember({"text": text, "translators": digests}, known[text] or "")
        found |= {text: again or text for text, again in known.items()}
        progress.advance("translating", start + len(some), len(texts))
    return found
