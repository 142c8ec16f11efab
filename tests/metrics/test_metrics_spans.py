from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import sequence_labeling, v1
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from headstart.core.errors import ShapeError
from headstart.metrics.intervals import bootstrap
from headstart.metrics.resampling import once
from headstart.metrics.spans import Scheme, count_spans, entities, iob_violations, metrics, scheme_of, tally

ORACLES: Final[dict[Scheme, type]] = {"iob1": IOB1, "iob2": IOB2, "iobes": IOBES}

Sides = tuple[list[list[str]], list[list[str]]]


def tags_of(letters: str) -> st.SearchStrategy[list[str]]:
    names = ["O", *(f"{letter}-{type_}" for letter in letters for type_ in ("PER", "LOC", "creative-work"))]
    return st.lists(st.sampled_from(names), max_size=12)


@st.composite
def both_sides(draw: st.DrawFn, letters: str = "BIES") -> Sides:
    """Tags of some sentences, and a prediction that is right in most places."""
    truth = draw(st.lists(tags_of(letters), min_size=1, max_size=6))
    other = draw(tags_of(letters).filter(bool))
    guess = [[tag if draw(st.integers(0, 3)) else other[i % len(other)] for i, tag in enumerate(s)] for s in truth]
    return truth, guess


@settings(max_examples=300, deadline=None)
@given(tags_of("BIES"))
def test_any_sequence_is_read_as_seqeval_reads_it(tags: list[str]) -> None:
    assert entities(tags) == [(type_, start, end + 1) for type_, start, end in sequence_labeling.get_entities(tags)]


@pytest.mark.parametrize(("scheme", "letters"), [("iob1", "BI"), ("iob2", "BI"), ("iobes", "BIES")])
def test_strictly_read_only_what_the_scheme_allows_is_an_entity(scheme: Scheme, letters: str) -> None:
    @settings(max_examples=200, deadline=None)
    @given(tags_of(letters))
    def check(tags: list[str]) -> None:
        (found,) = Entities([tags], ORACLES[scheme]).entities
        sound = not iob_violations(tags, scheme)
        if sound or scheme != "iob1":  # where B comes wrongly first, seqeval takes what follows it for an IOB1 entity
            assert entities(tags, scheme) == [(e.tag, e.start, e.end) for e in found]
        if sound:
            assert entities(tags, scheme) == entities(tags)

    check()


@settings(max_examples=100, deadline=None)
@given(both_sides(), st.booleans())
def test_precision_recall_and_f1_are_those_of_seqeval(sides: Sides, strict: bool) -> None:
    truth, guess = sides
    spans = count_spans(truth, guess, "iobes" if strict else None)
    found = metrics(spans)
    if not spans.types:
        assert np.isnan(found["span_f1_macro"]).all()
        assert found["span_f1"] == 0
        return

    def oracle(average: str | None) -> Any:
        if strict:
            options: dict[str, Any] = {"scheme": IOBES, "average": average, "zero_division": 0}
            return v1.precision_recall_fscore_support(truth, guess, **options)
        return sequence_labeling.precision_recall_fscore_support(truth, guess, average=average, zero_division=0)

    for average in ("micro", "macro"):
        got = [
            found[f"span_{name}" + ("_macro" if average == "macro" else "")][0]
            for name in ("precision", "recall", "f1")
        ]
        assert got == pytest.approx(oracle(average)[:3], abs=1e-12)
    cells = tally(spans, once(len(truth)))
    for ours, theirs in zip((cells.precision, cells.recall, cells.f1, cells.support), oracle(None), strict=True):
        assert ours[:, 0] == pytest.approx(theirs, abs=1e-12)


@settings(deadline=None)
@given(both_sides("BI"), st.integers(0, 2**32 - 1))
def test_a_resample_is_judged_as_the_sentences_drawn_for_it(sides: Sides, seed: int) -> None:
    truth, guess = sides
    drawn = np.random.default_rng(seed).integers(0, len(truth), len(truth))
    counts = np.bincount(drawn, minlength=len(truth)).astype(np.float32)[:, None]
    resampled = metrics(count_spans(truth, guess), counts)
    repeated = metrics(count_spans([truth[i] for i in drawn], [guess[i] for i in drawn]))
    for name, values in repeated.items():
        assert resampled[name] == pytest.approx(values, nan_ok=True)
        assert metrics(count_spans(truth, guess), counts, only=name).keys() == {name}


def test_the_bootstrap_over_sentences_takes_them() -> None:
    truth = [["B-PER", "I-PER", "O", "B-LOC"]] * 30
    guess = [*truth[:20], *([["B-PER", "O", "O", "B-LOC"]] * 10)]
    spans = count_spans(truth, guess)
    found = bootstrap(lambda counts: metrics(spans, counts), 30, resamples=500)
    assert found["span_f1"].value == pytest.approx(50 / 60)
    assert found["span_f1"].low < 0.8 < 0.86 < found["span_f1"].high


@pytest.mark.parametrize(
    ("tags", "same"),
    [
        ("B-X L-X U-Y O", "B-X E-X S-Y O"),  # BILOU
        ("B-X M-X E-X S-Y", "B-X I-X E-X S-Y"),  # BMES
        ("B I O S", "B-_ I-_ O S-_"),
        ("X X O Y", "I-X I-X O I-Y"),  # types alone
    ],
)
def test_other_spellings_of_the_same(tags: str, same: str) -> None:
    assert entities(tags.split()) == entities(same.split()) != []


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["I-X I-X O I-X B-X", "O I-Y"], "iob1"),
        (["I-X O I-X"], "iob1"),
        (["B-X I-X O", "I-X O"], "iob2"),  # with a violation
        (["O B-X B-X I-X"], "iob2"),
        (["O O"], "iob2"),
        (["O", "B-X E-X"], "iobes"),
        (["U-X"], "iobes"),
    ],
)
def test_the_scheme_is_found_out(sentences: list[str], scheme: Scheme) -> None:
    assert scheme_of(sentence.split() for sentence in sentences) == scheme


@pytest.mark.parametrize(
    ("tags", "scheme", "violations"),
    [
        ("B-X I-X O B-Y B-Y", "iob2", {}),
        ("I-X I-X O I-Y B-X I-Y", "iob2", {0: "I-X follows the beginning", 3: "I-Y follows O", 5: "I-Y follows B-X"}),
        ("B-X E-X", "iob2", {1: "E-X is no tag of IOB2"}),
        ("I-X B-X I-X O I-Y I-X", "iob1", {}),
        ("B-X O I-Y B-X", "iob1", {0: "B-X follows the beginning", 3: "B-X follows I-Y"}),
        ("S-X B-X I-X E-X O", "iobes", {}),
        ("B-X O I-X E-X", "iobes", {0: "B-X is not ended by E before O", 2: "I-X follows O"}),
        ("O B-X", "iobes", {1: "B-X is not ended by E before the end"}),
        ("B-X E-Y", "iobes", {1: "E-Y follows B-X"}),
    ],
)
def test_violations_name_position_and_reason(tags: str, scheme: Scheme, violations: dict[int, str]) -> None:
    assert iob_violations(tags.split(), scheme) == list(violations.items())


def test_a_missing_tag_is_refused() -> None:
    with pytest.raises(ShapeError, match="2 sentences of 3 words have 2 predictions of 2 words"):
        count_spans([["O", "O"], ["O"]], [["O"], ["O"]])
