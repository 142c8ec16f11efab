"""What the planner chooses: what pays, fits, and is new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headstart.recipes.auto.plan import FEW_EPOCHS, Known, Move, choose, outlooks
from headstart.recipes.price import Price

SLOW, FAST = Price(0.02, 0.08, 900.0), Price(0.005, 0.025, 400.0)
PROBE = Move(kind="probe", sources=("fast",))


def known(*tried: tuple[Move, bool], champion: Move = PROBE, train: int = 600, **prices: Price) -> Known:
    moves = (PROBE, *(move for move, _ in tried))
    return Known(
        prices={"fast": FAST, **prices},
        items={"train": train, "validation": train // 3, "test": train // 2},
        halves=dict.fromkeys(("fast", *prices), 4),
        champion=champion,
        tried=moves,
        kept=(True, *(kept for _, kept in tried)),
    )


@given(st.floats(0, 1000), st.integers(0, 100_000), st.floats(1e-4, 1), st.floats(1e-4, 1))
def test_the_choice_fits_and_nothing_that_fits_pays_better(
    seconds: float, train: int, encode: float, step: float
) -> None:
    state = known(train=train, other=Price(encode, step, 1.0))
    found = choose(state, seconds)
    fitting = [outlook for outlook in outlooks(state) if outlook.seconds <= seconds]
    fitting = fitting or [outlook for outlook in outlooks(state, FEW_EPOCHS) if outlook.seconds <= seconds]
    if found is None:
        assert not fitting
    else:
        assert found.seconds <= seconds
        assert found.gain / found.seconds == max(o.gain / o.seconds for o in fitting)


@given(st.lists(st.booleans(), min_size=60, max_size=60))
def test_it_comes_to_an_end_and_never_repeats_itself(luck: list[bool]) -> None:
    tried: list[tuple[Move, bool]] = []
    champion = PROBE
    for kept in luck:
        found = choose(known(*tried, champion=champion, other=SLOW), 1e9)
        if found is None:
            break
        assert found.move not in [move for move, _ in tried]
        tried.append((found.move, kept))
        champion = found.move if kept else champion
    else:
        raise AssertionError("more moves than there can be")
    assert {move.kind for move, _ in tried} == {"probe", "joint", "tune", "soup"}


def test_what_was_in_vain_is_expected_to_give_less() -> None:
    def gain(state: Known, move: Move) -> float:
        return next(outlook.gain for outlook in outlooks(state) if outlook.move == move)

    lora = next(o.move for o in outlooks(known()) if o.move.method == "lora")
    partial = next(o.move for o in outlooks(known()) if o.move.method == "partial")
    fresh = gain(known(), lora)
    assert gain(known((partial, False)), lora) < fresh
    assert gain(known((partial, True)), lora) == fresh
    assert gain(known((partial, True), champion=partial), lora) < fresh


def test_shorter_training_is_not_tried_after_longer() -> None:
    long = Move(kind="tune", sources=("fast",), method="lp-ft", epochs=4)
    left = {(o.move.method, o.move.epochs) for o in outlooks(known((long, False)))}
    assert ("lp-ft", 2) not in left
    assert ("lp-ft", 8) in left


def test_sources_join_only_when_two_were_probed_and_weights_when_two_were_tuned() -> None:
    other = Move(kind="probe", sources=("other",))
    assert "joint" not in {o.move.kind for o in outlooks(known(other=SLOW))}
    joint = next(o.move for o in outlooks(known((other, False), other=SLOW)) if o.move.kind == "joint")
    assert joint.sources == ("fast", "other")
    tunes = [o.move for o in outlooks(known()) if o.move.kind == "tune"][:2]
    assert "soup" not in {o.move.kind for o in outlooks(known((tunes[0], True)))}
    assert "soup" in {o.move.kind for o in outlooks(known((tunes[0], True), (tunes[1], False)))}


def test_moves_survive_json_and_say_what_they_are() -> None:
    for outlook in outlooks(known((Move(kind="probe", sources=("other",)), False), other=SLOW)):
        assert Move.model_validate_json(outlook.move.model_dump_json()) == outlook.move
        assert all(source in str(outlook.move) for source in outlook.move.sources)


def test_few_epochs_are_for_what_would_else_be_idle_time() -> None:
    """Of 600 items at these prices two epochs of half the network take about 14 s, the least of the others more."""
    state = known()
    least = min(outlook.seconds for outlook in outlooks(state))
    few = choose(state, least - 0.1)
    assert few is not None
    assert few.move in [outlook.move for outlook in outlooks(state, FEW_EPOCHS)]
    assert choose(state, least) is not None
    assert choose(state, least).move.epochs >= 2  # type: ignore[union-attr, operator]
    tuned = Move(kind="tune", sources=("fast",), method="lora", epochs=5)
    assert choose(known((tuned, True), champion=tuned), least - 0.1) is None
