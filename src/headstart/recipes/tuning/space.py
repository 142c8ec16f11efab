"""What is searched: a range or a few choices for each option.

`TABLE` says what is searched by default and where; an option that the user fixed with `--set` is not searched, and
`--space` gives an option other values, or adds one that the table leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from headstart.core.config import TrainConfig
from headstart.core.errors import ConfigError, unknown_name
from headstart.core.extras import require
from headstart.core.method import Method, Phase
from headstart.core.options import METHOD_PREFIX, build, describe, parse_options, train_config

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

PURPOSE = "Tuning"
BATCHES = (8, 16, 32, 64)
RANKS = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included. log: searched by their logarithm. whole: whole numbers only."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __str__(self) -> str:
        return f"{self.low:.4g}..{self.high:.4g}{' (log)' if self.log else ''}"

    def nearest(self, value: Any) -> Any:
        """The value of the range that is closest to `value`; its middle where `value` is no number."""
        if not isinstance(value, int | float):
            value = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        kept = min(max(value, self.low), self.high)
        return round(kept) if self.whole else float(kept)

    def distribution(self) -> BaseDistribution:
        kinds: Any = require("optuna", "tune", PURPOSE).distributions
        made: BaseDistribution
        if self.whole:
            made = kinds.IntDistribution(int(self.low), int(self.high), log=self.log)
        else:
            made = kinds.FloatDistribution(self.low, self.high, log=self.log)
        return made

    @property
    def size(self) -> float:
        """How many values it has."""
        return self.high - self.low + 1 if self.whole else math.inf

    @property
    def samples(self) -> tuple[Any, ...]:
        """Values that are allowed if all are."""
        return (self.nearest(self.low), self.nearest(self.high))


@dataclass(frozen=True)
class Choices:
    """A few values without an order."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return ", ".join(_text(value) for value in self.values)

    def nearest(self, value: Any) -> Any:
        """`value` if it is one of them, else the first."""
        return value if value in self.values else self.values[0]

    def distribution(self) -> BaseDistribution:
        made: BaseDistribution = require("optuna", "tune", PURPOSE).distributions.CategoricalDistribution(self.values)
        return made

    @property
    def size(self) -> float:
        return len(self.values)

    @property
    def samples(self) -> tuple[Any, ...]:
        return self.values


Dimension = Range | Choices


@dataclass(frozen=True)
class Facts:
    """What the table may ask.

    method: with the options that the user fixed. phases: that it trains, with its own defaults. config: the user's.
    fixed: the user's options. kind: of the task. items: in the training part. blocks: of the encoder, with weights.
    """

    method: Method
    phases: tuple[Phase, ...]
    config: TrainConfig
    fixed: Mapping[str, Any]
    kind: str
    items: int
    blocks: int

    @property
    def epochs(self) -> int:
        """Of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def augments(self) -> bool:
        """Whether any phase sees augmented items."""
        return any(phase.augment for phase in self.phases) and self.config.augment.policy != "none"

    def default(self, key: str) -> Any:
        """What an option is if nobody sets it; None where that is no single value."""
        if key == "epochs":
            return self.epochs
        if key.startswith(METHOD_PREFIX):
            return getattr(self.method, key.removeprefix(METHOD_PREFIX), None)
        value: Any = self.config
        for part in key.split("."):
            value = getattr(value, part)
        if value is None:
            agreed = {getattr(phase, key, None) for phase in self.phases}
            value = agreed.pop() if len(agreed) == 1 else None
        return value


@dataclass(frozen=True)
class Row:
    """A row of the table. values, where: in words. make: the dimension, or None where the option means nothing."""

    key: str
    values: str
    where: str
    make: Callable[[Facts], Dimension | None]


def _times(key: str, factor: float) -> Callable[[Facts], Dimension | None]:
    """From the default divided by `factor` to the default times it; nothing where there is no default above zero."""

    def make(facts: Facts) -> Dimension | None:
        value = facts.default(key)
        if not isinstance(value, int | float) or value <= 0 or not facts.phases:
            return None
        return Range(value / factor, value * factor, log=True)

    return make


def _strength(name: str) -> Row:
    key = METHOD_PREFIX + name
    return Row(key, "a tenth to 10 times", "the method has it", _times(key, 10))


TABLE: tuple[Row, ...] = (
    Row("learning_rate", "a tenth to 10 times", "one rate for all phases", _times("learning_rate", 10)),
    Row(
        "epochs",
        "half to 3 times",
        "anything trains",
        lambda f: Range(max(1, f.epochs // 2), 3 * f.epochs, whole=True) if f.phases else None,
    ),
    Row(
        "batch_size",
        "auto, 8, 16, 32, 64, with 4 steps an epoch",
        "anything trains",
        lambda f: Choices(("auto", *(n for n in BATCHES if 4 * n <= f.items or n == BATCHES[0]))) if f.phases else None,
    ),
    Row("weight_decay", "a 30th to 30 times", "the method decays its weights", _times("weight_decay", 30)),
    Row(
        "label_smoothing",
        "0 to 0.2",
        "one class an item",
        lambda f: Range(0.0, 0.2) if f.phases and f.kind == "single" else None,
    ),
    Row(
        "augment.policy",
        "none, light, randaugment, trivialaugment",
        "the method augments",
        lambda f: Choices(("none", "light", "randaugment", "trivialaugment")) if f.augments else None,
    ),
    Row("augment.scale_min", "0.3 to 1", "the method augments", lambda f: Range(0.3, 1.0) if f.augments else None),
    _strength("alpha"),
    _strength("beta"),
    _strength("l1"),
    _strength("l2"),
    _strength("strength"),
    Row("method.rank", "2, 4, 8, 16, 32", "the method has it", lambda f: Choices(RANKS)),
    Row("method.blocks", "1 to all", "the method has it", lambda f: Range(1, f.blocks, whole=True)),
    Row("method.groups", "1 to all blocks", "the method has it", lambda f: Range(1, f.blocks, whole=True)),
    Row("method.factor", "1 to 4", "the method has it", lambda f: Range(1.0, 4.0)),
    Row("method.decay", "0.4 to 1", "the method has it", lambda f: Range(0.4, 1.0)),
    Row("method.spread", "1 to 4", "the method has it", lambda f: Range(1.0, 4.0)),
    Row("method.criterion", "log_loss, accuracy", "the method has it", lambda f: Choices(("log_loss", "accuracy"))),
    Row(
        "class_weighting",
        "none, balanced",
        "nothing trains, one class an item",
        lambda f: Choices(("none", "balanced")) if not f.phases and f.kind == "single" else None,
    ),
)


def make_space(facts: Facts, wanted: Iterable[str] | Mapping[str, Any] = ()) -> dict[str, Dimension]:
    """The space of a study, by option.

    wanted: the user's `KEY=LOW..HIGH` and `KEY=A,B,C`, or the same as a mapping to (low, high) tuples and lists.
    Raises ConfigError for an option that does not exist, is fixed as well, or does not take the values; and where
    nothing is left to search.
    """
    own = {METHOD_PREFIX + field.name for field in fields(facts.method)}  # type: ignore[arg-type]
    space: dict[str, Dimension] = {}
    for row in TABLE:
        if row.key not in facts.fixed and (row.key in own or not row.key.startswith(METHOD_PREFIX)):
            found = row.make(facts)
            if found is not None and found.size > 1:
                space[row.key] = found
    space |= _wanted(facts, wanted)
    if not space:
        raise ConfigError(
            f"nothing is left to search: the method {facts.method.name!r} has no other options. Fix fewer with --set, "
            "or name one with --space."
        )
    return space


def first_values(facts: Facts, space: Mapping[str, Dimension]) -> dict[str, Any]:
    """The method's own defaults as a point of the space; the nearest one where the user's space leaves them out."""
    return {key: dimension.nearest(facts.default(key)) for key, dimension in space.items()}


def differences(space: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Where two spaces, written as text, are not the same, one phrase an option."""
    keys = dict.fromkeys((*space, *other))
    return [
        f"{key} is {space.get(key, 'not searched')} there, {other.get(key, 'not searched')} here"
        for key in keys
        if space.get(key) != other.get(key)
    ]


