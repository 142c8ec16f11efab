from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError
from headstart.data.dataset import Dataset, Item, LabelKind, Role
from headstart.data.splits import assign_splits

ROLES: tuple[Role, ...] = ("train", "validation", "test")


def digests(dataset: Dataset) -> list[str]:
    return [hashlib.sha256(item.content()).hexdigest() for item in dataset.items]


def make(
    labels: Sequence[Any],
    kind: LabelKind = "class",
    *,
    groups: Sequence[str | None] | None = None,
    splits: Sequence[Role | None] | None = None,
    contents: Sequence[bytes] | None = None,
) -> Dataset:
    n = len(labels)
    rows = zip(
        labels, groups or [None] * n, splits or [None] * n, contents or [b"%d" % i for i in range(n)], strict=True
    )
    items = tuple(Item(f"i{k}", content, label, split, group) for k, (label, group, split, content) in enumerate(rows))
    width = len(labels[0]) if kind == "number" and isinstance(labels[0], tuple) else 1
    return Dataset("d", items, kind=kind, targets=tuple(f"y{j}" for j in range(width)) if kind == "number" else ())


def split(dataset: Dataset, seed: int = 0, **options: Any) -> list[Role | None]:
    return [item.split for item in assign_splits(dataset, digests(dataset), seed=seed, **options).items]


def by_content(dataset: Dataset, seed: int) -> dict[bytes, Role | None]:
    made = assign_splits(dataset, digests(dataset), seed=seed)
    return {item.content(): item.split for item in made.items}


def test_each_class_is_divided_as_asked() -> None:
    labels = ["a"] * 100 + ["b"] * 60 + ["c"] * 20
    count = Counter(zip(labels, split(make(labels)), strict=True))
    assert [[count[c, role] for role in ROLES] for c in "abc"] == [[70, 15, 15], [42, 9, 9], [14, 3, 3]]


def test_other_fractions() -> None:
    count = Counter(split(make(["a", "b"] * 50), fractions=(0.5, 0.25, 0.25)))
    assert count == {"train": 50, "validation": 25, "test": 25}


def test_order_and_item_are_kept() -> None:
    data = make(["a", "b"] * 10)
    made = assign_splits(data, digests(data), seed=1)
    assert tuple(replace(item, split=None) for item in made.items) == data.items


def test_seeds_differ_and_the_same_seed_does_not() -> None:
    data = make(["a", "b"] * 40)
    assert split(data, 1) == split(data, 1)
    assert split(data, 1) != split(data, 2)


def test_a_known_result_never_changes() -> None:
    """Runs of last year must split as they did: if this fails, every saved recipe means something else."""
    letters = {"train": "t", "validation": "v", "test": "e", None: "?"}
    assert "".join(letters[role] for role in split(make(["a", "b", "c"] * 8), seed=7)) == GOLDEN


GOLDEN = "ttttetttvettttttttvtttve"

labelled = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from([None, None, "g1", "g2", "g3"])), min_size=8, max_size=60
)


@settings(max_examples=80, deadline=None)
@given(rows=labelled, seed=st.integers(0, 5), shuffle=st.randoms(use_true_random=False))
def test_neither_order_nor_names_matter(rows: list[tuple[str, str | None]], seed: int, shuffle: random.Random) -> None:
    data = make([label for label, _ in rows], groups=[group for _, group in rows])
    items = [replace(item, id=f"other{k}") for k, item in enumerate(data.items)]
    shuffle.shuffle(items)
    try:
        expected = by_content(data, seed)
    except DataError:
        with pytest.raises(DataError):
            by_content(data.with_items(items), seed)
    else:
        assert by_content(data.with_items(items), seed) == expected


@settings(max_examples=80, deadline=None)
@given(rows=labelled, copies=st.lists(st.integers(0, 7), max_size=4), seed=st.integers(0, 5))
def test_groups_copies_and_lookalikes_stay_together(
    rows: list[tuple[str, str | None]], copies: list[int], seed: int
) -> None:
    contents = [b"%d" % (copies[k] if k < len(copies) else k) for k in range(len(rows))]
    data = make([label for label, _ in rows], groups=[group for _, group in rows], contents=contents)
    alike = [(5, 6, 7)]
    try:
        roles = split(data, seed, near_duplicate_groups=alike)
    except DataError as error:
        assert "cannot be divided" in str(error)  # noqa: PT017
        return
    assert set(roles) == set(ROLES)
    together: dict[Any, set[Role | None]] = defaultdict(set)
    for k, (_, group) in enumerate(rows):
        together["content", contents[k]].add(roles[k])
        if group is not None:
            together["group", group].add(roles[k])
    together["alike"] = {roles[k] for k in alike[0]}
    assert all(len(found) == 1 for found in together.values())


