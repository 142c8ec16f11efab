"""Where the numbers of a run go while it is being made: always a local log, and the dashboards that were asked for."""

from __future__ import annotations

from headstart.core.registry import Registry
from headstart.tracking.tracker import Tracker

TRACKERS: Registry[type[Tracker]] = Registry(
    "tracker",
    {
        "mlflow": "headstart.tracking.mlflow:MLflow",
        "tensorboard": "headstart.tracking.tensorboard:TensorBoard",
        "wandb": "headstart.tracking.wandb:WandB",
    },
    "headstart.trackers",
    hint="The local log.jsonl is always written.",
)
