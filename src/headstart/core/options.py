"""Options as the user writes them, `key=value`, turned into typed values.

Keys are the fields of TrainConfig (`epochs`, `augment.mixup`, `adversarial.attack`), and `method.NAME` for the
fields of the method that was chosen.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from headstart.core.config import TrainConfig
from headstart.core.errors import ConfigError, unknown_name

T = TypeVar("T")

METHOD_PREFIX = "method."
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


@dataclasses.dataclass(frozen=True)
class Option:
    """One key that `--set` takes."""

    key: str
    type: str
    default: str
    meaning: str


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """`["epochs=3", "augment.mixup=0.2"]` -> `{"epochs": 3, "augment.mixup": 0.2}`. Values are YAML scalars.

    Raises ConfigError for a pair without `=`, a value that is no scalar, a key given twice or unknown.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError(f"--set takes key=value, got {pair!r}. For example: --set epochs=5")
        if key in options:
            raise ConfigError(f"--set {key} is given twice. Give it once.")
        options[key] = _scalar(key, text.strip())
    check_keys(options)
    return options


def check_keys(options: Mapping[str, Any]) -> None:
    """Raises ConfigError for a key that is no option, naming the closest ones. `method.*` is left to the method."""
    known = [option.key for option in describe()]
    for key in options:
        if not key.startswith(METHOD_PREFIX) and key not in known:
            hint = f"Options of a method are written {METHOD_PREFIX}NAME. List all with: headstart fit --options"
            raise ConfigError(unknown_name("option", key, known, hint))


def train_config(options: Mapping[str, Any]) -> TrainConfig:
    """The TrainConfig of flat options; `method.*` keys are passed over. Raises ConfigError naming every fault."""
    check_keys(options)
    nested: dict[str, Any] = {}
    for key, value in options.items():
        if not key.startswith(METHOD_PREFIX):
            outer, _, inner = key.rpartition(".")
            (nested.setdefault(outer, {}) if outer else nested)[inner] = value
    try:
        return TrainConfig.model_validate(nested)
    except ValidationError as error:
        raise ConfigError(_faults(error, options, {o.key: o.type for o in describe()})) from None


def build(cls: type[T], options: Mapping[str, Any]) -> T:
    """An instance of a method's dataclass from the `method.*` keys of flat options, with each value checked.

    Raises ConfigError for a field that the method does not have, or a value that does not fit it.
    """
    given = {k.removeprefix(METHOD_PREFIX): v for k, v in options.items() if k.startswith(METHOD_PREFIX)}
    rows = {option.key: option for option in describe(cls)}
    hints = get_type_hints(cls)
    for name in given:
        if METHOD_PREFIX + name not in rows:
            title = getattr(cls, "name", cls.__name__)
            if not rows:
                raise ConfigError(
                    f"the method {title!r} has no options, got --set {METHOD_PREFIX}{name}. Leave it out."
                )
            raise ConfigError(unknown_name(f"option of the method {title!r}:", METHOD_PREFIX + name, rows))
    checked: dict[str, Any] = {}
    for name, value in given.items():
        try:
            checked[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError:
            key = METHOD_PREFIX + name
            raise ConfigError(f"--set {key}={value}: expected {rows[key].type}, got {value!r}.") from None
    try:
        return cls(**checked)
    except ValueError as error:
        raise ConfigError(f"the options of the method do not fit together: {error}") from None


def describe(method: type | None = None) -> list[Option]:
    """Every key that `--set` takes: of TrainConfig, or of a method's dataclass. Meanings come from docstrings."""
    if method is None:
        return _describe_model(TrainConfig, "")
    fields, hints = dataclasses.fields(method), get_type_hints(method)
    meanings = _meanings(method.__doc__ or "", [field.name for field in fields])
    rows = []
    for field in fields:
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        kind = _type_name(hints[field.name])
        rows.append(Option(METHOD_PREFIX + field.name, kind, _default(default), meanings.get(field.name, "")))
    return rows


def _describe_model(model: type[BaseModel], prefix: str) -> list[Option]:
    meanings, rows = _meanings(model.__doc__ or "", model.model_fields), []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            rows += _describe_model(field.annotation, f"{prefix}{name}.")
            continue
        kind = _type_name(field.annotation) + _bounds(field.metadata)
        rows.append(Option(prefix + name, kind, _default(field.default), meanings.get(name, "")))
    return rows


def _scalar(key: str, text: str) -> Any:
    if _NUMBER.fullmatch(text):  # YAML 1.1 takes 1e-3 for a string
        return float(text)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    raise ConfigError(f"--set {key} takes a single value, got {text!r}.")


def _faults(error: ValidationError, options: Mapping[str, Any], types: Mapping[str, str]) -> str:
    keys = [".".join(str(part) for part in fault["loc"]) for fault in error.errors()]
    named = dict.fromkeys(next(k for k in sorted(options, key=len, reverse=True) if key.startswith(k)) for key in keys)
    return " ".join(f"--set {key}={options[key]}: expected {types[key]}, got {options[key]!r}." for key in named)


def _type_name(annotation: Any) -> str:
    """A type for a person to read: `whole number`, `sgd | adam`. None is left out: not giving the key means it."""
    origin = get_origin(annotation)
    if origin is Literal:
        return " | ".join(str(a) for a in get_args(annotation))
    if origin is Annotated:
        kind, *rules = get_args(annotation)
        return _type_name(kind) + _bounds(rules)
    if origin in (Union, UnionType):
        return " | ".join(_type_name(a) for a in get_args(annotation) if a is not type(None))
    plain = {int: "whole number", float: "number", bool: "true | false", str: "text"}
    return plain.get(annotation, str(annotation).removeprefix("typing."))


def _bounds(metadata: Iterable[Any]) -> str:
    words = {"ge": "at least {:g}", "gt": "above {:g}", "le": "at most {:g}", "lt": "below {:g}"}
    rules = [inner for rule in metadata for inner in (rule.metadata if isinstance(rule, FieldInfo) else [rule])]
    said = [text.format(getattr(rule, name)) for rule in rules for name, text in words.items() if hasattr(rule, name)]
    return f" ({', '.join(said)})" if said else ""


def _default(value: Any) -> str:
    if value is None:
        return "the method decides"
    if value == "":
        return "none"
    return "required" if value is dataclasses.MISSING else str(value)


def _meanings(docstring: str, names: Iterable[str]) -> dict[str, str]:
    """What a docstring says of each name in `one, two: what they mean.`, at the start of a line or a sentence."""
    name = "|".join(map(re.escape, names)) or "(?!)"
    entry = re.compile(rf"(?:(?<=\n)|(?<=\. )|^)((?:{name})(?:, (?:{name}))*): ")
    meanings: dict[str, str] = {}
    for paragraph in inspect.cleandoc(docstring).split("\n\n"):
        _, *pieces = entry.split(re.sub(r"\n +", " ", paragraph))
        for given, meaning in zip(pieces[::2], pieces[1::2], strict=True):
            meanings |= dict.fromkeys(given.split(", "), " ".join(meaning.split()))
    return meanings