@settings(max_examples=80, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6).filter(lambda c: sum(c) >= 3), seed=st.integers(0, 5)
)
def test_every_class_is_in_every_split_where_it_can_be(counts: list[int], seed: int) -> None:
    labels = [f"c{k}" for k, n in enumerate(counts) for _ in range(n)]
    roles = split(make(labels), seed)
    assert set(roles) == set(ROLES)
    found = Counter(zip(labels, roles, strict=True))
    for k, n in enumerate(counts):
        of_class = [found[f"c{k}", role] for role in ROLES]
        if n >= 3:
            assert min(of_class) >= 1
        for role_count, fraction in zip(of_class, (0.7, 0.15, 0.15), strict=True):
            assert abs(role_count - fraction * n) <= 2


@pytest.mark.parametrize(
    ("declared", "made"),
    [
        (["train", "test"], "validation"),
        (["train", "validation"], "test"),
        (["train"], "validation"),
        ([None, "test"], "validation"),
    ],
)
def test_declared_splits_stay_and_missing_ones_come_out_of_train(declared: list[Role | None], made: Role) -> None:
    splits: list[Role | None] = (declared * 60)[:60]
    roles = split(make(["a", "a", "b", "b"] * 15, splits=splits))
    for before, after in zip(splits, roles, strict=True):
        if before in ("validation", "test"):
            assert after == before
        else:
            assert after in {"train", made, *({"test"} if "test" not in splits else ())}
    assert set(roles) == set(ROLES)
    assert roles.count(made) >= 4


def test_shares_of_a_carved_split_keep_their_proportion_to_train() -> None:
    splits: list[Role | None] = ["train" if k < 85 else "test" for k in range(100)]
    count = Counter(split(make(["a"] * 100, splits=splits)))
    assert count == {"train": 70, "validation": 15, "test": 15}


def test_with_all_splits_declared_nothing_moves_and_the_rest_trains() -> None:
    splits: list[Role | None] = ["train", "validation", "test", None] * 5
    assert split(make(["a", "b"] * 10, splits=splits)) == [role or "train" for role in splits]


def test_an_undeclared_copy_follows_the_declared_one() -> None:
    splits: list[Role | None] = ["train", "validation", "test", None, None]
    contents = [b"0", b"1", b"2", b"2", b"1"]
    assert split(make(["a", "b", "a", "a", "b"], splits=splits, contents=contents))[3:] == ["test", "validation"]


def test_numbers_are_spread_by_quantile() -> None:
    values = [float(k) ** 2 for k in range(200)]
    roles = split(make(values, "number"))
    for role, share in zip(ROLES, (140, 30, 30), strict=True):
        of_role = [v for v, r in zip(values, roles, strict=True) if r == role]
        assert len(of_role) == share
        assert sum(v < values[100] for v in of_role) == share / 2


def test_several_numbers_and_few_of_them() -> None:
    assert set(split(make([(1.0, 2.0), (1.0, 3.0), (4.0, 2.0)], "number"))) == set(ROLES)
    assert Counter(split(make([(float(k), float(-k)) for k in range(40)], "number")))["train"] == 28


def test_many_labels_are_each_spread() -> None:
    drawn = random.Random(0)
    labels = [tuple(name for name in "abcd" if drawn.random() < 0.3) for _ in range(300)]
    roles = split(make(labels, "multilabel"))
    assert Counter(roles) == {"train": 210, "validation": 45, "test": 45}
    for name in "abcd":
        total = sum(name in label for label in labels)
        for role, fraction in zip(ROLES, (0.7, 0.15, 0.15), strict=True):
            found = sum(name in label for label, r in zip(labels, roles, strict=True) if r == role)
            assert abs(found - fraction * total) < 3


def test_items_without_labels_are_split_too() -> None:
    assert Counter(split(make([None] * 20, "none"))) == {"train": 14, "validation": 3, "test": 3}


def test_a_large_group_trains() -> None:
    groups = ["big"] * 60 + [f"g{k}" for k in range(40)]
    roles = split(make(["a", "b"] * 50, groups=groups))
    assert set(roles[:60]) == {"train"}
    assert Counter(roles) == {"train": 70, "validation": 15, "test": 15}


def test_too_little_to_divide_is_an_error() -> None:
    with pytest.raises(DataError, match="20 training items form 2 independent units"):
        split(make(["a", "b"] * 10, groups=["g", "h"] * 10))
    with pytest.raises(DataError, match="2 training items form 1 independent unit "):
        split(make(["a", "b"], contents=[b"x", b"x"]))


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(DataError, match="declares only test and validation splits: nothing is left to train on"):
        split(make(["a", "b"], splits=["test", "validation"]))


def test_twenty_thousand_items_take_no_time() -> None:
    """A quadratic step would take minutes here; the limit of the test run would stop it."""
    labels = [f"c{k % 1000}" for k in range(20_000)]
    assert Counter(split(make(labels)))["train"] == 14_000
