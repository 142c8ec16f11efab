"""What can be reused, listed without importing torch or any library of models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from headstart.core.card import Architecture, ImageInput, SourceCard
from headstart.core.errors import SourceError, UserError
from headstart.core.source import Availability, Source
from headstart.sources import PACKS, huggingface_hub, resolve
from headstart.sources.packs.pack import Pack
from headstart.sources.recurrent import NETWORKS as RECURRENT
from headstart.sources.recurrent import RecurrentNetwork
from headstart.sources.tables import NETWORKS as OF_TABLES
from headstart.sources.tables import TableNetwork


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue: what is known of a source, and whether it is on this machine."""

    card: SourceCard
    availability: Availability

    def to_json(self) -> dict[str, Any]:
        return {
            **self.card.model_dump(mode="json"),
            "here": self.availability.here,
            "how": self.availability.how,
        }


def entries() -> list[Entry]:
    """Every pack, then networks of random weights, then well-known models of hubs. A pack that cannot be described is
    left out, never a crash."""
    rows = []
    for name in PACKS:
        try:
            rows.append(_entry(PACKS[name]))
        except (ImportError, UserError):  # a broken third-party entry point
            continue
    rows += [_entry(TableNetwork(name)) for name in OF_TABLES] + [_entry(RecurrentNetwork(name)) for name in RECURRENT]
    return rows + [Entry(card, _hub_availability(card)) for card in hub_cards()]


def show(name: str) -> Entry:
    """The row of any source that `resolve` takes. Raises SourceError for an unknown name."""
    known = hub_card(name)
    return Entry(known, _hub_availability(known)) if known else _entry(resolve(name))


def install(names: Iterable[str], report: Callable[[str], None]) -> None:
    """Bring packs to this machine. report: takes one line of progress at a time.

    Raises SourceError for a name that is no pack, a withdrawn or changed distribution; OfflineError where the
    package index does not answer. Names before the failing one stay installed.
    """
    for name in names:
        source = resolve(name)
        if isinstance(source, Pack):
            source.install(report)
        else:
            raise SourceError(
                f"{name!r} is no pack, so there is nothing to install: {source.availability().how}. "
                f"Packs: {', '.join(PACKS)}."
            )


def available_packs() -> tuple[list[str], list[str]]:
    """Names of the packs that are on this machine, and of those that `headstart sources install` would bring."""
    here: list[str] = []
    elsewhere: list[str] = []
    for entry in entries():
        if entry.card.name in PACKS:
            (here if entry.availability.here else elsewhere).append(entry.card.name)
    return here, elsewhere


def _entry(source: Source) -> Entry:
    return Entry(source.card, source.availability())


def hub_card(name: str) -> SourceCard | None:
    """The card of a well-known hub model, by its full name ("timm:resnet18.a1_in1k")."""
    return next((card for card in hub_cards() if card.name == name), None)


def _hub_availability(card: SourceCard) -> Availability:
    _, hub, repository = card.origin.partition("https://huggingface.co/")
    return huggingface_hub.availability(repository, "model.safetensors") if hub else torch_cache(card.origin)


def torch_cache(url: str) -> Availability:
    """Whether torch.hub has fetched a URL before; as torch.hub.get_dir() decides where that would be."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    file = Path(home).expanduser() / "hub" / "checkpoints" / url.rpartition("/")[2]
    return Availability(True, str(file)) if file.is_file() else Availability(False, "fetched on first use")


@cache
def hub_cards() -> tuple[SourceCard, ...]:
    """Well-known models of the hubs, written down so that listing them imports no library. Sizes without heads."""
    half = (0.5, 0.5, 0.5)
    return (
        _timm("resnet18.a1_in1k", 11_176_512, 512, ImageInput(resize=235), paper="arXiv:2110.00476"),
        _timm("resnet50.a1_in1k", 23_508_032, 2048, ImageInput(resize=235), paper="arXiv:2110.00476"),
        _timm("mobilenetv3_large_100.ra_in1k", 4_202_032, 1280, ImageInput()),
        _timm(
            "convnext_tiny.fb_in22k_ft_in1k", 27_820_128, 768, ImageInput(), trained_on="ImageNet-22k, then ImageNet-1k"
        ),
        _timm(
            "vit_small_patch16_224.augreg_in21k_ft_in1k",
            21_665_664,
            384,
            ImageInput(resize=248, mean=half, std=half),
            trained_on="ImageNet-21k, then ImageNet-1k",
            paper="arXiv:2106.10270",
        ),
        _timm(
            "vit_small_patch14_dinov2.lvd142m",
            21_628_800,
            384,
            ImageInput(),
            trained_on="LVD-142M, no labels",
            options={"img_size": 224},
            paper="arXiv:2304.07193",
            notes="Run at 224 pixels, where it is ten times faster than at its own 518.",
        ),
        _timm("vgg16.tv_in1k", 134_260_544, 4096, ImageInput(interpolation="bilinear"), license="BSD-3-Clause"),
        _torchvision("resnet18", "resnet18-f37072fd", 11_176_512, 46_830_571, 512, 0.69758),
        _torchvision("vgg16", "vgg16-397923af", 134_260_544, 553_433_881, 4096, 0.71592),
        _transformers(
            "google/vit-base-patch16-224",
            "vit",
            85_798_656,
            768,
            ImageInput(resize=224, interpolation="bilinear", mean=half, std=half),
            "ImageNet-21k, then ImageNet-1k",
        ),
        _transformers("microsoft/resnet-50", "resnet", 23_508_032, 2048, ImageInput(), "ImageNet-1k"),
    )


def _timm(
    model: str,
    parameters: int,
    width: int,
    input: ImageInput,
    *,
    trained_on: str = "ImageNet-1k",
    license: str = "Apache-2.0",
    options: dict[str, Any] | None = None,
    paper: str | None = None,
    notes: str = "",
) -> SourceCard:
    return SourceCard(
        name=f"timm:{model}",
        modality="image",
        architecture=Architecture(library="timm", name=model, options=options or {}),
        input=input,
        license=license,
        trained_on=trained_on,
        origin=f"https://huggingface.co/timm/{model}",
        parameters=parameters,
        size_bytes=4 * parameters,
        width=width,
        paper=paper,
        notes=notes,
    )


def _torchvision(model: str, file: str, parameters: int, size: int, width: int, accuracy: float) -> SourceCard:
    return SourceCard(
        name=f"torchvision:{model}",
        modality="image",
        architecture=Architecture(library="torchvision", name=model),
        input=ImageInput(interpolation="bilinear"),
        license="BSD-3-Clause",
        trained_on="ImageNet-1k",
        origin=f"https://download.pytorch.org/models/{file}.pth",
        parameters=parameters,
        size_bytes=size,
        width=width,
        source_accuracy=accuracy,
    )


def _transformers(model: str, type: str, parameters: int, width: int, input: ImageInput, trained_on: str) -> SourceCard:
    """A model whose configuration is the default one of its type."""
    return SourceCard(
        name=f"transformers:{model}",
        modality="image",
        architecture=Architecture(library="transformers", name=type),
        input=input,
        license="Apache-2.0",
        trained_on=trained_on,
        origin=f"https://huggingface.co/{model}",
        parameters=parameters,
        size_bytes=4 * parameters,
        width=width,
    )
