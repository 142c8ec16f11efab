"""The documents say what is so: links lead somewhere, commands and options exist, generated parts are up to date."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from headstart.cli.app import app
from headstart.core.options import check_keys

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


def test_generated_parts_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/generate_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def commands() -> list[tuple[str, str]]:
    """(page, command line) of every `headstart ...` in a code block or a code span."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```\n(.*?)```|`(headstart [^`\n]+)`", page.read_text(), re.DOTALL):
            for line in "".join(block).splitlines():
                words = line.partition("#")[0].strip().removeprefix(".venv/bin/")
                if re.match(r"headstart( |$)", words):
                    found.append((str(page.relative_to(ROOT)), words))
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_in_the_documents_exist(page: str, line: str) -> None:
    _, *words = shlex.split(line)
    command: Any = get_command(app)
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{page}: headstart has no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in known | {"--help"}, f"{page}: `{line}` has an option that does not exist"


def test_options_in_the_documents_exist() -> None:
    keys = [key for _, line in commands() for key in re.findall(r"--set ([\w.]+)=", line)]
    assert keys
    check_keys(dict.fromkeys(keys))


def test_the_readme_shows_the_rooms() -> None:
    tree = (ROOT / "README.md").read_text().partition("src/headstart/\n")[2].partition("```")[0]
    named = set(re.findall(r"^  (\w+)/", tree, re.MULTILINE))
    assert named == {path.parent.name for path in (ROOT / "src" / "headstart").glob("*/__init__.py")}


def test_every_method_is_documented() -> None:
    from headstart.methods import METHODS

    rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "methods.md").read_text(), re.MULTILINE)
    assert set(rows) == {*METHODS, "auto"}


def test_dependencies_are_pinned_to_what_was_tested() -> None:
    pins = {
        canonicalize_name(pin.name): pin.specifier
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
        for pin in [Requirement(line)]
    }
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["train"], *extras["bundled"], *extras["dev"]]:
        wanted = Requirement(text)
        if wanted.name == "headstart":
            continue
        pinned = pins[canonicalize_name(wanted.name)]
        (pin,) = pinned
        assert wanted.specifier.contains(pin.version), (
            f"constraints.txt pins {wanted.name} {pinned}, pyproject wants {wanted}"
        )


def test_what_is_imported_is_declared() -> None:
    """Every library that src/ imports is a dependency or in an extra; every extra that a message names exists."""
    from importlib.metadata import packages_distributions

    extras = PROJECT["optional-dependencies"]
    declared = {
        canonicalize_name(Requirement(text).name)
        for text in [*PROJECT["dependencies"], *(text for group in extras.values() for text in group)]
    }
    provided = packages_distributions()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            for module in modules:
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "headstart" and top in provided:
                    names = {canonicalize_name(name) for name in provided[top]}
                    assert names & declared, (
                        f"{path.relative_to(ROOT)} imports {top}, which pyproject.toml does not name"
                    )
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in {"require", "MissingExtra"}
                and len(node.args) > 1
            ):
                extra = node.args[1]
                if isinstance(extra, ast.Constant):
                    assert extra.value in extras, f"{path.relative_to(ROOT)} names the extra {extra.value!r}"


def test_the_changelog_knows_the_version() -> None:
    import headstart

    assert headstart.__version__ == PROJECT["version"] == version("headstart")
    assert f"## [{PROJECT['version']}] - " in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_open_with_command_cost_and_result(example: Path) -> None:
    words = ast.get_docstring(ast.parse(example.read_text())) or ""
    assert re.search(rf"^Run: +python examples/{example.name}", words, re.MULTILINE)
    assert re.search(r"^Cost: +\S", words, re.MULTILINE)
    assert re.search(r"^Expect: +\S", words, re.MULTILINE)
