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
    "jinja2": ("evaluation/report/",),
    "mlflow": ("tracking/mlflow.py",),
    "ot": ("methods/adaptation/shallow/pot.py",),
    "peft": ("nn/lora.py",),
    "platformdirs": ("core/",),
    "soundfile": ("data/sound.py",),
    "soxr": ("data/sound.py",),
    "tensorboard": ("tracking/tensorboard.py",),
    "timm": ("sources/timm.py",),
    "torch.utils.tensorboard": ("tracking/tensorboard.py",),
    "transformers": ("sources/transformers.py", "testing/transformers.py"),
    "typer": ("cli/",),
    "wandb": ("tracking/wandb.py",),
}
"""Library -> where below src/headstart it may be imported."""

UNPICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
RESTRICTED_UNPICKLER = "sources/packs/squeezenet.py"
"""The one file that reads a pickle: arrays only, after a hash check. Others may name pickle's exception, no more."""


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


def unpickled(tree: ast.AST, path: str) -> list[str]:
    """Where `path` could run code from a file: a pickle library, torch.load without weights_only, numpy's pickles."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in UNPICKLERS:
            found.append(f"{path}:{node.lineno} imports from {node.module}")
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in UNPICKLERS:
            if path != RESTRICTED_UNPICKLER and node.attr != "UnpicklingError":
                found.append(f"{path}:{node.lineno} uses {ast.unparse(node)}")
        elif isinstance(node, ast.Call):
            options = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
            if ast.unparse(node.func) == "torch.load" and options.get("weights_only") is not True:
                found.append(f"{path}:{node.lineno} torch.load without weights_only=True")
            if options.get("allow_pickle") is True:
                found.append(f"{path}:{node.lineno} allow_pickle=True")
    return found


def test_nothing_is_unpickled() -> None:
    found = [
        danger
        for path in files()
        for danger in unpickled(ast.parse(path.read_text()), path.relative_to(SOURCE).as_posix())
    ]
    assert not found, "\n".join(found)


def test_unpickling_is_noticed() -> None:
    tree = ast.parse(
        "import pickle\npickle.loads(x)\ntorch.load(f)\nnp.load(f, allow_pickle=True)\nfrom joblib import load"
    )
    assert len(unpickled(tree, "data/read.py")) == 4
    assert not unpickled(
        ast.parse("try:\n    torch.load(f, weights_only=True)\nexcept pickle.UnpicklingError:\n    pass"), "a.py"
    )
