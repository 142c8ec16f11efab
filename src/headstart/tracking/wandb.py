"""Weights & Biases. Where and as whom is wandb's own business: WANDB_PROJECT, WANDB_MODE, `wandb login`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from headstart.core.extras import require
from headstart.tracking.tracker import Tracker, Values, identity, prefixed


class WandB(Tracker):
    """Rows go against their own `step`, so that several phases and a resumed run fit into one chart."""

    def __init__(self) -> None:
        self._wandb = require("wandb", "wandb", "--track wandb")
        self._run: Any = None

    def start(self, folder: Path, config: Mapping[str, Any], *, resume: bool) -> None:
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "headstart"),
            name=folder.name,
            id=identity(folder, "wandb", resume, uuid4().hex[:12]),
            resume="allow",
            dir=str(folder),
            config=dict(config),
        )
        self._run.define_metric("*", step_metric="step")

    def row(self, step: int, values: Values) -> None:
        self._run.log({"step": step, **prefixed(values)})

    def text(self, name: str, text: str) -> None:
        self._run.summary[name] = text

    def finish(self) -> None:
        if self._run is not None:
            self._run.finish()
