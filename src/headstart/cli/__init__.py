"""The command line: thin, one file a command."""

from __future__ import annotations


def main() -> None:
    """The `headstart` command."""
    from headstart.cli.app import run

    raise SystemExit(run())
