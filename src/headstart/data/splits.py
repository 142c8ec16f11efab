"""Which items train, which validate, which test: decided by content and seed alone."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headstart.core.errors import DataError
from headstart.data.dataset import Dataset, Item, Role

ROLES: tuple[Role, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Atom:
    """Items that must stay together. key: from content and seed, gives the order. strata: how many items of each."""

    key: str
    members: tuple[int, ...]
    strata: Counter[Hashable]


def assign_splits(
    dataset: Dataset,
    digests: Sequence[str],
    *,
    seed: int,
    near_duplicate_groups: Iterable[Sequence[int]] | None = None,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
) -> Dataset:
    """The data set, in the same order, with a split for every item.

    Declared splits are kept; a missing validation or test split is carved out of train (and of items without a split,
    which count as train). Items of one group, of equal content or of one near-duplicate group are never separated by
    a split made here; an undeclared item follows a declared one it belongs with. Classes and labels are spread by
    iterative stratification (Sechidis et al. 2011), numbers by their quantiles, and each class is in each split as
    far as there are items.

    digests: content hash of each item. near_duplicate_groups: indices of items that look alike.
    fractions: shares of train, validation and test. The result depends on content, labels, groups and seed; not on
    names or order. Raises DataError where there is nothing to train on or too little to divide.
    """
    roles = [item.split for item in dataset.items]
    made = [role for role in ROLES[1:] if role not in roles]
    joined = _join(dataset, digests, near_duplicate_groups or ())
    for members in joined:
        declared = sorted({role for i in members if (role := roles[i]) is not None}, key=ROLES.index)
        for i in members:
            roles[i] = roles[i] or (declared[-1] if declared else "train")
    pool = [i for i, role in enumerate(roles) if role == "train"]
    if not pool:
        raise DataError(
            f"{dataset.name} declares only {' and '.join(sorted(dataset.splits)) or 'empty'} splits: nothing is left "
            "to train on. Add items to a 'train' split, or declare no splits and they are made."
        )
    if made:
        share = {role: fraction for role, fraction in zip(ROLES, fractions, strict=True) if role in ("train", *made)}
        atoms = _atoms(
            dataset, digests, [[i for i in members if roles[i] == "train"] for members in joined], pool, seed
        )
        if len(atoms) < len(share):
            raise DataError(
                f"{dataset.name} cannot be divided into {', '.join(share)}: its {len(pool)} training items form "
                f"{len(atoms)} independent {'unit' if len(atoms) == 1 else 'units'} (items of one group or of "
                "nearly equal content stay together). Add items, or declare the splits yourself."
            )
        for atom, role in zip(atoms, _stratify(atoms, share), strict=True):
            for i in atom.members:
                roles[i] = role
    return dataset.with_items([replace(item, split=role) for item, role in zip(dataset.items, roles, strict=True)])


def _join(dataset: Dataset, digests: Sequence[str], alike: Iterable[Sequence[int]]) -> list[list[int]]:
    """Indices that belong together: the connected components of equal digest, equal group and `alike`."""
    parent = list(range(len(dataset)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    links: dict[Hashable, list[int]] = defaultdict(list)
    for i, (item, digest) in enumerate(zip(dataset.items, digests, strict=True)):
        links["content", digest].append(i)
        if item.group is not None:
            links["group", item.group].append(i)
    for together in (*links.values(), *alike):
        for i in together:
            parent[root(i)] = root(together[0])
    components: dict[int, list[int]] = defaultdict(list)
    for i in range(len(dataset)):
        components[root(i)].append(i)
    return list(components.values())


def _atoms(
    dataset: Dataset, digests: Sequence[str], joined: Sequence[Sequence[int]], pool: Sequence[int], seed: int
) -> list[Atom]:
    """The divisible units, largest first, then in an order that content and seed give."""
    strata = dict(zip(pool, _strata(dataset, [dataset[i] for i in pool]), strict=True))
    atoms = []
    for members in filter(None, joined):
        content = "\n".join(sorted(digests[i] for i in members))
        key = hashlib.sha256(f"{seed}\n{content}".encode()).hexdigest()
        atoms.append(Atom(key, tuple(members), Counter(s for i in members for s in strata[i])))
    return sorted(atoms, key=lambda atom: (-len(atom.members), atom.key))


def _strata(dataset: Dataset, items: Sequence[Item]) -> list[list[Hashable]]:
    """What each item counts as: its class, its labels, or the quantile of each of its numbers."""
    if dataset.kind == "number":
        values = np.array([np.atleast_1d(item.label) for item in items], dtype=np.float64)
        bins = max(1, min(10, len(items) // 10))
        edges = np.quantile(values, np.arange(1, bins) / bins, axis=0, method="lower")
        columns = [np.searchsorted(edges[:, j], values[:, j], side="left") for j in range(values.shape[1])]
        return [[(j, int(column[i])) for j, column in enumerate(columns)] for i in range(len(items))]
    if dataset.kind == "multilabel":
        return [list(item.label or ()) for item in items]
    return [["" if item.label is None else str(item.label)] for item in items]


def _stratify(atoms: Sequence[Atom], share: dict[Role, float]) -> list[Role]:
    """A role for each atom: the rarest remaining stratum first, to the role that still wants most of it; atoms of no
    stratum last, to the role that still wants most.

    When as few atoms of a stratum remain as there are roles without it, those roles take them.
    """
    whole = sum(share.values())
    size = sum(len(atom.members) for atom in atoms)
    wanted = {role: size * part / whole for role, part in share.items()}
    total: Counter[Hashable] = Counter()
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for index, atom in enumerate(atoms):
        total.update(atom.strata)
        for stratum in atom.strata:
            waiting[stratum].append(index)
    wanted_of = {s: {role: n * part / whole for role, part in share.items()} for s, n in total.items()}
    left = {stratum: len(indices) for stratum, indices in waiting.items()}
    lacking = {stratum: set(share) for stratum in waiting}
    empty = set(share)
    assigned: dict[int, Role] = {}

    def assign(index: int, stratum: Hashable | None) -> None:
        candidates: Collection[Role] = share
        if len(atoms) - len(assigned) <= len(empty):
            candidates = empty
        elif stratum is not None and left[stratum] <= len(lacking[stratum]):
            candidates = lacking[stratum]
        wants = wanted if stratum is None else wanted_of[stratum]
        role = max((r for r in ROLES if r in candidates), key=lambda r: (wants[r], wanted[r]))
        assigned[index] = role
        empty.discard(role)
        wanted[role] -= len(atoms[index].members)
        for s, n in atoms[index].strata.items():
            wanted_of[s][role] -= n
            lacking[s].discard(role)
            left[s] -= 1

    while any(left.values()):
        rarest = min((s for s, n in left.items() if n), key=lambda s: (left[s], str(s)))
        for index in waiting[rarest]:
            if index not in assigned:
                assign(index, rarest)
    for index in range(len(atoms)):
        if index not in assigned:
            assign(index, None)
    return [assigned[index] for index in range(len(atoms))]
