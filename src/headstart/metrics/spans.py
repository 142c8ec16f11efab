"""Named entities: spans from tags, and precision, recall and F1 of whole spans. See `headstart.metrics` for `counts`.

A tag is "O", or a letter and a type ("B-PER"): B begins an entity, I goes on, E or L ends it, S or U is one by itself;
M (BMES) is I. A letter alone is of type "_"; a tag without a letter ("PER") is I of that type.

N sentences, K types of entity, R resamples. A span counts as right if its type and both ends are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from headstart.core.errors import ShapeError
from headstart.metrics.classification import Tally
from headstart.metrics.ratios import mean_where, share
from headstart.metrics.resampling import Metrics, once

Scheme = Literal["iob1", "iob2", "iobes"]
"""How spans are tagged. iob1: B only where an entity touches one of its type before it (Ramshaw and Marcus 1995);
iob2: every entity begins with B; iobes: its last word has E, a single word S (BILOU and BMES are the same)."""

_LETTERS: Final = {"L": "E", "U": "S", "M": "I"}
_PREFIXED: Final = re.compile(r"([BIESLUM])(?:-(.*))?", re.DOTALL)
_WHOLE: Final[dict[Scheme, re.Pattern[str]]] = {
    "iob1": re.compile("[BI]I*"),
    "iob2": re.compile("BI*"),
    "iobes": re.compile("S|BI*E"),
}


class Entity(NamedTuple):
    """Words `start` to `end`, the latter left out, are a `type`."""

    type: str
    start: int
    end: int


def entities(tags: Sequence[str], strict: Scheme | None = None) -> list[Entity]:
    """The entities of one sentence, in order.

    strict: None reads any sequence as the script conlleval (and seqeval's default mode) does: an entity begins where a
    B stands, or where an I or E has nothing of its type before it to go on with. A scheme gives only entities that are
    tagged exactly by it, as seqeval's strict mode does.
    """
    parts = [_parts(tag) for tag in tags]
    found: list[Entity] = []
    for start, (letter, type_) in enumerate(parts):
        if not _begins(letter, type_, *(parts[start - 1] if start else _OUTSIDE)):
            continue
        end = start + 1
        while end < len(parts) and parts[end][0] != "O" and not _begins(*parts[end], *parts[end - 1]):
            end += 1
        letters = "".join(part[0] for part in parts[start:end])
        if strict is None or (
            _WHOLE[strict].fullmatch(letters)
            and not (strict == "iob1" and letter == "B" and (start == 0 or parts[start - 1][1] != type_))
        ):
            found.append(Entity(type_, start, end))
    return found


def scheme_of(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme that sentences are tagged by: "iobes" where E, S or the like occur; "iob1" where some entity begins
    with I and no B stands where that scheme has none; else "iob2"."""
    begun_inside = False
    like_iob1 = True
    for tags in sentences:
        before = _OUTSIDE
        for letter, type_ in map(_parts, tags):
            if letter in ("E", "S"):
                return "iobes"
            if letter == "I" and _begins(letter, type_, *before):
                begun_inside = True
            if letter == "B" and before[1] != type_:
                like_iob1 = False
            before = (letter, type_)
    return "iob1" if begun_inside and like_iob1 else "iob2"


def iob_violations(tags: Sequence[str], scheme: Scheme = "iob2") -> list[tuple[int, str]]:
    """Where the tags of a sentence break their scheme: (position, reason), in order; [] where they are sound."""
    found: list[tuple[int, str]] = []
    parts = [_OUTSIDE, *map(_parts, tags), _OUTSIDE]
    shown = ["the beginning", *tags, "the end"]
    for place in range(1, len(parts)):
        (was, type_before), (letter, type_) = parts[place - 1], parts[place]
        goes_on = was in ("B", "I") and type_ == type_before
        if scheme == "iobes":
            if letter in ("I", "E") and not goes_on:
                found.append((place - 1, f"{shown[place]} follows {shown[place - 1]}"))
            elif was in ("B", "I") and letter not in ("I", "E"):
                found.append((place - 2, f"{shown[place - 1]} is not ended by E before {shown[place]}"))
        elif letter in ("E", "S"):
            found.append((place - 1, f"{shown[place]} is no tag of {scheme.upper()}"))
        elif letter == ("I" if scheme == "iob2" else "B") and not goes_on:
            found.append((place - 1, f"{shown[place]} follows {shown[place - 1]}"))
    return sorted(found)


def tells_entities(tags: Iterable[str]) -> bool:
    """Whether tags are of a scheme for entities (O, B-PER), not of another sort (parts of speech)."""
    return all(tag == "O" or _PREFIXED.fullmatch(tag) for tag in tags)


def companions(tags: Iterable[str], scheme: Scheme) -> set[str]:
    """The tags that a scheme has for the types of entity among `tags`, in the letters that they are written with."""
    known = [found for tag in tags if (found := _PREFIXED.fullmatch(tag))]
    letters = {_LETTERS.get(found[1], found[1]): found[1] for found in known}
    wanted = "BIES" if scheme == "iobes" else "BI" if scheme == "iob2" else "I"
    types = {found[2] for found in known}
    return {
        letters.get(letter, letter) + ("" if type_ is None else f"-{type_}") for letter in wanted for type_ in types
    }


def transitions(tags: Sequence[str], scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a scheme allows: (K,) a tag at the beginning, (K, K) one (column) after another (row), (K,) one at the end;
    0 where it does and -inf where not. A tag that goes on is allowed anywhere where none of `tags` begins its type."""
    parts = [_parts(tag) for tag in tags]
    begun = {type_ for letter, type_ in parts if letter == "B"}

    def follows(before: tuple[str, str], after: tuple[str, str]) -> bool:
        (was, type_before), (letter, type_) = before, after
        open_ = was in ("B", "I") and type_before == type_
        if scheme == "iob1":
            return letter != "B" or open_
        if letter in ("I", "E") and type_ in begun:
            return open_
        return scheme != "iobes" or was not in ("B", "I") or letter in ("I", "E")

    def cost(allowed: Iterable[bool]) -> np.ndarray:
        return np.where(np.fromiter(allowed, bool), 0.0, -np.inf)

    start = cost(follows(_OUTSIDE, part) for part in parts)
    follow = np.stack([cost(follows(before, after) for after in parts) for before in parts])
    end = cost(scheme != "iobes" or letter not in ("B", "I") for letter, _ in parts)
    return start, follow, end


@dataclass(frozen=True)
class Spans:
    """How many entities each sentence has of each type: (N, K) float32 each.

    types: sorted names. right: predicted as they are. predicted, support: in the prediction, in truth.
    """

    types: tuple[str, ...]
    right: np.ndarray
    predicted: np.ndarray
    support: np.ndarray


def count_spans(
    targets: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], strict: Scheme | None = None
) -> Spans:
    """Compare the entities of N sentences. strict: as for `entities`, of both sides.

    Raises ShapeError where the sentences or their words are not as many on both sides.
    """
    if list(map(len, targets)) != list(map(len, predicted)):
        raise ShapeError(
            f"{len(targets)} sentences of {sum(map(len, targets))} words have {len(predicted)} predictions of "
            f"{sum(map(len, predicted))} words. Expected one tag for every word."
        )
    pairs = [(set(entities(t, strict)), set(entities(p, strict))) for t, p in zip(targets, predicted, strict=True)]
    types = sorted({entity.type for pair in pairs for side in pair for entity in side})
    column = {name: k for k, name in enumerate(types)}
    right, given, there = (np.zeros((len(pairs), len(types)), dtype=np.float32) for _ in range(3))
    for row, (truth, guess) in enumerate(pairs):
        for table, chosen in ((right, truth & guess), (given, guess), (there, truth)):
            for entity in chosen:
                table[row, column[entity.type]] += 1
    return Spans(tuple(types), right, given, there)


def tally(spans: Spans, counts: np.ndarray) -> Tally:
    """Entities of each type in each resample; its precision, recall and F1 are (K, R). counts: (N, R)."""
    return Tally(spans.support.T @ counts, spans.predicted.T @ counts, spans.right.T @ counts)


def metrics(spans: Spans, counts: np.ndarray | None = None, only: str | None = None) -> Metrics:
    """Precision, recall and F1 over all entities (micro) and as the mean over types (macro), or `only` one; (R,) each.

    What is undefined counts 0, as in seqeval; a macro average is NaN where there is no entity at all.
    counts: (N, R), None is the sample itself.
    """
    cells = tally(spans, once(len(spans.right)) if counts is None else counts)
    right, predicted, support = (part.sum(axis=0) for part in (cells.right, cells.predicted, cells.support))
    measures: dict[str, Callable[[], np.ndarray]] = {
        "span_precision": lambda: share(right, predicted),
        "span_recall": lambda: share(right, support),
        "span_f1": lambda: share(2 * right, predicted + support),
        "span_precision_macro": lambda: mean_where(cells.precision, cells.present),
        "span_recall_macro": lambda: mean_where(cells.recall, cells.present),
        "span_f1_macro": lambda: mean_where(cells.f1, cells.present),
    }
    return {name: measures[name]() for name in ([only] if only else measures)}


_OUTSIDE: Final = ("O", "")


def _parts(tag: str) -> tuple[str, str]:
    """Letter (one of O, B, I, E, S) and type of a tag."""
    if tag in ("O", ""):
        return _OUTSIDE
    found = _PREFIXED.fullmatch(tag)
    if found is None:
        return "I", tag
    return _LETTERS.get(found[1], found[1]), found[2] or "_"


def _begins(letter: str, type_: str, letter_before: str, type_before: str) -> bool:
    if letter in ("I", "E"):
        return letter_before in ("O", "E", "S") or type_ != type_before
    return letter != "O"
