"""Imports go one way, every room has its place in the layers, and a library is imported in the file named for it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

SOURCE = Path(__file__).resolve().parent.parent / "src" / "headstart"

HOMES: dict[str, tuple[str, ...]] = {
    "accelerate": ("training/",),
    "datasets": ("data/readers/hub.py",),
    "imagehash": ("data/",),
    "jinja2": ("evaluation/report/",),
    "matplotlib": ("evaluation/report/",),
    "mlflow": ("tracking/mlflow.py",),
    "peft": ("nn/lora.py",),
    "platformdirs": ("core/",),
    "tensorboard": ("tracking/tensorboard.py",),
    "timm": ("sources/timm.py",),
    "torch.utils.tensorboard": ("tracking/tensorboard.py",),
    "transformers": ("sources/transformers.py",),
    "typer": ("cli/",),
    "wandb": ("tracking/wandb.py",),
}
"""Library -> where below src/headstart it may be imported."""

UNPICKLERS = {"dill", "cloudpickle", "joblib", "pickle", "shelve"}
RESTRICTED_UNPICKLER = "sources/packs/"
"""The one room that may name pickle: it reads arrays through a restricted unpickler, after a hash check."""


def files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(dotted module, line) of every import, also of `require("module", ...)` and `import_module("module")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"require", "import_module"} and isinstance(node.args[0].value, str):
                yield node.args[0].value, node.lineno


def strangers(tree: ast.AST, path: str) -> list[str]:
    """What `path` imports that has its home elsewhere."""
    return [
        f"{path}:{line} imports {module}; its home is {' or '.join(homes)}"
        for module, line in imported(tree)
        for library, homes in HOMES.items()
        if (module == library or module.startswith(library + ".")) and not path.startswith(homes)
    ]


def test_imports_go_one_way(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(repository / "pyproject.toml"), no_cache=True, no_logo=True)
    assert code == 0, capsys.readouterr().out


def test_every_room_has_a_layer(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [line.split("|") for line in settings["contracts"][0]["layers"]]
    placed = {room.strip(" ()").removeprefix("headstart.") for line in layers for room in line}
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert rooms - placed == {"testing"}


def test_libraries_are_imported_in_the_file_named_for_them() -> None:
    found = [
        wrong
        for path in files()
        for wrong in strangers(ast.parse(path.read_text()), path.relative_to(SOURCE).as_posix())
    ]
    assert not found, "\n".join(found)


def test_a_stranger_is_noticed() -> None:
    tree = ast.parse(
        "import timm.data\ndef f():\n    from torch.utils.tensorboard import SummaryWriter\n    require('wandb', 'x')"
    )
    assert len(strangers(tree, "evaluation/evaluate.py")) == 3
    assert not strangers(ast.parse("import timm"), "sources/timm.py")


def test_nothing_is_unpickled() -> None:
    """No pickle library outside the restricted unpickler, no torch.load without weights_only, no numpy pickles."""
    found = []
    for path in files():
        name, tree = path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text())
        if not name.startswith(RESTRICTED_UNPICKLER):
            found += [f"{name}:{line} imports {m}" for m, line in imported(tree) if m.partition(".")[0] in UNPICKLERS]
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            options = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            if ast.unparse(node.func) == "torch.load" and options.get("weights_only") is not True:
                found.append(f"{name}:{node.lineno} torch.load without weights_only=True")
            if options.get("allow_pickle") is True:
                found.append(f"{name}:{node.lineno} allow_pickle=True")
    assert not found, "\n".join(found)
