"""Accuracy against seconds, as a peer's own process sees them, without headstart."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import psutil


class Curve:
    """Looks at the test pictures while a peer trains. Every look but the last is time that the peer would not spend.

    A point's seconds are those since the process began, with one look: what it would have cost to stop there.
    """

    def __init__(self) -> None:
        self._looks: list[float] = []
        self._points: list[dict[str, float]] = []

    def look(self, accuracy: Callable[[], float]) -> float:
        """Add a point. accuracy: does one pass over the test pictures. Returns what it returned."""
        before = time.perf_counter()
        value = accuracy()
        seconds = time.time() - psutil.Process().create_time() - sum(self._looks)
        self._looks.append(time.perf_counter() - before)
        self._points.append({"seconds": seconds, "accuracy": value})
        print(f"{seconds:.1f} s: test {value:.3f}", flush=True)
        return value

    def result(self, *packages: str) -> dict[str, Any]:
        """What a peer writes: the last look's accuracy, every point, the seconds of the other looks, versions used."""
        return {
            "accuracy": self._points[-1]["accuracy"],
            "curve": self._points,
            "seconds_apart": sum(self._looks[:-1]),
            "versions": {name: version(name) for name in ("torch", "timm", *packages)},
        }
