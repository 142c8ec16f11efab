"""`headstart rank` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from headstart.cli import app as cli
from headstart.cli.rank import _absent, _verdict
from headstart.testing.sources import tiny_source


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A source that a command line can name."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file({n.removeprefix("network."): t.contiguous() for n, t in tiny_source().load().state_dict().items()}, path)
    return f"{path}@timm:test_efficientnet"


def here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command in this process."""
    capsys.readouterr()
    code = cli.run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_json_is_one_list_best_first(capsys: pytest.CaptureFixture[str], toy_photos: Path, weights: str) -> None:
    code, out, err = here(capsys, "rank", toy_photos, "--source", weights, "--json")
    assert code == 0
    (row,) = json.loads(out)
    keys = {"source", "modality", "score", "low", "high", "seconds", "parameters", "license", "scores"}
    assert keys <= row.keys()
    assert row["source"] == weights
    assert row["score"] == row["scores"]["probe"]
    assert "the only one that was looked at" in err


def test_a_table_for_people(capsys: pytest.CaptureFixture[str], toy_photos: Path, weights: str) -> None:
    code, out, _ = here(capsys, "rank", toy_photos, "--source", weights, "--score", "logme", "--budget", "10m")
    assert code == 0
    first, _, row, *_ = out.splitlines()
    assert ("logme" in first, "memory" in first, "licence" in first) == (True, True, True)
    assert weights in row
    assert "Pareto" in row


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "DATA"),
        (["--budget", "soon"], "60s"),
        (["--budget", "-5s"], "60s"),
        (["--score", "logmee"], "Did you mean 'logme'"),
        (["--source", "efficientnet-light0"], "Did you mean 'efficientnet-lite0'"),
        (["--seed", "-1"], "--seed"),
        (["--task", "detection"], "detection"),
        (["--label", "x"], "--label"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_what_is_wrong_is_one_message_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], toy_photos: Path, arguments: list[str], words: str, as_json: bool
) -> None:
    data = [toy_photos] if arguments else []
    code, out, err = here(capsys, "rank", *data, *arguments, *(["--json"] if as_json else []))
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    if as_json:
        assert words in json.loads(out)["error"]["message"]
    else:
        assert out == ""


def test_help_loads_no_torch() -> None:
    code = (
        "import sys; from headstart.cli.app import run\n"
        "code = run(['rank', '--help'])\n"
        "found = [name for name in ('torch', 'numpy', 'scipy') if name in sys.modules]\n"
        "sys.exit(f'{found} were loaded' if found else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Example: headstart rank photos/" in " ".join(done.stdout.split())


def test_the_verdict_names_ties_and_the_cheapest_of_them() -> None:
    def row(name: str, seconds: float, tied: bool) -> dict[str, object]:
        return {"source": name, "seconds": seconds, "tied": tied}

    assert _verdict((row("a", 1, True),)) == "a is the only one that was looked at."
    assert _verdict((row("a", 9, True), row("b", 1, False))) == "a is best beyond chance."
    assert _verdict((row("a", 9, True), row("b", 5, True), row("c", 1, False))) == (
        "a is best, but b may be as good; the cheapest of them is b."
    )


def test_what_is_absent_is_told_by_the_way_to_get_it() -> None:
    absent = ({"source": "a", "how": "x"}, {"source": "b", "how": "y"}, {"source": "c", "how": "x"})
    assert _absent(absent) == ["not on this machine: a, c (x).", "not on this machine: b (y)."]
