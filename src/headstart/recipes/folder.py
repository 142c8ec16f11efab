"""The run folder while a run is being made: one writer at a time, and whole or not trusted."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from headstart.core.errors import ArtifactError, ConfigError, DataError

OURS = (
    "recipe.yaml",
    "plan.json",
    "metrics.json",
    "report.html",
    "log.jsonl",
    "predictions.jsonl",
    "checkpoints",
    "tensorboard",
    "model",
    "wandb",
    "wandb.id",
    "mlflow.id",
)


def write_text(path: Path, text: str) -> None:
    """Write beside and rename, so that a reader sees the old file or the new one."""
    beside = path.with_name(path.name + ".part")
    with beside.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def is_run(path: Path) -> bool:
    return (path / "recipe.yaml").is_file()


def kind(path: Path) -> str | None:
    """What made the run, where its recipe says so: "ensemble", "pretrain"; None is a fit."""
    found = re.search(r"^kind: (\w+)", (path / "recipe.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else None


def discard_checkpoints(path: Path) -> None:
    """Nothing is to be resumed any more."""
    shutil.rmtree(path / "checkpoints", ignore_errors=True)


def is_complete(path: Path) -> bool:
    """metrics.json is the last file of a run to be written."""
    return (path / "metrics.json").is_file()


def require_free(path: Path, overwrite: bool) -> None:
    """Raises ConfigError where `path` holds something that a new run would destroy."""
    if path.exists() and not path.is_dir():
        raise ConfigError(f"--out {path} is a file. Give a folder that does not exist yet.")
    if not path.is_dir() or not any(p.name != ".lock" for p in path.iterdir()):
        return
    if not is_run(path):
        raise ConfigError(f"--out {path} is a folder with other things in it. Give a folder that does not exist yet.")
    if overwrite:
        return
    if is_complete(path):
        raise ConfigError(
            f"--out {path} holds a finished run. Choose another folder, or add --overwrite to replace it."
        )
    raise ConfigError(
        f"--out {path} holds a run that was not finished. Go on with `headstart resume {path}`, "
        "or add --overwrite to begin again."
    )


def clear(path: Path) -> None:
    """Remove what a run has written, and nothing else."""
    for name in OURS:
        found = path / name
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)
        else:
            found.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """For what is written where an option says. Raises ConfigError where that cannot be."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{option} {path} cannot be written: {error.strerror or error}. Choose another place, or make room there."
        ) from error


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the run folder; a second process is told so at once. The lock goes with the process, however it ends."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise ArtifactError(
            f"{path} is being written by another headstart process. Wait for it, or choose another --out."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"--out {path} cannot be written: {error.strerror or error}. Choose another folder."
        ) from error
    try:
        yield
    except OSError as error:
        if error.errno in (28, 122):  # ENOSPC, EDQUOT
            raise DataError(
                f"the disk that holds {path} is full. Free some space, then go on with `headstart resume {path}`; "
                "nothing is lost."
            ) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            if not any(found.name != ".lock" for found in path.iterdir()):  # nothing was made: leave nothing behind
                (path / ".lock").unlink()
                path.rmdir()
        lock.release()
