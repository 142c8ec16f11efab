"""Names: what resolves to what, and what is said of a name that does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headstart.core.card import Architecture, ImageInput
from headstart.core.errors import ConfigError, SourceError
from headstart.sources import LIBRARIES, PACKS, build, catalog, resolve
from headstart.sources.local import LocalSource
from headstart.sources.run import RunSource
from headstart.sources.timm import TimmSource
from headstart.sources.torchvision import TorchvisionSource
from headstart.sources.transformers import TransformersSource


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timm:resnet18.a1_in1k", TimmSource("resnet18.a1_in1k")),
        ("resnet18.a1_in1k", TimmSource("resnet18.a1_in1k")),
        ("torchvision:resnet50.IMAGENET1K_V1", TorchvisionSource("resnet50.IMAGENET1K_V1")),
        ("transformers:google/vit-base-patch16-224", TransformersSource("google/vit-base-patch16-224")),
        ("some/where.pth@torchvision:vgg16", LocalSource(Path("some/where.pth"), "torchvision:vgg16")),
        ("a@b.safetensors@timm:resnet18", LocalSource(Path("a@b.safetensors"), "timm:resnet18")),
    ],
)
def test_a_name_resolves_without_loading(name: str, expected: object) -> None:
    assert resolve(name) == expected


def test_a_folder_is_an_earlier_run(tmp_path: Path) -> None:
    assert resolve(str(tmp_path)) == RunSource(tmp_path)


def test_packs_resolve_to_themselves() -> None:
    assert {name: resolve(name).card.name for name in PACKS} == {name: name for name in PACKS}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("efficientnet-lite9", "unknown source 'efficientnet-lite9'. Did you mean 'efficientnet-lite"),
        ("kerras:resnet", "'timm:NAME', 'torchvision:NAME', 'transformers:OWNER/NAME'"),
        ("weights.safetensors", "Expected e.g. 'weights.safetensors@timm:resnet18'"),
        ("no/such/folder", "unknown source"),
    ],
)
def test_an_unknown_name_says_what_is_known(name: str, words: str) -> None:
    with pytest.raises(SourceError) as error:
        resolve(name)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:resnet19", "unknown pretrained timm model 'resnet19'"),
        ("timm:efficientnet_blur_b0", "unknown pretrained timm model"),
        ("torchvision:resnet19", "unknown torchvision model 'resnet19'. Did you mean 'resnet1"),
        ("torchvision:resnet18.V9", "unknown weights of torchvision's resnet18 'V9'. Known: DEFAULT, IMAGENET1K_V1."),
    ],
)
def test_a_library_says_what_it_has(name: str, words: str) -> None:
    with pytest.raises(SourceError) as error:
        _ = resolve(name).card
    assert words in str(error.value)
    assert len(str(error.value)) < 400


def test_building_an_unknown_architecture_is_refused() -> None:
    for library in LIBRARIES:
        with pytest.raises((SourceError, ConfigError), match="nosuchnet"):
            build(Architecture(library=library, name="nosuchnet"), ImageInput())
    with pytest.raises(ConfigError, match="unknown library 'keras'"):
        build(Architecture(library="keras", name="vgg16"), ImageInput())


def test_listing_imports_no_library_of_models() -> None:
    code = (
        "import sys\n"
        "from headstart.sources import catalog\n"
        "rows = [entry.to_json() for entry in catalog.entries()]\n"
        "assert len(rows) > 10\n"
        "heavy = {'torch', 'timm', 'torchvision', 'transformers', 'numpy', 'safetensors', 'httpx'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_row_says_what_a_reader_must_know() -> None:
    rows = [entry.to_json() for entry in catalog.entries()]
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        keys = ("name", "modality", "license", "trained_on", "origin", "how")
        for key in (
            (*keys, "size_bytes", "parameters") if row["pretrained"] else keys
        ):  # the others have met no data yet
            assert row[key], (row["name"], key)
        assert catalog.show(row["name"]).to_json() == row


def test_a_row_of_a_hub_tells_the_truth() -> None:
    """What the catalogue writes down agrees with what the libraries say of the same model."""
    from headstart.sources.measure import measure
    from headstart.sources.timm import _card

    for card in catalog.hub_cards():
        assert measure(card.architecture, card.input) == (card.parameters, card.width), card.name
        library, _, model = card.name.partition(":")
        if library == "torchvision":
            computed = TorchvisionSource(model)._card()
            assert computed.model_copy(update={"size_bytes": card.size_bytes}) == card
            assert computed.size_bytes == pytest.approx(card.size_bytes, rel=0.001)
        elif library == "timm":
            computed = _card(model, TimmSource(model)._config)
            assert computed.license.lower() == card.license.lower()
            assert (computed.trained_on, computed.origin) == (card.trained_on, card.origin)
            if not card.architecture.options:
                assert computed.input == card.input, card.name


def test_a_broken_entry_point_does_not_hide_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = dict(PACKS._targets)
    monkeypatch.setitem(PACKS.__dict__, "_targets", {**targets, "broken": "no.such.module:PACK"})
    names = [entry.card.name for entry in catalog.entries()]
    assert "broken" not in names
    assert set(targets) <= set(names)


def test_only_packs_can_be_installed() -> None:
    with pytest.raises(SourceError, match=r"no pack, so there is nothing to install.*Packs: .*efficientnet-lite0"):
        catalog.install(["timm:resnet18.a1_in1k"], print)
