"""`headstart cache`."""

from __future__ import annotations

from typing import Any

import typer

from headstart.cli.output import Json, print_json, size, table, tell

app = typer.Typer(help="See and clear what is kept to save work.", invoke_without_command=True)


@app.callback(epilog="Example: headstart cache clear")
def root(context: typer.Context, as_json: bool = Json) -> None:
    if context.invoked_subcommand is None:
        info_command(as_json)


@app.command("info", epilog="Example: headstart cache info --json")
def info_command(as_json: bool = Json) -> None:
    """Where the cache is, how large, and which features are in it."""
    from headstart.recipes.cache import cache_info

    found = cache_info()
    if as_json:
        return print_json(found)
    features = found["features"]
    print(f"{found['path']}: {size(found['size_bytes'])}, of which features {size(features['size_bytes'])}")
    print(f"features may take {size(features['limit_bytes'])} (HEADSTART_CACHE_LIMIT); what was used longest ago goes")
    if features["shelves"]:
        titles = ("features of", "weights", "computed in", "items", "size", "last used (UTC)")
        table(titles, [_row(shelf) for shelf in features["shelves"]])


@app.command("clear", epilog="Example: headstart cache clear")
def clear_command(as_json: bool = Json) -> None:
    """Remove all stored features; they are computed again where they are wanted. Installed sources stay."""
    from headstart.recipes.cache import clear_cache

    found = clear_cache()
    left = f"; {found['left']} are being written by another process and stay" if found["left"] else ""
    tell(f"{size(found['freed_bytes'])} set free{left}", as_json=as_json)
    if as_json:
        print_json(found)


def _row(shelf: dict[str, Any]) -> tuple[str, ...]:
    about = shelf["about"]
    architecture = about.get("architecture", {})
    weights = str(about.get("weights", ""))
    return (
        f"{architecture.get('library', '?')}:{architecture.get('name', '?')}",
        weights if weights.startswith("random") else weights[:12],
        str(about.get("precision", "")),
        str(shelf["items"]),
        size(shelf["size_bytes"]),
        shelf["used"].replace("T", " ").partition("+")[0],
    )
