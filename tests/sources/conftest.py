"""Fixtures of the tests of sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headstart.testing.host import Host, serve


@pytest.fixture
def host() -> Iterator[Host]:
    """A web server on this machine that stands in for a hub."""
    with serve() as here:
        yield here
