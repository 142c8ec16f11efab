"""Which words of a text: integrated gradients of their vectors, gathered from tokens to words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np
from torch import Tensor

from headstart.core.card import TextInput
from headstart.core.passages import Place
from headstart.data.dataset import Item
from headstart.data.tokens import located, pad_id, tokenizer
from headstart.evaluation.explanation import Word, Words
from headstart.nn.attribution import layer_integrated_gradients
from headstart.recipes.explaining.base import INTEGRATED, Found, Onlooker, chosen

_MASKS: Final = ("[MASK]", "<mask>")
_APART: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Scripts whose words are not parted by spaces: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""

Span = tuple[int, int]


def explain_text(item: Item, onlookers: Sequence[Onlooker], method: str) -> Found:
    """The mean over members, each with its own tokens. A token's score goes to the word it lies in."""
    chosen(method, INTEGRATED)
    kept = onlookers[0].kept
    if isinstance(kept, Place):
        texts = (kept.passage.question, kept.passage.text) if kept.passage.question else (kept.passage.text,)
    else:
        texts = (kept,) if isinstance(kept, str) else tuple(kept)
    read = [_read(onlooker) for onlooker in onlookers]
    words = [
        _units(text, [span for spans, _, _ in read for p, span in spans if p == part])
        for part, text in enumerate(texts)
    ]
    scores = [np.zeros(len(found)) for found in words]
    seen = [np.zeros(len(found), bool) for found in words]
    rest = 0.0
    for onlooker, (spans, values, _) in zip(onlookers, read, strict=True):
        for (part, (start, end)), value in zip(spans, onlooker.weight * values, strict=True):
            place = (
                next((i for i, (a, b) in enumerate(words[part]) if start < b and a < end), None) if part >= 0 else None
            )
            if place is None:
                rest += float(value)
            else:
                scores[part][place] += value
                seen[part][place] = True
    evidence = tuple(
        Word(texts[part][start:end], start, end, float(scores[part][i]), part, bool(seen[part][i]))
        for part in range(len(texts))
        for i, (start, end) in enumerate(words[part])
    )
    return Found(Words(texts, evidence, rest), (INTEGRATED,) * len(read), tuple(gap for _, _, gap in read))


def _read(onlooker: Onlooker) -> tuple[list[tuple[int, Span]], np.ndarray, float]:
    """Of each token the text it is of (-1 of none) and its characters there; its score; the gap."""
    contract = onlooker.member.contract
    assert isinstance(contract, TextInput)
    spans = located(onlooker.kept, contract)
    baseline: Tensor = onlooker.ready.clone()
    for place, (part, _) in enumerate(spans):
        if part >= 0:
            baseline[0, 0, place] = _neutral(contract)
    path = layer_integrated_gradients(onlooker.member.model, onlooker.ready, baseline, onlooker.output)
    values = path.values[0].sum(1).double().cpu().numpy()[: len(spans)]
    return spans, values, path.gap


def _neutral(contract: TextInput) -> int:
    """The token that says nothing: the one that stood for hidden words in pretraining, else that of padding."""
    ids = (tokenizer(contract).token_to_id(mask) for mask in _MASKS)
    return next((int(found) for found in ids if found is not None), pad_id(contract))


def _units(text: str, tokens: Sequence[Span]) -> list[Span]:
    """Words, single characters where words are not parted by spaces, and signs; what a token spans is one."""
    units: list[Span] = []
    for place, kind in enumerate(map(_kind, text)):
        joins = bool(units) and units[-1][1] == place
        if kind == "space":
            continue
        last = _kind(text[place - 1]) if joins else ""
        inner = text[place] in "'’" and last == "word" and _kind(text[place + 1 : place + 2] or " ") == "word"
        after = joins and text[place - 1] in "'’" and units[-1][1] - units[-1][0] > 1
        if joins and (kind == "mark" or inner or (kind == "word" and (last in ("word", "mark") or after))):
            units[-1] = (units[-1][0], place + 1)
        else:
            units.append((place, place + 1))
    for start, end in sorted(tokens):
        within = [i for i, (a, b) in enumerate(units) if start < b and a < end]
        if len(within) > 1:
            units[within[0] : within[-1] + 1] = [(units[within[0]][0], units[within[-1]][1])]
    return units


def _kind(letter: str) -> str:
    if letter.isspace():
        return "space"
    if unicodedata.category(letter)[0] == "M" or letter in "\u200c\u200d":
        return "mark"
    if _APART.match(letter):
        return "apart"
    return "word" if letter.isalnum() or letter == "_" else "sign"