def _wanted(facts: Facts, wanted: Iterable[str] | Mapping[str, Any]) -> dict[str, Dimension]:
    pairs = [_pair(text) for text in wanted] if not isinstance(wanted, Mapping) else list(wanted.items())
    rows = {option.key: option for option in (*describe(), *describe(type(facts.method)))}
    space: dict[str, Dimension] = {}
    for key, values in pairs:
        if key not in rows:
            raise ConfigError(unknown_name("option to search:", key, rows, "List all with: headstart fit --options"))
        if key in space:
            raise ConfigError(f"--space {key} is given twice. Give it once.")
        if key in facts.fixed:
            raise ConfigError(f"{key} is fixed by --set and searched by --space. Leave one of them out.")
        given = _values(key, values) if isinstance(values, str) else values
        space[key] = _dimension(key, given, whole=rows[key].type.startswith("whole number"))
        for value in space[key].samples:
            _require_taken(key, value, type(facts.method))
    return space


def _pair(text: str) -> tuple[str, str]:
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ConfigError(
            f"--space takes KEY=LOW..HIGH or KEY=A,B,C, got {text!r}. For example: --space learning_rate=1e-5..1e-3"
        )
    return key.strip(), values


def _values(key: str, text: str) -> tuple[Any, ...] | list[Any]:
    """LOW..HIGH as a tuple, A,B,C as a list."""
    low, dots, high = text.partition("..")
    return tuple(_scalar(key, end) for end in (low, high)) if dots else [_scalar(key, v) for v in text.split(",")]


def _scalar(key: str, text: str) -> Any:
    try:
        return parse_options([f"{key}={text}"])[key]
    except ConfigError as error:
        raise ConfigError(str(error).replace("--set", "--space")) from None


def _dimension(key: str, values: Any, *, whole: bool) -> Dimension:
    if isinstance(values, Range | Choices):
        return values
    if isinstance(values, tuple):
        ends = [end for end in values if isinstance(end, int | float) and not isinstance(end, bool)]
        if len(values) != 2 or len(ends) != 2 or not ends[0] < ends[1]:
            raise ConfigError(f"--space {key}: a range is two numbers, the lower one first, got {values}.")
        low, high = ends
        if whole and (low != int(low) or high != int(high)):
            raise ConfigError(f"--space {key}: expected whole numbers, got {low:g}..{high:g}.")
        return Range(low, high, log=low > 0 and high / low >= 10 and not whole, whole=whole)
    found = tuple(dict.fromkeys(values))
    if len(found) < 2:
        raise ConfigError(
            f"--space {key} has one value. To fix an option: --set {key}={_text(found[0]) if found else 'VALUE'}"
        )
    return Choices(found)


def _require_taken(key: str, value: Any, method: type[Method]) -> None:
    """Raises ConfigError where the option does not take the value."""
    try:
        train_config({key: value})
        build(method, {key: value} if key.startswith(METHOD_PREFIX) else {})
    except ConfigError as error:
        raise ConfigError(str(error).replace("--set", "--space")) from None


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
