"""Geometry of the drawings, in percent of the drawing's box, y downwards; the template puts words and colour to it.

Words stay HTML text beside the drawing, so that they keep their size when the drawing is stretched to a phone or a
wide screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.core.types import Interval


@dataclass(frozen=True)
class Axis:
    """A range that starts and ends on round numbers. ticks: (percent along the axis, text)."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def at(self, value: float) -> float:
        """Percent along the axis, kept within it."""
        return round(100 * min(1.0, max(0.0, (value - self.low) / (self.high - self.low))), 2)


@dataclass(frozen=True)
class Whisker:
    """A dot with its interval on an axis, in percent."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Series:
    """name: in the legend. style: class in the style sheet. lines, dots: SVG path data in a box of 100 by 100."""

    name: str
    style: str
    lines: str = ""
    dots: str = ""


@dataclass(frozen=True)
class Band:
    """A named stretch of the x axis, in percent."""

    name: str
    left: float
    width: float


@dataclass(frozen=True)
class Plot:
    """A drawing with its words. description: what it shows, for who cannot see it. axes: what runs up and across."""

    title: str
    description: str
    x: Axis
    y: Axis
    axes: str
    series: tuple[Series, ...]
    bands: tuple[Band, ...] = ()
    square: bool = False


def axis(values: Sequence[float], *, steps: int = 4, whole: bool = False, percent: bool = False) -> Axis:
    """An axis around finite values, of about `steps` round steps.

    whole: of whole numbers, ending with the last value. percent: write 0.5 as 50%.
    """
    low, high = min(values), max(values)
    span = high - low if high > low else abs(high)
    if span < 1e-300:  # nothing that could be drawn apart
        span = 1.0
    power = 10.0 ** math.floor(math.log10(span / steps))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if span / (power * m) <= steps)
    if whole:
        step = max(1.0, math.ceil(step))
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    marks = [i * step for i in range(first, last + 1)]
    texts = [f"{100 * mark:.6g}%" if percent else _tick(mark, step) for mark in marks]
    places = [round(100 * i / (last - first), 2) for i in range(last - first + 1)]
    if whole and marks[-1] > high:
        kept = [(100 * (mark - marks[0]) / (high - marks[0]), text) for mark, text in zip(marks, texts, strict=True)]
        return Axis(marks[0], high, tuple((round(place, 2), text) for place, text in kept[:-1]))
    return Axis(marks[0], marks[-1], tuple(zip(places, texts, strict=True)))


def _tick(mark: float, step: float) -> str:
    """A mark with the digits that its step needs."""
    if not 1e-7 <= step < 1e9:
        return f"{mark:.3g}"
    digits = next(d for d in range(12) if abs(step * 10**d - round(step * 10**d)) < 1e-6)
    return f"{mark:,.{digits}f}"


def whisker(interval: Interval, along: Axis) -> Whisker:
    return Whisker(along.at(interval.low), along.at(interval.value), along.at(interval.high))


def polyline(xs: Sequence[float], ys: Sequence[float | None], x: Axis, y: Axis) -> str:
    """Path data through the points; a missing one breaks the line."""
    parts, pen = [], "M"
    for a, b in zip(xs, ys, strict=True):
        if b is None:
            pen = "M"
            continue
        parts.append(f"{pen}{x.at(a)} {round(100 - y.at(b), 2)}")
        pen = "L"
    return "".join(parts)


def dots(xs: Sequence[float], ys: Sequence[float | None], x: Axis, y: Axis) -> str:
    """Path data of lines of no length, which round line ends turn into dots that never stretch."""
    return "".join(f"M{x.at(a)} {round(100 - y.at(b), 2)}h0" for a, b in zip(xs, ys, strict=True) if b is not None)


def segments(ends: Sequence[tuple[float, float, float, float]], x: Axis, y: Axis) -> str:
    """Path data of single lines (x1, y1, x2, y2)."""
    return "".join(f"M{x.at(a)} {round(100 - y.at(b), 2)}L{x.at(c)} {round(100 - y.at(d), 2)}" for a, b, c, d in ends)
