"""MLflow. Where is its own business (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME); by default SQLite beside the run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headstart.core.extras import require
from headstart.tracking.tracker import Tracker, Values, identity, prefixed

LONGEST_PARAMETER = 500


class MLflow(Tracker):
    """Uses a client of its own, so that a run which the calling program has open is left alone."""

    def __init__(self) -> None:
        self._mlflow = require("mlflow", "mlflow", "--track mlflow")
        self._client: Any = None
        self._id = ""

    def start(self, folder: Path, config: Mapping[str, Any], *, resume: bool) -> None:
        where = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve().parent / 'mlflow.db'}"
        self._client = self._mlflow.MlflowClient(tracking_uri=where)
        if resume and (folder / "mlflow.id").is_file():
            self._id = identity(folder, "mlflow", True, "")
            self._client.set_terminated(self._id, "RUNNING")
            return
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", "headstart")
        experiment = self._client.get_experiment_by_name(title)
        number = experiment.experiment_id if experiment else self._client.create_experiment(title)
        created = self._client.create_run(number, run_name=folder.name).info.run_id
        self._id = identity(folder, "mlflow", False, created)
        for name, value in _flat(config):
            self._client.log_param(self._id, name, str(value)[:LONGEST_PARAMETER])

    def row(self, step: int, values: Values) -> None:
        for name, value in prefixed(values).items():
            self._client.log_metric(self._id, name, value, step=step)

    def text(self, name: str, text: str) -> None:
        self._client.set_tag(self._id, name, text)

    def finish(self) -> None:
        if self._id:
            self._client.set_terminated(self._id)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
