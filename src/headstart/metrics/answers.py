"""Answers to questions, judged as SQuAD's and CMRC 2018's own scripts do: exact match and F1, each (N,) in 0..1.

N questions, each with one predicted text and some right ones, of which the best counts. A question whose right answers
are () has none in its context: "" is then right, and what is more than articles and marks is wrong (SQuAD 2.0).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Final, Literal

import numpy as np

from headstart.core.errors import ShapeError
from headstart.metrics.resampling import Metrics, once

Form = Literal["squad", "cmrc"]
"""Whose rules: SQuAD (Rajpurkar et al. 2016), words by spaces; CMRC 2018 (Cui et al. 2019), Chinese by characters."""

_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_CMRC_MARKS: Final = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
_CMRC_DROPPED: Final = str.maketrans("", "", _CMRC_MARKS)
DENSE: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai and Lao, Burmese, Khmer, kana, Chinese: written without spaces."""
_WORD: Final = rf"[^\W{DENSE}]+"
_SEGMENT: Final = re.compile(rf"[{DENSE}]|{_WORD}(?:(?:[.']|,(?=\d)){_WORD})*|[^\w\s]")


def form_of(texts: Sequence[str]) -> Form:
    """The rules for these texts: "cmrc" where most letters are of scripts written without spaces."""
    letters = sum(character.isalpha() for text in texts for character in text)
    dense = sum(len(re.findall(f"[{DENSE}]", text)) for text in texts)
    return "cmrc" if 2 * dense > letters else "squad"


def metrics(exact: np.ndarray, f1: np.ndarray, counts: np.ndarray | None = None, only: str | None = None) -> Metrics:
    """Their means, each (R,). exact, f1: (N,). counts: (N, R), None is the sample itself. See `headstart.metrics`."""
    counts = once(len(exact)) if counts is None else counts
    parts = {"exact_match": exact, "answer_f1": f1}
    total = counts.sum(axis=0, dtype=np.float64)
    return {name: parts[name].astype(np.float32) @ counts / total for name in ([only] if only else parts)}


def exact_match(predicted: Sequence[str], answers: Sequence[Sequence[str]], form: Form = "squad") -> np.ndarray:
    """(N,) float64: 1 where a right answer is met, but for case, punctuation, spaces and (squad) English articles.

    Raises ShapeError where predictions and answers are not as many.
    """
    return _best(predicted, answers, lambda one, other: float(normalised(one, form) == normalised(other, form)))


def answer_f1(predicted: Sequence[str], answers: Sequence[Sequence[str]], form: Form = "squad") -> np.ndarray:
    """(N,) float64: harmonic mean of the shares of the predicted and of the right answer that both have.

    squad: words, in any order, as often as both have them. cmrc: the longest run of segments (a Chinese character, a
    word in other letters, a mark) that both have. Raises ShapeError as `exact_match`.
    """
    return _best(predicted, answers, _cmrc_f1 if form == "cmrc" else _squad_f1)


def normalised(text: str, form: Form = "squad") -> str:
    """What is compared: squad lowers, takes off ASCII punctuation and a, an, the, and joins words by one space; cmrc
    lowers and takes off its script's list of marks."""
    if form == "cmrc":
        return text.lower().strip().translate(_CMRC_DROPPED)
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def segments(text: str) -> list[str]:
    """What CMRC 2018 counts: characters of scripts without spaces (its script: of Chinese), words and marks of others.

    Its script cuts the others by NLTK, which keeps an initial's full stop and signs such as ° with the word beside
    them: of the distinct answers of CMRC 2018, 0.9 % are cut otherwise here.
    """
    return _SEGMENT.findall(normalised(text, "cmrc"))


def _best(predicted: Sequence[str], answers: Sequence[Sequence[str]], score: Callable[[str, str], float]) -> np.ndarray:
    if len(predicted) != len(answers):
        raise ShapeError(f"{len(predicted)} predictions for {len(answers)} questions. Expected one for each.")
    best = [max(score(p, right) for right in several or ("",)) for p, several in zip(predicted, answers, strict=True)]
    return np.asarray(best, dtype=np.float64)


def _squad_f1(predicted: str, right: str) -> float:
    given, wanted = normalised(predicted).split(), normalised(right).split()
    return _harmonic((Counter(given) & Counter(wanted)).total(), len(given), len(wanted))


def _cmrc_f1(predicted: str, right: str) -> float:
    given, wanted = segments(predicted), segments(right)
    run = SequenceMatcher(None, given, wanted, autojunk=False).find_longest_match().size
    return _harmonic(run, len(given), len(wanted))


def _harmonic(shared: int, given: int, wanted: int) -> float:
    return 2 * shared / (given + wanted) if given or wanted else 1.0
