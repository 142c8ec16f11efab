"""Every number is logged once, whole, and no tracker can kill a run."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headstart.core.errors import ConfigError, MissingExtra
from headstart.tracking import TRACKERS
from headstart.tracking.local import LOG, Local, read_log
from headstart.tracking.recorder import Recorder
from headstart.tracking.tracker import Tracker, Values

CONFIG = {"method": "head", "train": {"epochs": 3, "augment": {"flip": 0.5}}}


def record(folder: Path, *names: str, resume: bool = False, said: list[str] | None = None) -> Recorder:
    return Recorder(folder, names, CONFIG, resume=resume, say=(said if said is not None else []).append)


def row(epoch: int, loss: float = 0.5, phase: str = "head") -> dict[str, Any]:
    return {"phase": phase, "epoch": epoch, "step": 10 * epoch, "train_loss": loss}


def untimed(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if k != "time"} for entry in read_log(folder)]


# -- the local log ----------------------------------------------------------------------------------------------------


def test_a_line_is_whole_json_and_on_disk_at_once(tmp_path: Path) -> None:
    recorder = record(tmp_path)
    recorder.row(row(1))
    recorder.text("warning", "two photos\nare dark")
    lines = (tmp_path / LOG).read_text().splitlines()
    assert [json.loads(line)["time"] > 1.7e9 for line in lines] == [True, True]
    assert untimed(tmp_path) == [row(1), {"name": "warning", "text": "two photos\nare dark"}]
    recorder.finish()


def test_numbers_that_json_does_not_know_are_null(tmp_path: Path) -> None:
    with record(tmp_path) as recorder:
        recorder.row({"step": 1, "a": math.nan, "b": math.inf, "c": 1.0, "d": None})
    assert untimed(tmp_path) == [{"step": 1, "a": None, "b": None, "c": 1.0, "d": None}]


def test_a_new_run_begins_a_new_log(tmp_path: Path) -> None:
    for loss in (0.1, 0.2):
        with record(tmp_path) as recorder:
            recorder.row(row(1, loss))
    assert [entry["train_loss"] for entry in read_log(tmp_path)] == [0.2]


def test_epochs_that_are_done_again_after_a_kill_are_not_logged_again(tmp_path: Path) -> None:
    with record(tmp_path) as recorder:
        for epoch in (1, 2, 3):
            recorder.row(row(epoch))
        recorder.text("source", "tiny")
    with record(tmp_path, resume=True) as recorder:
        recorder.text("source", "tiny")
        for epoch in (2, 3, 4):
            recorder.row(row(epoch))
        recorder.row(row(1, phase="scratch"))
    rows = [(entry["phase"], entry["epoch"]) for entry in read_log(tmp_path) if "epoch" in entry]
    assert rows == [("head", 1), ("head", 2), ("head", 3), ("head", 4), ("scratch", 1)]
    assert sum("text" in entry for entry in read_log(tmp_path)) == 1


def test_a_line_that_a_kill_cut_short_is_dropped_and_written_again(tmp_path: Path) -> None:
    with record(tmp_path) as recorder:
        recorder.row(row(1))
        recorder.row(row(2))
    data = (tmp_path / LOG).read_bytes()
    (tmp_path / LOG).write_bytes(data[:-9])
    assert [entry["step"] for entry in read_log(tmp_path)] == [10]
    with record(tmp_path, resume=True) as recorder:
        recorder.row(row(2))
    assert untimed(tmp_path) == [row(1), row(2)]


def test_a_process_that_dies_leaves_every_row_it_recorded(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from headstart.tracking.recorder import Recorder\n"
        "r = Recorder(Path(sys.argv[1]), [], {}, resume=False, say=print)\n"
        "for step in range(5): r.row({'step': step, 'loss': 1.0})\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert [entry["step"] for entry in read_log(tmp_path)] == [0, 1, 2, 3, 4]


# -- nothing kills the run --------------------------------------------------------------------------------------------


class Flaky(Tracker):
    """Fails at one verb, remembers the others."""

    at = "row"

    def __init__(self) -> None:
        self.called: list[str] = []

    def _do(self, verb: str) -> None:
        self.called.append(verb)
        if verb == self.at:
            raise OSError(errno.ENOSPC, "No space left on device")

    def start(self, folder: Path, config: Mapping[str, Any], *, resume: bool) -> None:
        self._do("start")

    def row(self, step: int, values: Values) -> None:
        self._do("row")

    def text(self, name: str, text: str) -> None:
        self._do("text")

    def finish(self) -> None:
        self._do("finish")


@pytest.mark.parametrize("verb", ["start", "row", "text", "finish"])
def test_a_tracker_that_fails_is_left_out_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    flaky = Flaky()
    flaky.at = verb
    monkeypatch.setitem(TRACKERS._targets, "flaky", "somewhere:Flaky")
    monkeypatch.setitem(sys.modules, "somewhere", SimpleNamespace(Flaky=lambda: flaky))
    said: list[str] = []
    with record(tmp_path, "flaky", said=said) as recorder:
        for step in (1, 2):
            recorder.row(row(step))
            recorder.text(f"note {step}", "words")
    assert len(said) == 1
    assert said[0].startswith("flaky failed and is left out")
    assert "No space left on device" in said[0]
    assert flaky.called[-1] == "finish"
    assert flaky.called.count(verb) == 1 or verb == "finish"
    assert [entry.get("step") for entry in read_log(tmp_path)] == [10, None, 20, None]


def test_a_log_that_cannot_be_written_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Local, step: int, values: Values) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Local, "row", full)
    said: list[str] = []
    with record(tmp_path, said=said) as recorder:
        recorder.row(row(1))
        recorder.row(row(2))
    assert [words.startswith("log.jsonl failed") for words in said] == [True]


def test_an_unknown_tracker_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown tracker 'tensorbord'. Did you mean 'tensorboard'"):
        record(tmp_path, "tensorbord")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "module", "line"),
    [
        ("tensorboard", "tensorboard", "pip install 'headstart[train]'"),
        ("wandb", "wandb", "pip install 'headstart[wandb]'"),
        ("mlflow", "mlflow", "pip install 'headstart[mlflow]'"),
    ],
)
def test_a_missing_package_is_one_line_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, line: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra) as caught:
        record(tmp_path, name)
    assert line in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# -- the dashboards ---------------------------------------------------------------------------------------------------


def test_tensorboard_shows_each_number_once_below_its_phase(tmp_path: Path) -> None:
    with record(tmp_path, "tensorboard") as recorder:
        recorder.row(row(1, 0.7))
        recorder.row(row(2, 0.6))
    with record(tmp_path, "tensorboard", resume=True) as recorder:
        recorder.row(row(2, 0.6))
        recorder.row(row(3, 0.5))
        recorder.text("verdict", "positive")
    scalars, texts = events(tmp_path / "tensorboard")
    assert scalars["head/train_loss"] == pytest.approx({10: 0.7, 20: 0.6, 30: 0.5})
    assert "head/epoch" in scalars
    assert "head/step" not in scalars
    assert texts == {"recipe/text_summary", "verdict/text_summary"}


def events(folder: Path) -> tuple[dict[str, dict[int, float]], set[str]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    scalars: dict[str, dict[int, float]] = {}
    texts: set[str] = set()
    for path in folder.iterdir():
        read = EventAccumulator(str(path)).Reload()
        texts |= set(read.Tags()["tensors"])
        for tag in read.Tags()["scalars"]:
            for event in read.Scalars(tag):
                assert event.step not in scalars.setdefault(tag, {})
                scalars[tag][event.step] = event.value
    return scalars, texts


class FakeWandB:
    """As much of wandb as is used."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.rows: list[dict[str, float]] = []
        self.summary: dict[str, str] = {}
        self.metrics: list[tuple[str, str]] = []
        self.finished = 0

    def init(self, **options: Any) -> FakeWandB:
        self.runs.append(options)
        return self

    def define_metric(self, name: str, step_metric: str) -> None:
        self.metrics.append((name, step_metric))

    def log(self, values: dict[str, float]) -> None:
        self.rows.append(values)

    def finish(self) -> None:
        self.finished += 1


