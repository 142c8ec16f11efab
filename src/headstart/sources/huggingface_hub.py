"""Files of the Hugging Face hub: from its cache on this machine, else fetched, or refused at once when offline."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import constants

from headstart.core.errors import OfflineError, SourceError
from headstart.core.source import Availability
from headstart.sources.reach import offline_message, require_host


def cached(repository: str, file: str) -> Path | None:
    """Where a file of a repository's main branch lies in the hub's cache, or None. Never asks the network.

    The same as huggingface_hub.try_to_load_from_cache, which takes half a second to import.
    """
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text().strip()
    except OSError:
        return None
    found = folder / "snapshots" / commit / file
    return found if found.is_file() else None


def availability(repository: str, file: str) -> Availability:
    """Whether the cache has the file."""
    found = cached(repository, file)
    return Availability(True, str(found)) if found else Availability(False, "fetched from the hub on first use")


def fetch(repository: str, file: str, source: str) -> Path:
    """The file, from the cache if it is there. source: the name that messages show.

    Raises OfflineError where the hub does not answer or HF_HUB_OFFLINE is set, SourceError where it refuses.
    """
    found = cached(repository, file)
    if found is not None:
        return found
    if constants.HF_HUB_OFFLINE:
        raise OfflineError(f"{offline_message(source, constants.ENDPOINT)} (HF_HUB_OFFLINE is set.)")
    require_host(constants.ENDPOINT, source)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(hf_hub_download(repository, file))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SourceError(
            f"source {source!r}: {file} of {repository} could not be fetched from the hub: {reason} "
            "Expected a public repository with safetensors weights; check the name, or sign in with `hf auth login`."
        ) from None
