"""`headstart tune` as a user meets it: a study, the list of what is searched, what is said where something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headstart.cli import app as cli
from headstart.recipes.tuning import finals
from headstart.recipes.tuning.space import TABLE


def here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """The command in this process: (exit code, standard output, standard error)."""
    capsys.readouterr()
    code = cli.run(["tune", *(str(argument) for argument in arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "DATA is missing"),
        (["nowhere"], "nowhere"),
        (["PHOTOS", "--trials", "0"], "--trials"),
        (["PHOTOS", "--workers", "none"], "--workers"),
        (["PHOTOS", "--budget", "soon"], "'soon' is no time. Expected for instance 60s, 10m or 2h"),
        (["PHOTOS", "--budget", "-5s"], "'-5s' is no time"),
        (["PHOTOS", "--method", "lpft"], "unknown method 'lpft'"),
        (["PHOTOS", "--source", "tiny-net"], "unknown source 'tiny-net'"),
        (["PHOTOS", "--set", "epoch=1"], "Did you mean 'epochs'"),
        (["PHOTOS", "--space", "learning_rate"], "--space takes KEY=LOW..HIGH or KEY=A,B,C"),
        (["PHOTOS", "--space", "dropout=0..2"], "--space dropout=2"),
        (["PHOTOS", "--space", "dropout=0..0.1", "--space", "dropout=0..0.2"], "given twice"),
        (["PHOTOS", "--set", "epochs=2", "--space", "epochs=1..4"], "fixed by --set and searched by --space"),
        (["PHOTOS", "--method", "probe", "--space", "method.rank=2,4"], "unknown option to search: 'method.rank'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_message_and_writes_nothing(
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
    toy_photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(toy_photos) if argument == "PHOTOS" else argument for argument in arguments]
    more = ["--source", source] if given and "--source" not in given else []
    code, out, err = here(capsys, *given, *more, "--json")
    assert code == 2
    said = json.loads(out)["error"]
    assert words in said["message"]
    assert said["exit_code"] == 2
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    from safetensors.torch import save_file

    from headstart.testing.sources import tiny_source

    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file({n.removeprefix("network."): t.contiguous() for n, t in tiny_source().load().state_dict().items()}, path)
    return f"{path}@timm:test_efficientnet"


def test_without_optuna_it_is_one_line_with_the_command_that_brings_it(
    capsys: pytest.CaptureFixture[str], toy_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, out, err = here(capsys, toy_photos)
    assert (code, out) == (2, "")
    assert err == (
        "headstart: Tuning needs the package 'optuna', which is not installed. "
        "Install it with: pip install 'headstart[tune]' (in a checkout: pip install '.[tune]')\n"
    )


def test_a_folder_with_other_things_in_it_is_left_alone(
    capsys: pytest.CaptureFixture[str], toy_photos: Path, source: str, tmp_path: Path
) -> None:
    (tmp_path / "chapter.txt").write_text("years of work")
    code, _, err = here(capsys, toy_photos, "--source", source, "--out", tmp_path)
    assert code == 2
    assert "other things in it" in err
    assert [path.name for path in tmp_path.iterdir()] == ["chapter.txt"]
    code, _, err = here(capsys, toy_photos, "--source", source, "--out", tmp_path / "chapter.txt")
    assert (code, "is a file" in err) == (2, True)


def test_what_is_searched_is_listed_without_loading_anything() -> None:
    code = (
        "import sys; from headstart.cli.app import run\n"
        "code = run(['tune', '--list-space', '--json'])\n"
        "found = [name for name in ('torch', 'numpy', 'optuna', 'sqlalchemy') if name in sys.modules]\n"
        "sys.exit(f'{found} were loaded' if found else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    assert [row["key"] for row in rows] == [row.key for row in TABLE]
    assert all(row["values"] and row["where"] for row in rows)


def test_a_study_from_the_command_line(
    capsys: pytest.CaptureFixture[str],
    toy_photos: Path,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The probe has four combinations: each is tried, none is trained twice, and the study ends by itself."""
    monkeypatch.setattr(finals, "DIVISIONS", 1)
    place = tmp_path / "study"
    arguments = (toy_photos, "--source", source, "--method", "probe", "--verdict", "none", "--out", place)
    code, out, err = here(capsys, *arguments, "--trials", "50", "--json")
    assert code == 0, err
    assert f"report: {place / 'report.html'}" in err
    found = json.loads(out)
    assert found["study"] == str(place)
    first: dict[str, int] = {}
    for trial in found["trials"]:
        before = first.setdefault(json.dumps(trial["values"], sort_keys=True), trial["number"])
        assert trial["detail"] == ("" if before == trial["number"] else f"the same options as trial {before}")
        assert trial["value"] == found["trials"][before]["value"]
    assert len(first) == 4
    assert found["looks"]["validation"] == 4
    assert found["looks"]["test"] == (1 if found["verdict"] is None else 2)
