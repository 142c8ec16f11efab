"""`headstart doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headstart.cli.output import Json, print_json, size, table

EPILOG = "Example: headstart doctor --json"


def command(as_json: bool = Json) -> None:
    """What this machine has, which sources work here, what to install."""
    from headstart.recipes.doctor import doctor

    found = doctor()
    if as_json:
        return print_json(found)
    table(("", ""), _rows(found))
    print()
    for problem in found["problems"] or ["No problem was found."]:
        print(problem)


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "headstart", f"{found['headstart']}, Python {found['python']}, {found['platform']}"
    yield "packages", ", ".join(f"{name} {version or 'absent'}" for name, version in found["packages"].items())
    device = found["device"]
    if device:
        model = f" ({device['model']})" if device["model"] else ""
        yield "computes on", f"{device['name']}{model}, best in {device['precision']}, {device['threads']} threads"
    else:
        yield "computes on", "nothing: torch does not work here"
    processor, memory, cache = found["processor"], found["memory"], found["cache"]
    features = ", ".join(processor["features"]) or "no features that matter here"
    yield "processor", f"{processor['name']}, {processor['cores']} cores, {features}"
    yield "memory", f"{size(memory['available_bytes'])} free of {size(memory['total_bytes'])}"
    yield (
        "cache",
        f"{cache['path']}, {size(cache['size_bytes'])} in {cache['files']} files, {size(cache['free_bytes'])} free",
    )
    here = [row["name"] for row in found["sources"] if row["here"]]
    yield "sources here", ", ".join(here) or "none"
    packs = [row["name"] for row in found["sources"] if not row["here"] and row["how"].startswith("headstart sources")]
    if packs:
        yield "can be installed", f"headstart sources install {' '.join(packs)}"
    for extra, row in found["extras"].items():
        yield (
            f"[{extra}]",
            "installed" if row["installed"] else f"{row['install']}  (lacks {', '.join(row['missing'])})",
        )
