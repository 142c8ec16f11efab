"""Accuracy against seconds as one SVG: a panel a dataset, a line a contender, a whisker where it ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from headstart.core.types import Interval

WIDTH, HEIGHT = 470, 330
"""Of a panel, in px, its margins included."""
LEFT, TOP, RIGHT, BOTTOM = 52, 34, 14, 46
OURS = "#0b6e4f"
COLOURS = ("#8c8c8c", "#c0392b", "#e08e0b", "#6a4c93", "#b07aa1", "#2f7ebc", "#a0522d", "#444444")


@dataclass(frozen=True)
class Line:
    """What a contender did. points: (seconds, accuracy), its end last. end: the interval of the last accuracy.
    ours: one colour for all of these, and the label beside the end of each instead of a place in the legend."""

    name: str
    points: Sequence[tuple[float, float]]
    end: Interval
    ours: bool = False
    label: str = ""


@dataclass(frozen=True)
class Panel:
    """title: above it. lines: at least one. The same peer has the same colour in all panels."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Frame:
    """Seconds and accuracy -> px. Seconds grow tenfold in equal steps."""

    fastest: float
    slowest: float
    lowest: float
    highest: float

    @classmethod
    def around(cls, lines: Sequence[Line]) -> Frame:
        seconds = [s for line in lines for s, _ in line.points]
        shares = [a for line in lines for _, a in line.points] + [
            e for line in lines for e in (line.end.low, line.end.high)
        ]
        low, high = math.floor(min(shares) * 10) / 10, math.ceil(max(shares) * 10) / 10
        return cls(min(seconds) / 1.25, max(seconds) * 1.25, low, max(high, low + 0.1))

    def x(self, seconds: float) -> float:
        share = math.log(seconds / self.fastest) / math.log(self.slowest / self.fastest)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, accuracy: float) -> float:
        share = (accuracy - self.lowest) / (self.highest - self.lowest)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def draw(panels: Sequence[Panel]) -> str:
    """The whole figure."""
    peers = dict.fromkeys(line.name for panel in panels for line in panel.lines if not line.ours)
    colours = dict(zip(peers, COLOURS, strict=False))
    legend = [*((name, colours[name]) for name in peers), ("headstart", OURS)]
    width, height = WIDTH * len(panels), HEIGHT + 22 * math.ceil(len(legend) / (2 * len(panels))) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#333">',
        "<title>Test accuracy against seconds of the whole process</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for at, panel in enumerate(panels):
        parts += [f'<g transform="translate({at * WIDTH} 0)">', *_panel(panel, colours), "</g>"]
    for at, (name, colour) in enumerate(legend):
        column, row = at % (2 * len(panels)), at // (2 * len(panels))
        x, y = LEFT + column * (WIDTH // 2 - 10), HEIGHT + 10 + 22 * row
        parts.append(
            f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{colour}"/><text x="{x + 10}" y="{y}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, colours: dict[str, str]) -> list[str]:
    frame = Frame.around(panel.lines)
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<text x="{LEFT}" y="20" font-size="14" font-weight="600">{escape(panel.title)}: test accuracy</text>']
    for tenth in range(round(frame.lowest * 10), round(frame.highest * 10) + 1):
        y = frame.y(tenth / 10)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{tenth / 10:.1f}</text>')
    for mark in (mark * 10**power for power in range(6) for mark in (1, 2, 5)):
        if frame.fastest <= mark <= frame.slowest:
            x = frame.x(mark)
            parts.append(f'<line x1="{x}" x2="{x}" y1="{floor}" y2="{floor + 4}" stroke="#888"/>')
            parts.append(f'<text x="{x}" y="{floor + 17}" text-anchor="middle">{mark}</text>')
    middle = (LEFT + right) // 2
    parts.append(f'<text x="{middle}" y="{floor + 34}" text-anchor="middle">seconds, imports included</text>')
    for line in panel.lines:
        colour = OURS if line.ours else colours[line.name]
        places = [(frame.x(seconds), frame.y(accuracy)) for seconds, accuracy in line.points]
        x, y = places[-1]
        path = " ".join(f"{px},{py}" for px, py in places)
        parts += [
            f'<g fill="{colour}" stroke="{colour}">',
            f"<title>{escape(line.name)}: {line.end} in {line.points[-1][0]:.0f} s</title>",
            f'<polyline points="{path}" fill="none" stroke-width="1.5"/>',
            f'<path d="M{x} {frame.y(line.end.low)}V{frame.y(line.end.high)}" stroke-opacity=".45"/>',
            *(f'<circle cx="{px}" cy="{py}" r="2"/>' for px, py in places[:-1]),
            f'<circle cx="{x}" cy="{y}" r="4.5"/>',
            "</g>",
            f'<text x="{x}" y="{y - 8}" fill="{colour}" font-size="10" text-anchor="middle">',
            f"{escape(line.label)}</text>",
        ]
    return parts
