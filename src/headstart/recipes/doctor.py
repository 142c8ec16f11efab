"""Doctor: what this machine has, what works here, what to install.

    headstart doctor

Works also where torch is absent or broken, and then says so.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import psutil

from headstart import __version__
from headstart.core.cache import cache_dir

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "safetensors", "pydantic", "typer")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "bf16", "sve")
NOT_FOR_USERS = frozenset({"dev"})
_REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[([^\]]*)\])?.*?(?:extra\s*==\s*[\"']([^\"']+)[\"'].*)?$")


def doctor() -> dict[str, Any]:
    """Versions, device, processor, memory, cache, sources and extras of this machine, and `"problems"` in words."""
    packages = {name: _version(name) for name in PACKAGES}
    problems = [
        f"the package {name} is not installed. Install it with: pip install {name}"
        for name, found in packages.items()
        if found is None
    ]
    return {
        "headstart": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "device": _device(problems),
        "processor": _processor(),
        "memory": _memory(),
        "cache": _cache(problems),
        "sources": _sources(problems),
        "extras": _extras(),
        "problems": problems,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _device(problems: list[str]) -> dict[str, Any] | None:
    """What torch computes on; None where torch does not work."""
    try:
        from headstart.nn.device import best_device, has_fast_bfloat16

        torch = import_module("torch")
        best = best_device()
        return {
            "name": str(best),
            "model": torch.cuda.get_device_name(best) if best.type == "cuda" else None,
            "precision": "bfloat16" if has_fast_bfloat16(best) else "float32",
            "threads": torch.get_num_threads(),
        }
    except Exception as error:  # a broken torch fails in many ways, none of which may stop the doctor
        first = (str(error).splitlines() or [""])[0]
        problems.append(
            f"torch does not work here ({type(error).__name__}: {first}). Install it again with: "
            "pip install --force-reinstall torch torchvision"
        )
        return None


def _processor() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    text = info.read_text(errors="replace") if info.is_file() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = set(" ".join(re.findall(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)[:1]).split())
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "name": named[1].strip() if named else platform.processor() or platform.machine(),
        "cores": available,
        "features": [flag for flag in FLAGS if flag in flags],
    }


def _memory() -> dict[str, int]:
    memory = psutil.virtual_memory()
    return {"total_bytes": int(memory.total), "available_bytes": int(memory.available)}


def _cache(problems: list[str]) -> dict[str, Any]:
    folder = cache_dir()
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    if not writable:
        problems.append(f"the cache {folder} cannot be written. Set HEADSTART_CACHE to a folder that can.")
    return {
        "path": str(folder),
        "size_bytes": sum(path.stat().st_size for path in files),
        "files": len(files),
        "free_bytes": psutil.disk_usage(str(nearest)).free,
        "writable": writable,
    }


def _sources(problems: list[str]) -> list[dict[str, Any]]:
    from headstart.sources.catalog import entries

    rows = [{"name": e.card.name, "here": e.availability.here, "how": e.availability.how} for e in entries()]
    if not any(row["here"] for row in rows):
        problems.append("no source is on this machine. Install one with: headstart sources install efficientnet-lite0")
    return rows


def _extras() -> dict[str, dict[str, Any]]:
    """Extra -> what of it is missing, and the line that installs it."""
    wanted: dict[str, list[tuple[str, list[str]]]] = {}
    for text in _requirements():
        found = _REQUIREMENT.match(text)
        if found and found[3] and found[3] not in NOT_FOR_USERS:
            inner = [name.strip() for name in (found[2] or "").split(",") if name.strip()]
            wanted.setdefault(found[3], []).append((found[1], inner if found[1] == "headstart" else []))

    def packages(extra: str) -> Iterator[str]:
        for name, inner in wanted.get(extra, []):
            if name == "headstart":
                for other in inner:
                    yield from packages(other)
            else:
                yield name

    rows = {}
    for extra in wanted:
        missing = sorted({name for name in packages(extra) if _version(name) is None})
        rows[extra] = {"installed": not missing, "missing": missing, "install": f"pip install '.[{extra}]'"}
    return rows


def _requirements() -> list[str]:
    try:
        return requires("headstart") or []
    except PackageNotFoundError:  # run from a source tree that was never installed
        return []