def test_wandb_takes_rows_against_their_own_step_and_resumes_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setenv("WANDB_PROJECT", "birds")
    with record(tmp_path, "wandb") as recorder:
        recorder.row(row(1, 0.7))
    with record(tmp_path, "wandb", resume=True) as recorder:
        recorder.row(row(2, 0.6))
        recorder.text("verdict", "positive")
    with record(tmp_path, "wandb"):
        pass
    first, resumed, another = fake.runs
    assert first["id"] == resumed["id"] != another["id"]
    assert (first["project"], first["name"], first["config"]) == ("birds", tmp_path.name, CONFIG)
    assert fake.rows == [
        {"step": 10, "head/epoch": 1.0, "head/train_loss": 0.7},
        {"step": 20, "head/epoch": 2.0, "head/train_loss": 0.6},
    ]
    assert fake.metrics[0] == ("*", "step")
    assert fake.summary == {"verdict": "positive"}
    assert fake.finished == 3


class FakeMLflowClient:
    """As much of mlflow's client as is used, with one server for all clients."""

    server: dict[str, Any]

    def __init__(self, tracking_uri: str) -> None:
        self.server = SERVER.setdefault(tracking_uri, {"experiments": {}, "runs": {}})

    def get_experiment_by_name(self, name: str) -> Any:
        known = self.server["experiments"]
        return SimpleNamespace(experiment_id=known[name]) if name in known else None

    def create_experiment(self, name: str) -> str:
        self.server["experiments"][name] = str(len(self.server["experiments"]))
        return str(self.server["experiments"][name])

    def create_run(self, experiment: str, run_name: str) -> Any:
        number = f"run{len(self.server['runs'])}"
        self.server["runs"][number] = {"name": run_name, "metrics": [], "params": {}, "tags": {}, "status": []}
        return SimpleNamespace(info=SimpleNamespace(run_id=number))

    def log_metric(self, run: str, name: str, value: float, step: int) -> None:
        self.server["runs"][run]["metrics"].append((name, value, step))

    def log_param(self, run: str, name: str, value: str) -> None:
        self.server["runs"][run]["params"][name] = value

    def set_tag(self, run: str, name: str, value: str) -> None:
        self.server["runs"][run]["tags"][name] = value

    def set_terminated(self, run: str, status: str = "FINISHED") -> None:
        self.server["runs"][run]["status"].append(status)


