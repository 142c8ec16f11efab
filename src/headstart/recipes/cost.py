"""What a run cost."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator


class Stopwatch:
    """Seconds by stage; stages may nest, each counts all that happens within it.

    began: by `time.time`; None is now. started: the same by `time.perf_counter`.
    """

    def __init__(self, began: float | None = None) -> None:
        self.stages: dict[str, float] = {}
        self.started = time.perf_counter() - (0.0 if began is None else time.time() - began)

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - started

    @property
    def total(self) -> float:
        return time.perf_counter() - self.started


def peak_memory_mb() -> float:
    """The most memory that this process has held at once, in megabytes (resident set; device memory not included)."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return float(getattr(psutil.Process().memory_info(), "peak_wset", psutil.Process().memory_info().rss)) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / 1e6 if sys.platform == "darwin" else float(peak) * 1024 / 1e6
