"""What the benchmarks share: the machine they ran on, a smaller copy of the data, whole processes with their time."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
HEADSTART = str(Path(sys.executable).with_name("headstart"))


def machine() -> dict[str, Any]:
    """Where the numbers were made."""
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if cpuinfo.exists()
        else []
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "timm", "scikit-learn", "headstart")},
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def keep(result: Mapping[str, Any], path: Path) -> None:
    """Write a result whole or not at all, so that a benchmark that is stopped goes on where it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps(result, indent=2) + "\n")
    whole.replace(path)


def count(data: Path) -> dict[str, int]:
    """Files in each split of a folder of splits of classes."""
    return {
        split.name: sum(p.is_file() for p in split.rglob("*")) for split in sorted(data.iterdir()) if split.is_dir()
    }


def smaller(data: Path, limit: int, into: Path) -> Path:
    """Copy at most `limit` items of each split, taken from the classes in turn. Returns the copy."""
    for split in (path for path in sorted(data.iterdir()) if path.is_dir()):
        classes: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(split.glob("*/*")):
            classes[path.parent.name].append(path)
        in_turn = [path for row in zip_longest(*classes.values()) for path in row if path is not None]
        for path in in_turn[:limit]:
            copy = into / path.relative_to(data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    return into


class Ended(SystemExit):
    """A process ended with an error, whose words these are. Stops the benchmark unless it is caught."""


def timed(command: list[str], **environment: str) -> float:
    """Run a whole process and return its seconds. Raises Ended if it fails."""
    before = time.perf_counter()
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise Ended(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return time.perf_counter() - before


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is words, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def where(machine: dict[str, Any], data: str, counts: dict[str, int]) -> str:
    """One line under a table: data and machine."""
    sizes = "/".join(str(counts[split]) for split in ("train", "validation", "test") if split in counts)
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"{data} ({sizes} items), {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
        f"Python {machine['python']}, {packages}; {machine['date']}, commit {machine['commit']}.\n"
    )