SERVER: dict[str, dict[str, Any]] = {}


def test_mlflow_takes_flat_parameters_and_resumes_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=FakeMLflowClient))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"test:{tmp_path}")
    with record(tmp_path, "mlflow") as recorder:
        recorder.row(row(1, 0.7))
    with record(tmp_path, "mlflow", resume=True) as recorder:
        recorder.row(row(1, 0.7))
        recorder.row(row(2, 0.6))
        recorder.text("verdict", "positive")
    server = SERVER[f"test:{tmp_path}"]
    assert list(server["experiments"]) == ["headstart"]
    (run,) = server["runs"].values()
    assert run["name"] == tmp_path.name
    assert run["params"] == {"method": "head", "train.epochs": "3", "train.augment.flip": "0.5"}
    assert [m for m in run["metrics"] if m[0] == "head/train_loss"] == [
        ("head/train_loss", 0.7, 10),
        ("head/train_loss", 0.6, 20),
    ]
    assert run["tags"] == {"verdict": "positive"}
    assert run["status"] == ["FINISHED", "RUNNING", "FINISHED"]


def test_the_real_mlflow_takes_a_resumed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is an extra that is not installed")
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with record(folder, "mlflow") as recorder:
        recorder.row(row(1, 0.7))
    with record(folder, "mlflow", resume=True) as recorder:
        recorder.row(row(2, 0.6))
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{os.fspath(tmp_path)}/mlflow.db")
    history = client.get_metric_history((folder / "mlflow.id").read_text().strip(), "head/train_loss")
    assert [(point.step, point.value) for point in history] == [(10, 0.7), (20, 0.6)]
