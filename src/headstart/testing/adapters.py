"""What every shallow adapter must keep. Run it over your own:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_adapter(check: Check) -> None:
        check(MyAdapter)

A check raises AssertionError where a promise is broken.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.core.errors import ConfigError, ShapeError
from headstart.methods.adaptation.shallow.base import Adapter, Correction, Domain, Predictor, Transform, Weighting

Make = Callable[[], Adapter]
Check = Callable[[Make], None]
Pair = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Source (Ns, D), target (Nt, D), the source's labels (Ns,)."""


def toy(items: int = 24, others: int = 20, width: int = 4, classes: int = 3, seed: int = 0) -> Pair:
    """Two domains of a few classes; the second is stretched and moved."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(classes, width))
    labels, hidden = np.arange(items) % classes, np.arange(others) % classes
    source = centres[labels] + rng.normal(size=(items, width))
    target = (centres[hidden] + rng.normal(size=(others, width))) * np.linspace(0.5, 2, width) + 1
    return source, target, labels


def hard_cases() -> dict[str, Pair]:
    """Pairs on which a careless formula divides by zero."""
    source, target, labels = toy()
    constant = np.array([1.0, 0, 1, 1])
    return {
        "plain": (source, target, labels),
        "few items": toy(3, 2),
        "one item each": toy(1, 1, classes=1),
        "one source item": toy(1, 9, classes=1),
        "one target item": toy(9, 1),
        "one class": (source, target, np.zeros_like(labels)),
        "a class an item": (source, target, np.arange(len(source))),
        "more dimensions than items": toy(5, 6, 30),
        "a constant feature": (source * constant + 5 * (1 - constant), target * constant + 5 * (1 - constant), labels),
        "a feature that is constant in one domain": (source * constant, target, labels),
        "all constant": (np.ones_like(source), np.ones_like(target), labels),
        "the same domain": (source, source.copy(), labels),
        "every item twice": (np.repeat(source, 2, axis=0), np.repeat(target, 2, axis=0), np.repeat(labels, 2)),
        "far apart": (source, target + 1e4, labels),
        "huge": (source * 1e6, target * 1e6, labels),
        "tiny": (source * 1e-6, target * 1e-6, labels),
    }


def check_it_says_what_it_is(make: Make) -> None:
    adapter = make()
    assert adapter.name
    assert adapter.paper
    assert type(adapter).__doc__
    assert isinstance(adapter, Transform | Weighting | Predictor | Correction)


def check_no_label_of_the_target_is_asked_for(make: Make) -> None:
    expected = ["source", "target", "source_labels"]
    if isinstance(make(), Correction):
        expected = ["source_probabilities", "source_labels", "target_probabilities"]
    assert list(inspect.signature(make().fit).parameters) == expected  # type: ignore[attr-defined]


def check_options_can_be_read_and_set(make: Make) -> None:
    adapter = make()
    options = adapter.get_params()
    again = type(adapter)(**options)
    assert again.get_params() == options
    assert all(again.get_params()[name] is value for name, value in options.items())
    assert again.set_params(**options) is again
    try:
        again.set_params(no_such_option=1)
    except ConfigError as error:
        assert "no_such_option" in str(error)  # noqa: PT017
    else:
        raise AssertionError("an option that does not exist was accepted")


def check_hard_cases_have_finite_answers(make: Make) -> None:
    for name, pair in hard_cases().items():
        for values in answers(make(), pair):
            assert np.isfinite(values).all(), name


def check_shapes(make: Make) -> None:
    adapter, (source, target, labels) = make(), toy()
    new = np.random.default_rng(1).normal(size=(7, source.shape[1]))
    fit(adapter, (source, target, labels))
    if isinstance(adapter, Transform):
        widths = {adapter.transform(rows, domain).shape[1] for rows in (new, source) for domain in DOMAINS}
        assert len(widths) == 1
        assert adapter.transform(new, "source").shape[0] == 7
        assert adapter.transform(new[:0], "target").shape == (0, widths.pop())
    elif isinstance(adapter, Weighting):
        assert adapter.weights_.shape == (len(source),)
        assert (adapter.weights_ >= 0).all()
        assert np.isclose(adapter.weights_.mean(), 1)
        assert 1 <= adapter.effective_size() <= len(source) + 1e-9
    elif isinstance(adapter, Predictor):
        scores = adapter.scores(new)
        assert len(scores) == 7
        if adapter.classes_ is not None:
            assert scores.shape == (7, len(adapter.classes_))
            assert (scores >= 0).all()
            assert np.allclose(scores.sum(axis=1), 1)
    elif isinstance(adapter, Correction):
        assert np.isclose(adapter.priors_.sum(), 1)
        assert (adapter.priors_ >= 0).all()
        corrected = adapter.correct(soft(source))
        assert corrected.shape == soft(source).shape
        assert np.allclose(corrected.sum(axis=1), 1)


def check_the_same_again(make: Make) -> None:
    """Two fits agree to the bit, a fit forgets the one before, and what was given is left as it was."""
    pair = toy()
    kept = [part.copy() for part in pair]
    first = answers(make(), pair)
    adapter = make()
    fit(adapter, toy(9, 8, width=6, classes=2, seed=3))
    for values, others in zip(first, answers(adapter, pair), strict=True):
        assert np.array_equal(values, others)
    assert all(np.array_equal(part, before) for part, before in zip(pair, kept, strict=True))


def check_the_order_of_items_does_not_matter(make: Make) -> None:
    """To rounding. Where folds are drawn (an option `seed`), they may be other ones; that is not looked at."""
    if "seed" in make().get_params():
        return
    source, target, labels = toy()
    rng = np.random.default_rng(5)
    turn, swap = rng.permutation(len(source)), rng.permutation(len(target))
    before, after = make(), make()
    fit(before, (source, target, labels))
    fit(after, (source[turn], target[swap], labels[turn]))
    if isinstance(before, Transform) and isinstance(after, Transform):
        _close(_distances(before, source, target), _distances(after, source, target))
    elif isinstance(before, Weighting) and isinstance(after, Weighting):
        _close(before.weights_[turn], after.weights_)
    elif isinstance(before, Predictor) and isinstance(after, Predictor):
        _close(before.scores(target), after.scores(target))
    elif isinstance(before, Correction) and isinstance(after, Correction):
        _close(before.priors_, after.priors_)


def check_the_names_of_classes_do_not_matter(make: Make) -> None:
    source, target, labels = toy()
    named = np.array(["b", "c", "a"])[labels]
    before, after = make(), make()
    if isinstance(before, Correction) or (isinstance(before, Predictor) and "kind" not in before.get_params()):
        return  # class numbers, or quantities
    fit(before, (source, target, labels))
    fit(after, (source, target, named))
    if isinstance(before, Transform) and isinstance(after, Transform):
        _close(before.transform(source, "source"), after.transform(source, "source"))
    elif isinstance(before, Predictor) and isinstance(after, Predictor):
        _close(before.scores(target), after.scores(target)[:, [1, 2, 0]])


def check_what_does_not_fit_is_refused(make: Make) -> None:
    source, target, labels = toy()
    broken = source.copy()
    broken[2, 1] = np.nan
    assert _refused(lambda: fit(make(), (broken, target, labels)))
    assert _refused(lambda: fit(make(), (source, target[:0], labels)))
    assert _refused(lambda: fit(make(), (source[0], target, labels)))
    adapter = make()
    if isinstance(adapter, Correction):
        assert _refused(lambda: adapter.correct(soft(source)))
        return
    assert _refused(lambda: fit(make(), (source, target[:, :2], labels)))
    assert _refused(lambda: fit(make(), (source, target, labels[:5])))
    if isinstance(adapter, Transform):
        assert _refused(lambda: adapter.transform(source, "source"))
    if adapter.needs_labels:
        assert _refused(lambda: adapter.fit(source, target))  # type: ignore[attr-defined]


CHECKS: tuple[Check, ...] = (
    check_it_says_what_it_is,
    check_no_label_of_the_target_is_asked_for,
    check_options_can_be_read_and_set,
    check_hard_cases_have_finite_answers,
    check_shapes,
    check_the_same_again,
    check_the_order_of_items_does_not_matter,
    check_the_names_of_classes_do_not_matter,
    check_what_does_not_fit_is_refused,
)
DOMAINS: tuple[Domain, ...] = ("source", "target")


def soft(rows: np.ndarray) -> np.ndarray:
    """(N, D) -> (N, D + 1) probabilities, of a made-up model; always the same for the same row."""
    size = np.abs(rows).max(initial=1)
    logits = np.hstack([rows / size, np.zeros((len(rows), 1))])
    shares: np.ndarray = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return shares


def fit(adapter: Adapter, pair: Pair) -> None:
    """Fit any kind of adapter to a pair; a correction to made-up probabilities of its rows."""
    source, target, labels = pair
    if isinstance(adapter, Correction):
        numbers = np.unique(labels, return_inverse=True)[1] % (source.shape[-1] + 1)
        adapter.fit(soft(np.atleast_2d(source)) if source.ndim == 2 else source, numbers, soft(target))
    elif isinstance(adapter, Transform | Weighting | Predictor):
        adapter.fit(source, target, labels)


def answers(adapter: Adapter, pair: Pair) -> list[np.ndarray]:
    """Everything an adapter says after being fitted to a pair."""
    fit(adapter, pair)
    source, target, _ = pair
    if isinstance(adapter, Transform):
        return [adapter.transform(source, "source"), adapter.transform(target, "target")]
    if isinstance(adapter, Weighting):
        return [adapter.weights_]
    if isinstance(adapter, Predictor):
        return [adapter.scores(target)]
    assert isinstance(adapter, Correction)
    return [adapter.priors_, adapter.correct(soft(target))]


def _distances(adapter: Transform, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Between all rows: what is left of a transform when axes may change their sign."""
    rows = np.concatenate([adapter.transform(source, "source"), adapter.transform(target, "target")])
    found: np.ndarray = np.linalg.norm(rows[:, None] - rows, axis=2)
    return found


def _close(values: np.ndarray, others: np.ndarray) -> None:
    assert np.allclose(values, others, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(values).max())))


def _refused(action: Callable[[], Any]) -> bool:
    try:
        action()
    except (ShapeError, ConfigError):
        return True
    return False
