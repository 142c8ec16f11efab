"""The command line as a user meets it: real processes, exit codes, one JSON document, one clear line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from headstart.cli import app as cli
from headstart.core.errors import DataError
from headstart.testing.models import save_tiny_model

CLASSES = ("checks", "disc", "stripes")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("run") / "model", classes=CLASSES)


@pytest.fixture
def photos(toy_photos: Path) -> Path:
    return toy_photos / "test"


def headstart(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """A real process."""
    return subprocess.run(
        [sys.executable, "-m", "headstart", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def here(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """The same in this process: (exit code, standard output, standard error)."""
    capsys.readouterr()
    code = cli.run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- quick to start ---------------------------------------------------------------------------------------------------

HEAVY = ("torch", "torchvision", "timm", "transformers", "sklearn", "scipy", "pandas", "matplotlib", "numpy")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["sources"],
        ["sources", "--json"],
        ["sources", "show", "efficientnet-lite0"],
        ["fit", "--help"],
        ["fit", "--options"],
    ],
    ids=" ".join,
)
def test_what_needs_no_model_loads_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from headstart.cli.app import run\n"
        "code = run(sys.argv[1:])\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(f'{found} were loaded' if found else code)"
    )
    assert python(code, *arguments)


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import headstart; dir(headstart)\n"
        "new = {name for name in set(sys.modules) - before if name.partition('.')[0] not in sys.stdlib_module_names}\n"
        "print(sorted(new))"
    )
    assert python(code).strip() == "['headstart']"


# -- help and usage ---------------------------------------------------------------------------------------------------

COMMANDS = (
    "rank",
    "fit",
    "tune",
    "resume",
    "predict",
    "evaluate",
    "compare",
    "sources",
    "sources list",
    "sources show",
    "sources install",
    "doctor",
)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_takes_json(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, _ = here(capsys, *name.split(), "--help")
    assert code == 0
    assert f"Example: headstart {name.split()[0]}" in " ".join(out.split())
    assert "--json" in out


def test_the_list_of_commands_is_the_stable_one(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = here(capsys, "--help")
    assert [
        name
        for name in ("fit", "resume", "predict", "evaluate", "compare", "sources", "doctor")
        if f" {name} " not in out
    ] == []
    assert here(capsys, "--version")[1].startswith("headstart 0.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fti"], "No such command 'fti'"),
        (["fit"], "DATA is missing"),
        (["fit", "x", "--sed", "1"], "No such option: --sed"),
        (["fit", "x", "--seed", "one"], "--seed"),
        (["fit", "x", "--seed", "-1"], "--seed"),
        (["fit", "x", "--verdict", "maybe"], "maybe"),
        (["fit", "x", "--set", "epochs"], "key=value"),
        (["fit", "x", "--set", "epoch=1"], "Did you mean 'epochs'"),
        (["fit", "x", "--epochs", "1", "--set", "epochs=2"], "twice"),
        (["predict", "x"], "INPUT"),
        (["predict", "x", ""], "an argument is empty"),
        (["sources", "show", "efficientnet-light0"], "Did you mean 'efficientnet-lite0'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_a_wrong_command_line_is_one_message_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str, as_json: bool
) -> None:
    code, out, err = here(capsys, *arguments, *(["--json"] if as_json else []))
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    if as_json:
        error = json.loads(out)["error"]
        assert error["exit_code"] == 2
        assert words in error["message"]
    else:
        assert out == ""


def test_completion_knows_commands_methods_and_options() -> None:
    def complete(line: str) -> str:
        words = line.split(" ")
        env = {
            **os.environ,
            "_HEADSTART_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        return headstart(env=env).stdout

    assert "fit" in complete("headstart f").split()
    assert "efficientnet-lite0" in complete("headstart sources install eff").split()
    assert "augment.mixup=" in complete("headstart fit x --set augment.m").split()


# -- predict ----------------------------------------------------------------------------------------------------------


def test_predict_prints_a_line_for_each_image_as_named(
    capsys: pytest.CaptureFixture[str], model: Path, photos: Path
) -> None:
    first = photos / "disc" / "00.jpg"
    code, out, err = here(capsys, "predict", model.parent, first, photos / "checks")
    assert (code, err) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [name for name, _ in lines] == [str(first), *map(str, sorted((photos / "checks").glob("*.jpg")))]
    assert all(answer.split()[0] in CLASSES and 0 < float(answer.split()[1]) <= 1 for _, answer in lines)
    shown = here(capsys, "predict", model, first, "--top", "3")[1].split("\t")[1].split()
    assert sorted(shown[::2]) == sorted(CLASSES)
    assert sum(map(float, shown[1::2])) == pytest.approx(1, abs=2e-3)


def test_predict_json_is_a_list_of_input_label_scores(
    capsys: pytest.CaptureFixture[str], model: Path, photos: Path
) -> None:
    code, out, err = here(capsys, "predict", model, photos / "disc" / "00.jpg", "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert list(row) == ["input", "label", "scores"]
    assert list(row["scores"]) == list(CLASSES)
    assert row["label"] == max(row["scores"], key=row["scores"].get)


def test_predict_names_what_it_cannot_read(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, photos: Path
) -> None:
    shutil.copy(photos / "disc" / "00.jpg", tmp_path / "good.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff no picture")
    code, out, err = here(capsys, "predict", model, tmp_path, "--json")
    assert code == 2
    assert "bad.jpg" in err
    assert json.loads(out)["error"]["type"] == "ImageError"
    code, _, err = here(capsys, "predict", model, tmp_path / "goood.jpg")
    assert code == 2
    assert "goood.jpg does not exist. Did you mean" in err


def test_names_that_are_no_text_are_printed_all_the_same(model: Path, tmp_path: Path, photos: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    shutil.copy(photos / "disc" / "00.jpg", odd)
    done = headstart("predict", model, odd, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(json.loads(done.stdout)[0]["input"]).name.startswith("caf")


def test_a_reader_that_goes_away_ends_it_quietly(model: Path, photos: Path) -> None:
    command = f"'{sys.executable}' -m headstart predict '{model}' '{photos}' --batch-size 1"
    line = f"{command} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_a_pipe_that_is_closed_from_the_start_is_no_failure_of_ours(model: Path, photos: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "headstart", "predict", str(model), str(photos)],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_tampered_model_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, photos: Path
) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "model"))
    (copy / "labels.json").write_text('["checks", "stripes", "disc"]\n')
    code, out, err = here(capsys, "predict", copy, photos)
    assert (code, out) == (2, "")
    assert "labels.json" in err


# -- evaluate, compare ------------------------------------------------------------------------------------------------


def test_evaluate_json_has_the_form_of_metrics_json(
    capsys: pytest.CaptureFixture[str], model: Path, toy_photos: Path
) -> None:
    code, out, err = here(capsys, "evaluate", model, toy_photos, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["n"] == {"train": 0, "validation": 0, "test": 18}
    assert found["items"] == "its test split"
    assert {"accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "ece"} <= found["test"].keys()
    accuracy = found["test"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert "its test split of photos: n = 18" in err


def test_evaluate_agrees_with_predict(capsys: pytest.CaptureFixture[str], model: Path, photos: Path) -> None:
    answers = json.loads(here(capsys, "predict", model, photos, "--json")[1])
    right = [answer["label"] == Path(answer["input"]).parent.name for answer in answers]
    found = json.loads(here(capsys, "evaluate", model, photos, "--json")[1])
    assert found["items"] == "all of its items"
    assert found["test"]["accuracy"]["value"] == pytest.approx(sum(right) / len(right))


def test_evaluate_refuses_labels_that_the_model_does_not_know(
    capsys: pytest.CaptureFixture[str], model: Path, photos: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(photos, tmp_path / "photos"))
    (copy / "disc").rename(copy / "disk")
    code, out, err = here(capsys, "evaluate", model, copy)
    assert (code, out) == (2, "")
    assert "disk" in err
    assert "disc" in err


def finished_run(folder: Path, model: Path, right: int, count: int = 60) -> Path:
    """A run folder with stored predictions, the first `right` of which are right."""
    shutil.copytree(model, folder / "model")
    (folder / "recipe.yaml").touch()
    (folder / "metrics.json").write_text("{}")
    with (folder / "predictions.jsonl").open("w") as out:
        for i in range(count):
            truth = i % 3
            answer = truth if i < right else (truth + 1) % 3
            scores = [0.9 if k == answer else 0.05 for k in range(3)]
            row = {
                "id": f"{i}.jpg",
                "label": CLASSES[truth],
                "predicted": CLASSES[answer],
                "scores": scores,
                "group": None,
            }
            out.write(json.dumps(row) + "\n")
    return folder


def test_compare_tells_the_better_run(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    good, bad = finished_run(tmp_path / "good", model, 55), finished_run(tmp_path / "bad", model, 30)
    code, out, _ = here(capsys, "compare", good, bad, "--json")
    verdict = json.loads(out)["verdict"]
    assert (code, verdict["transfer"], verdict["against"]) == (0, "positive", "bad")
    assert verdict["gain"] == pytest.approx(25 / 60)
    assert json.loads(here(capsys, "compare", bad, good, "--json")[1])["verdict"]["transfer"] == "negative"
    assert "good is better than bad" in here(capsys, "compare", good, bad)[1]


def test_compare_refuses_what_is_not_finished_or_not_comparable(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path
) -> None:
    good, other = finished_run(tmp_path / "good", model, 55), finished_run(tmp_path / "other", model, 30, count=50)
    code, _, err = here(capsys, "compare", good, other)
    assert code == 2
    assert "different items" in err
    (other / "metrics.json").unlink()
    code, _, err = here(capsys, "compare", good, other)
    assert code == 2
    assert f"{other} is no finished run" in err


def test_compare_on_other_data_judges_both_models(
    capsys: pytest.CaptureFixture[str], model: Path, photos: Path
) -> None:
    code, out, _ = here(capsys, "compare", model, model.parent, "--data", photos, "--json")
    verdict = json.loads(out)["verdict"]
    assert (code, verdict["gain"], verdict["n"], verdict["transfer"]) == (0, 0.0, 18, "neutral")


# -- sources, doctor --------------------------------------------------------------------------------------------------


def test_sources_are_listed_with_what_a_user_chooses_by(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = here(capsys, "sources", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    lite = rows["efficientnet-lite0"]
    assert {"modality", "size_bytes", "license", "trained_on", "here", "how"} <= lite.keys()
    assert out == here(capsys, "sources", "list", "--json")[1]
    words = here(capsys, "sources")[1]
    assert [name for name in rows if name not in words] == []
    shown = json.loads(here(capsys, "sources", "show", "efficientnet-lite0", "--json")[1])
    assert shown == lite


def test_a_name_that_is_no_pack_is_not_installed(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = here(capsys, "sources", "install", "timm:resnet18.a1_in1k")
    assert code == 2
    assert "no pack" in err


def test_doctor_tells_versions_device_cache_sources_and_extras(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = here(capsys, "doctor", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["packages"]["torch"]
    assert found["device"]["precision"] in ("bfloat16", "float32")
    assert found["cache"]["path"] == os.environ["HEADSTART_CACHE"]
    assert found["extras"]["train"]["install"] == "pip install '.[train]'"
    assert "dev" not in found["extras"]
    assert found["processor"]["cores"] >= 1
    words = here(capsys, "doctor")[1]
    assert "computes on" in words
    assert "efficientnet-lite0" in words


BROKEN_TORCH = """
import importlib.abc, sys
class Broken(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise OSError("libcudart.so.12: cannot open shared object file")
sys.meta_path.insert(0, Broken())
from headstart.cli.app import run
sys.exit(run(["doctor"] + sys.argv[1:]))
"""


def test_doctor_works_where_torch_does_not() -> None:
    found = json.loads(python(BROKEN_TORCH, "--json"))
    assert found["device"] is None
    assert "libcudart" in found["problems"][0]
    assert "pip install" in found["problems"][0]
    assert "torch does not work here" in python(BROKEN_TORCH)


# -- fit and resume: what the command adds to the recipe ------------------------------------------------------------


class Recipe:
    """Stands for headstart.recipes.fit: remembers what it was called with."""

    def __init__(self, run: Path, effect: BaseException | None = None) -> None:
        self.run, self.effect = run, effect
        self.called: dict[str, Any] = {}

    def fit(self, data: str, **options: Any) -> Any:
        self.called = {"data": data, **options}
        return self._end(options["progress"])

    def resume(self, run: Path, **options: Any) -> Any:
        self.called = {"run": run, **options}
        return self._end(options["progress"])

    def _end(self, progress: Any) -> Any:
        progress.stage("training")
        progress.advance("training", 1, 2)
        progress.say("two photos are [dark]")
        if self.effect is not None:
            raise self.effect
        return SimpleNamespace(path=self.run, metrics={"n": {"test": 3}}, summary=lambda: "test accuracy  0.900")


def recipe(monkeypatch: pytest.MonkeyPatch, effect: BaseException | None = None) -> Recipe:
    stand_in, module = Recipe(Path("runs/x"), effect), ModuleType("headstart.recipes.fit")
    module.fit, module.resume = stand_in.fit, stand_in.resume  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "headstart.recipes.fit", module)
    return stand_in


def test_fit_hands_over_what_was_written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in = recipe(monkeypatch)
    code, out, err = here(
        capsys, "fit", "cells.csv", "--task", "classification", "--source", "runs/a", "--method", "full",
        "--out", "runs/x", "--input", "file", "--label", "kind", "--group", "patient", "--split", "part",
        "--seed", "3", "--epochs", "2",
        "--verdict", "none", "--set", "learning_rate=1e-3", "--set", "method.k=2", "--track", "tensorboard, wandb",
        "--overwrite", "--no-photos",
    )  # fmt: skip
    called = stand_in.called
    called.pop("progress")
    assert abs(called.pop("began") - psutil.Process().create_time()) < 1
    assert (code, out, err) == (0, "test accuracy  0.900\n", "two photos are [dark]\n")
    assert called == {
        "data": "cells.csv", "task": "classification", "source": "runs/a", "method": "full", "out": Path("runs/x"),
        "budget": None,
        "input": "file", "label": "kind", "group": "patient", "split": "part", "seed": 3, "verdict": "none",
        "options": {"epochs": 2, "learning_rate": 1e-3, "method.k": 2}, "track": ("tensorboard", "wandb"),
        "overwrite": True, "photos": False, "slice": None, "explain": 0,
    }  # fmt: skip


def test_fit_defaults_are_those_of_the_python_verb(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import inspect

    from headstart.recipes.fit import fit

    stand_in = recipe(monkeypatch)
    assert here(capsys, "fit", "photos")[0] == 0
    given = ("data", "progress", "began")
    defaults = {name: p.default for name, p in inspect.signature(fit).parameters.items() if name not in given}
    called = {name: value for name, value in stand_in.called.items() if name not in given}
    assert {**called, "options": called["options"] or None} == {**defaults, "options": defaults["options"] or None}


def test_fit_json_is_metrics_json_and_the_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe(monkeypatch)
    code, out, err = here(capsys, "fit", "photos", "--track", "none", "--json")
    assert (code, json.loads(out)) == (0, {"run": "runs/x", "n": {"test": 3}})
    assert "test accuracy  0.900" in err


def test_options_are_listed_without_data(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = here(capsys, "fit", "--options", "--json")
    rows = {row["key"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["label_smoothing"]["default"] == "0.0"
    assert all(row["type"] and row["meaning"] for row in rows.values())
    assert "augment.cutmix" in here(capsys, "fit", "--options")[1]
    rows = {row["key"]: row for row in json.loads(here(capsys, "fit", "--options", "--method", "lora", "--json")[1])}
    assert rows["method.rank"]["type"].startswith("whole number")


@pytest.mark.parametrize("command", [["fit", "photos"], ["resume", "runs/x"]], ids=lambda words: words[0])
def test_what_the_user_got_wrong_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    recipe(monkeypatch, DataError("photos holds no image. Give a folder that does."))
    code, out, err = here(capsys, *command)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "headstart: photos holds no image. Give a folder that does."
    code, out, _ = here(capsys, *command, "--json")
    assert json.loads(out) == {
        "error": {"type": "DataError", "message": "photos holds no image. Give a folder that does.", "exit_code": 2}
    }


def test_what_is_our_fault_is_exit_code_1_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("HEADSTART_DEBUG", raising=False)
    recipe(monkeypatch, KeyError("weights"))
    code, out, err = here(capsys, "fit", "photos", "--json")
    assert code == 1
    assert json.loads(out)["error"]["type"] == "KeyError"
    assert "Traceback" not in err
    (kept,) = tmp_path.glob("headstart-error-*.txt")
    assert str(kept) in err
    assert "Traceback" in kept.read_text()
    monkeypatch.setenv("HEADSTART_DEBUG", "1")
    code, _, err = here(capsys, "fit", "photos")
    assert code == 1
    assert "Traceback" in err
    assert len(list(tmp_path.glob("headstart-error-*.txt"))) == 1


def test_ctrl_c_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe(monkeypatch, KeyboardInterrupt())
    code, _, err = here(capsys, "fit", "photos", "--out", "runs/mine")
    assert (code, err.splitlines()[-1]) == (130, "headstart: interrupted. Nothing was written.")
    for name, age in {"old": 600, "mine": 0}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "recipe.yaml").touch()
        os.utime(tmp_path / "runs" / name / "recipe.yaml", (time.time() - age,) * 2)
    for arguments in (["fit", "photos"], ["fit", "photos", "--out", "runs/mine"], ["resume", "runs/mine"]):
        code, _, err = here(capsys, *arguments)
        assert (code, err.splitlines()[-1]) == (130, "headstart: interrupted. Go on with: headstart resume runs/mine")


def test_a_real_ctrl_c_ends_with_130_and_no_traceback(model: Path, photos: Path, tmp_path: Path) -> None:
    wait = (
        "import time, headstart.recipes.predict as p\n"
        "p.stream = lambda *given, **options: (print('ready', flush=True), time.sleep(60))\n"
        "from headstart.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", wait, "predict", str(model), str(photos)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err


def test_progress_shows_bars_on_a_terminal_and_only_words_in_a_pipe(tmp_path: Path) -> None:
    code = (
        "from headstart.cli.progress import Terminal\n"
        "with Terminal() as p:\n"
        "    p.stage('reading [the] data'); p.advance('reading [the] data', 3, 7); p.say('one [photo] is dark')\n"
    )
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("", "one [photo] is dark\n")
    shown = on_a_terminal([sys.executable, "-c", code])
    assert "one [photo] is dark" in shown
    assert "reading [the] data" in shown
    assert "3/7" in shown


def on_a_terminal(command: Sequence[str]) -> str:
    """What a process shows on a terminal of its own."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_fitting_without_what_it_needs_says_what_to_install(tmp_path: Path) -> None:
    """In words, as JSON and in Python; one process for the three, because each would load torch anew."""
    script = (
        "import sys; sys.modules['accelerate'] = None\n"  # as if it were not installed
        "from headstart.cli.app import run; import headstart\n"
        "for more in ([], ['--json']):\n"
        "    print('exit code', run([*sys.argv[1:], *more]), file=sys.stderr)\n"
        "headstart.fit"
    )
    given = ["fit", str(tmp_path), "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", script, *given], capture_output=True, text=True, check=False)
    words, as_json, python = done.stderr.split("exit code 2\n")
    for said in (words, as_json):
        assert "needs the package 'accelerate'" in said
        assert "pip install '.[train]'" in said
        assert "Traceback" not in said
    assert json.loads(done.stdout)["error"]["type"] == "MissingExtra"
    assert "MissingExtra: headstart.fit needs the package 'accelerate'" in python


@pytest.mark.parametrize(
    ("label", "scores", "line"),
    [
        ("dog", {"cat": 0.1, "dog": 0.9}, "dog 0.900  cat 0.100"),
        (["cat"], {"cat": 0.8, "dog": 0.3}, "cat 0.800"),
        ([], {"cat": 0.2}, "none"),
        ([{"type": "PER", "text": "Anna", "start": 0, "end": 4, "probability": 0.7}], {"PER": 0.7}, "Anna PER 0.700"),
        ({"text": "", "start": None, "end": None}, {"": 0.6, "Paris": 0.4}, "no answer 0.600  Paris 0.400"),
        (2.5, {"height": 2.5}, "height 2.5"),
    ],
)
def test_a_line_says_each_kind_of_answer(label: Any, scores: dict[str, float], line: str) -> None:
    from headstart.cli.predict import words
    from headstart.recipes.predict import Prediction

    assert words(Prediction("one", label, scores), top=2) == line
