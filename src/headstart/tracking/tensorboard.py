"""TensorBoard event files below `run/tensorboard`: `tensorboard --logdir RUN`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.extras import require
from headstart.tracking.tracker import Tracker, Values, prefixed


class TensorBoard(Tracker):
    """One scalar a name, below its phase; the recipe and words as text."""

    def __init__(self) -> None:
        require("tensorboard", "train", "--track tensorboard")
        self._board = require("torch.utils.tensorboard", "train", "--track tensorboard")
        self._writer: Any = None

    def start(self, folder: Path, config: Mapping[str, Any], *, resume: bool) -> None:
        self._writer = self._board.SummaryWriter(str(folder / "tensorboard"))
        if not resume:
            self.text("recipe", f"```json\n{json.dumps(config, indent=2, default=str)}\n```")

    def row(self, step: int, values: Values) -> None:
        for name, value in prefixed(values).items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def text(self, name: str, text: str) -> None:
        self._writer.add_text(name, text)
        self._writer.flush()

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
