"""What to try next: the move whose expected gain for each second is highest, among those that still fit.

A move's gain is the share of the champion's errors that it is expected to remove. Before anything is known of a target
it is a prior, read off this project's own method comparison (docs/benchmarks.md) and rounded; what has been tried
moves it. A move's cost is computed from prices measured on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from headstart.core.card import Frozen
from headstart.recipes.price import Price

Kind = Literal["probe", "joint", "tune", "soup"]

OVERHEAD = 1.5
"""Seconds of any training: the network is loaded, its first step is slow."""
LINEAR = 0.7
"""Seconds of fitting and judging a linear head."""
AFTERWARDS = 0.3
"""What is left of a gain once a fine-tuned network is the champion: most of it is had already."""
DOUBT = 0.5
"""What is left of a gain for each move of its kind that was tried in vain."""
UPPER_SHARE, LOWER_SHARE = 0.3, 0.6
"""Of a training step and of a forward pass: what the upper half of the blocks costs, and the lower half."""
VIEWS = 4

Lengths = Sequence[tuple[str, int, float, dict[str, Any]]]
"""Fine-tunings: method, epochs, gain, options of TrainConfig."""
EPOCHS: Lengths = (
    ("partial", 4, 0.12, {}),
    ("partial", 8, 0.15, {}),
    ("lp-ft", 2, 0.14, {}),
    ("lp-ft", 4, 0.20, {}),
    ("lora", 5, 0.18, {}),
    ("lp-ft", 8, 0.23, {"augment.policy": "trivialaugment"}),
)
FEW_EPOCHS: Lengths = (("partial", 1, 0.04, {}), ("partial", 2, 0.08, {}), ("lp-ft", 1, 0.08, {}))
"""What is left to try where time for one of those is not."""


class Move(Frozen):
    """Something to try. sources: by name; of "probe" and "tune" one. options: of the method. train: of TrainConfig."""

    kind: Kind
    sources: tuple[str, ...]
    method: str = ""
    epochs: int | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)

    def __str__(self) -> str:
        where = " + ".join(self.sources)
        match self.kind:
            case "probe":
                return f"probe on {where}"
            case "joint":
                return f"one probe on {where} together"
            case "soup":
                return f"average of the fine-tuned weights of {where}"
        more = "".join(f", {key.removeprefix('augment.')} {value}" for key, value in self.train.items())
        length = "" if self.epochs is None else f", {self.epochs} epochs"
        return f"{self.method} on {where}{length}{more}"


class Outlook(Frozen):
    """A move with what it is expected to give and to cost."""

    move: Move
    gain: float
    seconds: float


class Known(Frozen):
    """What the planner knows when it chooses.

    prices: of each source that may be used. items: by part. halves: blocks in the upper half of each source's network.
    champion: the move it came from. tried: all moves; kept: which of them replaced the champion.
    """

    prices: dict[str, Price]
    items: dict[str, int]
    halves: dict[str, int]
    champion: Move
    tried: tuple[Move, ...]
    kept: tuple[bool, ...]


def choose(known: Known, seconds: float) -> Outlook | None:
    """The best move that is expected to take no more than `seconds`; None where there is none.

    Few epochs of fine-tuning are a choice only where nothing else fits and no network was fine-tuned yet.
    """
    fitting = [outlook for outlook in outlooks(known) if outlook.seconds <= seconds]
    if not fitting and known.champion.kind in ("probe", "joint"):
        fitting = [outlook for outlook in outlooks(known, FEW_EPOCHS) if outlook.seconds <= seconds]
    return max(fitting, key=lambda outlook: outlook.gain / outlook.seconds, default=None)


def outlooks(known: Known, lengths: Lengths = EPOCHS) -> Iterator[Outlook]:
    """Every move that was not tried yet. lengths: of fine-tunings."""
    for move, gain, seconds in _moves(known, lengths):
        if not any(_same(move, done) for done in known.tried):
            vain = sum(done.kind == move.kind and not kept for done, kept in zip(known.tried, known.kept, strict=True))
            tuned = known.champion.kind in ("tune", "soup")
            left = AFTERWARDS if tuned and move.kind != "soup" else 1.0
            yield Outlook(move=move, gain=gain * left * DOUBT**vain, seconds=seconds)


def _moves(known: Known, lengths: Lengths) -> Iterator[tuple[Move, float, float]]:
    items = known.items
    all_items = sum(items.values())
    probed = [move.sources[0] for move in known.tried if move.kind == "probe"]
    for name, price in known.prices.items():
        if name not in probed:
            yield Move(kind="probe", sources=(name,)), 0.10, all_items * price.encode + LINEAR
            continue
        for method, epochs, gain, train in lengths:
            if method == "partial":
                lower = (min(epochs, VIEWS) * items["train"] + items["validation"]) * LOWER_SHARE * price.encode
                upper = epochs * items["train"] * UPPER_SHARE * price.train
                half = Move(
                    kind="tune", sources=(name,), method=method, epochs=epochs, options={"blocks": known.halves[name]}
                )
                yield half, gain, lower + upper + all_items * price.encode + OVERHEAD
                continue
            seconds = epochs * items["train"] * price.train + all_items * price.encode + OVERHEAD
            yield Move(kind="tune", sources=(name,), method=method, epochs=epochs, train=train), gain, seconds
    if len(probed) > 1:
        yield Move(kind="joint", sources=tuple(probed)), 0.20, LINEAR * len(probed)
    for name in probed:
        if sum(move.kind == "tune" and move.sources == (name,) for move in known.tried) > 1:
            yield Move(kind="soup", sources=(name,)), 0.04, all_items * known.prices[name].encode + OVERHEAD


def _same(move: Move, done: Move) -> bool:
    """Whether trying `move` would say nothing new after `done`. Longer training is new; shorter and plainer is not."""
    if (move.kind, move.sources, move.method) != (done.kind, done.sources, done.method):
        return False
    return move.train in ({}, done.train) and (move.epochs or 0) <= (done.epochs or 0)


def default_plan(source: str, epochs: int | None) -> Sequence[Move]:
    """What is tried where nobody said how long it may take: always the same. epochs: None is the method's own."""
    return (Move(kind="probe", sources=(source,)), Move(kind="tune", sources=(source,), method="lp-ft", epochs=epochs))
