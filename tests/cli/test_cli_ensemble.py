"""`headstart ensemble` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

import headstart.recipes.serving
from headstart.cli import app as cli
from headstart.testing.sources import tiny_source


@pytest.fixture(scope="module")
def runs(toy_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs, fitted by the command."""
    place = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("one", "other")):
        network = tiny_source(seed).load().state_dict()
        weights = place / f"{name}.safetensors"
        save_file({n.removeprefix("network."): t.contiguous() for n, t in network.items()}, weights)
        options = ["--method", "probe", "--verdict", "none", "--track", "none", "--out", str(place / name)]
        assert cli.run(["fit", str(toy_photos), "--source", f"{weights}@timm:test_efficientnet", *options]) == 0
    return [place / "one", place / "other"]


def here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    capsys.readouterr()
    code = cli.run(["ensemble", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_it_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = here(capsys, "--help")
    assert code == 0
    assert "Example: headstart ensemble runs/a runs/b --out runs/both" in " ".join(out.split())
    assert all(option in out for option in ("--weights", "--combine", "--seed", "--json", "--overwrite"))


def test_two_runs_become_one_that_predicts(
    capsys: pytest.CaptureFixture[str], runs: list[Path], toy_photos: Path, tmp_path: Path
) -> None:
    """Joined by a real process. The last line says gain and cost; the model folder needs the members' runs no more."""
    out = tmp_path / "both"
    made = headstart_process("ensemble", *runs, "--out", out, "--weights", "validation")
    assert (made.returncode, made.stderr) == (0, "")
    *_, last = made.stdout.splitlines()
    assert last.startswith("Accuracy ")
    assert "over its best member" in last
    assert "times its size on disk" in last
    assert "orth it" in last
    moved = out.rename(tmp_path / "moved")
    capsys.readouterr()
    assert cli.run(["predict", str(moved), str(toy_photos / "test" / "disc"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 6


def headstart_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headstart", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_json_is_one_document_with_the_metrics_and_the_cost(
    capsys: pytest.CaptureFixture[str], runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headstart.recipes.serving, "SECONDS", 0.0)
    out = tmp_path / "both"
    code, text, words = here(capsys, *runs, "--out", out, "--combine", "logits", "--json")
    assert code == 0
    document = json.loads(text)
    assert document["run"] == str(out)
    assert document["ensemble"]["combine"] == "logits"
    assert [row["name"] for row in document["cost"]["serving"]] == ["ensemble", document["verdict"]["against"]]
    assert document["cost"]["conclusion"] in words
    code, _, words = here(capsys, *runs, "--out", out)
    assert (code, "a finished run" in words) == (2, True)
    code, _, words = here(capsys, out / "recipe.yaml", "--out", out, "--overwrite")
    assert (code, words) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs/a", "runs/b"], "--out"),
        (["nowhere", "--out", "both"], "nowhere is no finished run"),
        (["runs/a", "--out", "both", "--weights", "best"], "best"),
        (["recipe.yaml", "--out", "both"], "recipe.yaml cannot be read"),
    ],
)
def test_a_wrong_command_line_is_one_message_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = here(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
