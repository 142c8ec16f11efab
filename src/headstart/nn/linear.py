"""Linear heads on frozen features, fitted exactly: logistic regression and ridge, strength chosen by cross-validation.

Fast for three reasons. Features are rotated onto their principal axes, of which there are no more than items: an L2
penalty does not see a rotation, so the answer is the same. On those axes the Hessian is nearly diagonal and known, so
L-BFGS runs in variables scaled by its square root and needs some ten steps. And each strength starts from the weaker
one's answer. Everything is float64 numpy on the CPU.

Features of very many items are never all in memory. The strength is then chosen on a sample of them, and the head
fitted to all by the same steps, with features read a chunk at a time (`Streamed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.core.errors import ShapeError
from headstart.core.extras import require
from headstart.core.types import Rows

Kind = Literal["single", "multi", "number"]
Criterion = Literal["log_loss", "accuracy"]
Scaling = Literal["each", "all"]

GRID = tuple(float(c) for c in np.logspace(-5, 2, 15))
UNTESTED = 0.01
"""The strength where there are too few items or groups to cross-validate."""
FOLDS = 5
PATIENCE = 3
"""Strengths without progress before the search ends."""
HELD = 8_000_000
"""Numbers (items x features) that are worked on in memory; in float64, and some twelve times over."""
SAMPLED = 6_000_000
"""Numbers in the sample that chooses the strength where there are more than that."""
CHUNK = 4096
BIAS_RIDGE = 1e-4
"""Keeps the bias of a class without items finite; too small to matter otherwise."""


@dataclass(frozen=True)
class HeldOut:
    """What heads said of training items that they had not seen. items: (M,) sorted positions. logits: (M, K)."""

    items: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True)
class LinearFit:
    """weight: (K, D). bias: (K,). Both in the units of the features that were given.

    strength: the chosen C, in sum of losses + ||W||^2 / 2C on standardised features. curve: C -> mean held-out loss
    (error rate where accuracy chose); empty where nothing was compared. held_out: of the items that chose it, at that
    strength; without those of a class that the other folds have no item of.
    """

    weight: np.ndarray
    bias: np.ndarray
    strength: float
    curve: dict[float, float]
    held_out: HeldOut | None = None

    def logits(self, features: Rows) -> np.ndarray:
        """(N, D) -> (N, K)."""
        parts = [part @ self.weight.T + self.bias for _, part in chunks(features)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.bias)))


def fit_linear(
    features: Rows,
    targets: np.ndarray,
    kind: Kind,
    outputs: int,
    *,
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    folds: int = FOLDS,
    criterion: Criterion = "log_loss",
    grid: tuple[float, ...] = GRID,
    scaling: Scaling = "each",
    say: np.ndarray | None = None,
    seed: int = 0,
) -> LinearFit:
    """A linear head on standardised features, folded back into their own units.

    features: (N, D). targets: (N,) class indices (multinomial), (N, K) zeros and ones (one sigmoid a label), or (N, K)
    numbers (ridge). outputs: K; a class without items gets a low score. groups: (N,), never shared by two folds.
    weights: (N,) of the items. criterion: what the strength is chosen by; numbers always take the squared error.
    scaling: "each" feature is divided by its own deviation; "all" by one number, which keeps their relative sizes.
    say: (D,) what each feature is multiplied by after that: the penalty spares those with much of it.
    grid: strengths, weakest fit first. Of strengths that held-out items cannot tell apart (paired differences within
    one standard error of the best) the one that shrinks most is taken, and the head fitted again on all items.
    Raises ShapeError if rows do not match or there are none.
    """
    if len(features) != len(targets) or not len(features):
        raise ShapeError(f"{len(features)} rows of features and {len(targets)} targets; expected as many, at least one")
    weights = np.ones(len(features)) if weights is None else np.asarray(weights, dtype=np.float64)
    wanted = np.eye(outputs)[targets] if kind == "single" else np.asarray(targets, dtype=np.float64)
    if len(features) * features.shape[1] > HELD:
        return _fit_streamed(
            features, targets, wanted, weights, kind, outputs, groups, folds, criterion, grid, scaling, say, seed
        )
    features = features[:]
    mean, scale = _moments(features, scaling, say)
    fold = assign_folds(targets if kind == "single" else np.zeros(len(targets), dtype=int), groups, folds, seed)
    strength, curve, held_out = UNTESTED if len(grid) > 1 else grid[0], dict[float, float](), None
    threads = require("threadpoolctl", "train", "the probe")
    # One thread in each product: the folds are the threads, and the answer does not depend on how many there are.
    with threads.threadpool_limits(1, "blas"):
        rows, axes = _rotate((features - mean) / scale)
        if fold.max() > 0 and len(grid) > 1:
            strength, curve, scores = _choose(rows, wanted, weights, fold, kind, criterion, grid)
            if scores is not None:
                judged = np.flatnonzero(_judgeable(wanted, fold, kind))
                held_out = HeldOut(judged, scores[judged])
        solution = next(_path(rows, wanted, weights, kind, (strength,), tolerance=1e-5))
    weight = (axes @ solution[:-1]).T / scale
    return LinearFit(weight, solution[-1] - weight @ mean, strength, curve, held_out)


def chunks(features: Rows) -> Iterator[tuple[slice, np.ndarray]]:
    """Where a chunk of the rows is, and the chunk (M, D); all of them at once where they are an array already."""
    step = max(1, len(features)) if isinstance(features, np.ndarray) else CHUNK
    for start in range(0, len(features), step):
        place = slice(start, min(start + step, len(features)))
        yield place, features[place]


def held_out_losses(
    features: np.ndarray,
    targets: np.ndarray,
    kind: Kind,
    outputs: int,
    *,
    groups: np.ndarray | None = None,
    criterion: Criterion = "log_loss",
    seed: int = 0,
) -> np.ndarray | None:
    """(N,) loss of each item under the head of the folds that it is not in, at the strength `fit_linear` would take.

    features, targets, kind, outputs, groups: as in `fit_linear`. criterion: the loss that is told; the strength is
    chosen by the log loss (numbers: the squared error) all the same. It is chosen once for all folds, which flatters
    the head by far less than the losses' own standard error. None where there is one item or one group.
    """
    wanted = np.eye(outputs)[targets] if kind == "single" else np.asarray(targets, dtype=np.float64)
    mean, scale = _moments(features, "each")
    fold = assign_folds(targets if kind == "single" else np.zeros(len(targets), dtype=int), groups, FOLDS, seed)
    if fold.max() == 0:
        return None
    with require("threadpoolctl", "train", "the probe").threadpool_limits(1, "blas"):
        rows, _ = _rotate((features - mean) / scale)
        scores = _choose(rows, wanted, np.ones(len(rows)), fold, kind, "log_loss", GRID)[2]
    return np.ones(len(rows)) if scores is None else _loss(scores, wanted, kind, criterion)


def softening(
    fit: LinearFit, features: Rows, targets: np.ndarray, kind: Kind, weights: np.ndarray | None = None
) -> float:
    """By how much to divide the head's weights so that its log loss on its own items is what it was on held-out ones.

    A head that was fitted to few items is far surer of them than of new ones. Divided by this number, 1 or more, it
    decides as before and is as unsure as it has reason to be. features, targets, weights: what `fit_linear` was given,
    its criterion the log loss. 1 for numbers, and where nothing was held out.
    """
    if kind == "number" or not fit.curve:
        return 1.0
    wanted = np.eye(len(fit.bias))[targets] if kind == "single" else np.asarray(targets, dtype=np.float64)
    scores, goal = fit.logits(features), fit.curve[fit.strength]
    low, high = 1.0, 100.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        loss = float(np.average(_loss(scores / middle, wanted, kind, "log_loss"), weights=weights))
        low, high = (middle, high) if loss < goal else (low, middle)
    return low


def assign_folds(classes: np.ndarray, groups: np.ndarray | None, folds: int, seed: int) -> np.ndarray:
    """(N,) fold of each item: classes spread evenly, a group in one fold only. Fewer folds if there are fewer groups.

    Groups are dealt largest first, each to the fold that has least of its classes; single items are groups of one.
    """
    rng = np.random.default_rng(seed)
    units = np.unique(np.arange(len(classes)) if groups is None else groups, return_inverse=True)[1].reshape(-1)
    counts = np.zeros((units.max() + 1, int(classes.max()) + 1))
    np.add.at(counts, (units, classes), 1)
    rarity = 1 / np.maximum(counts.sum(axis=0), 1)
    order = np.lexsort((rng.random(len(counts)), counts.argmax(axis=1), -counts.sum(axis=1)))
    load = np.zeros((max(1, min(folds, len(counts))), counts.shape[1]))
    home = np.zeros(len(counts), dtype=int)
    for unit in order:
        crowding = load @ (counts[unit] * rarity)
        home[unit] = np.lexsort((load.sum(axis=1), crowding))[0]
        load[home[unit]] += counts[unit]
    return home[units]


def _moments(features: np.ndarray, scaling: Scaling, say: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(D,) mean, and what to divide by."""
    return features.mean(axis=0, dtype=np.float64), _scale(features.std(axis=0, dtype=np.float64), scaling, say)


def _scale(deviation: np.ndarray, scaling: Scaling, say: np.ndarray | None) -> np.ndarray:
    """(D,) each feature's deviation, or that of all, by its say; infinity for a constant, which says nothing."""
    constant = deviation < 1e-8 * max(1.0, float(deviation.max(initial=0)))
    scale = deviation if scaling == "each" else np.full_like(deviation, np.sqrt(np.mean(deviation**2)))
    return np.where(constant, np.inf, scale if say is None else scale / say)


def _rotate(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) -> its coordinates (N, R) on R <= min(N, D) principal axes, and the axes (D, R). Loses nothing."""
    tall = len(rows) >= rows.shape[1]
    values, vectors = np.linalg.eigh(rows.T @ rows if tall else rows @ rows.T)
    keep = values > 1e-10 * max(float(values[-1]), 1e-300)
    vectors, sizes = vectors[:, keep], np.sqrt(values[keep])
    axes = vectors if tall else rows.T @ (vectors / sizes)
    return (rows @ vectors if tall else vectors * sizes), axes


def _choose(
    rows: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray,
    fold: np.ndarray,
    kind: Kind,
    criterion: Criterion,
    grid: tuple[float, ...],
) -> tuple[float, dict[float, float], np.ndarray | None]:
    """The strength that held-out items like best, ties to the smallest, and the mean loss of each that was tried.

    Last, the held-out scores of all items (N, K) at that strength; None where no item can be judged.
    """
    parts = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(fold.max() + 1)]
    share = weights * _judgeable(wanted, fold, kind)
    if not share.sum():
        return UNTESTED, {}, None
    paths = [_path(rows[train], wanted[train], weights[train], kind, grid, tolerance=1e-3) for train, _ in parts]
    scores: list[np.ndarray] = []
    losses: list[np.ndarray] = []
    means: list[float] = []
    with ThreadPoolExecutor(len(parts)) as pool:
        while len(losses) < len(grid) and len(losses) - int(np.argmin(means or [0])) <= PATIENCE:
            told = np.zeros(wanted.shape)
            for theta, (_, held) in zip(pool.map(next, paths), parts, strict=True):
                told[held] = rows[held] @ theta[:-1] + theta[-1]
            scores.append(told)
            losses.append(_loss(told, wanted, kind, criterion))
            means.append(float(np.average(losses[-1], weights=share)))
    chosen = best = int(np.argmin(means))
    for index, tried in enumerate(losses):
        worse = (tried - losses[best])[share > 0]
        if worse.mean() <= worse.std() / np.sqrt(len(worse)):
            chosen = index
            break
    return grid[chosen], dict(zip(grid, means, strict=False)), scores[chosen]


def _judgeable(wanted: np.ndarray, fold: np.ndarray, kind: Kind) -> np.ndarray:
    """(N,) whether each item's class occurs in other folds, too: no head could know it otherwise."""
    if kind != "single":
        return np.ones(len(wanted), dtype=bool)
    classes = wanted.argmax(axis=1)
    here = np.zeros((fold.max() + 1, wanted.shape[1]))
    np.add.at(here, (fold, classes), 1)
    known: np.ndarray = (here.sum(axis=0)[classes] - here[fold, classes]) > 0
    return known


class Streamed:
    """Standardised features on their principal axes, (N, R), made anew from the features a chunk at a time.

    values: (R,) sums of squares on each axis. axes: (D, R).
    """

    def __init__(self, features: Rows, scaling: Scaling = "each", say: np.ndarray | None = None) -> None:
        self._features = features
        count, width = len(features), features.shape[1]
        total, power = np.zeros(width), np.zeros((width, width))
        shift = features[:CHUNK].mean(axis=0, dtype=np.float64)  # near enough the mean that squares lose no digits
        for part in self._parts():
            moved = part - shift
            total += moved.sum(axis=0)
            power += moved.T @ moved
        self.mean = shift + total / count
        covariance = power / count - np.outer(total, total) / count**2
        self.scale = _scale(np.sqrt(np.maximum(np.diag(covariance), 0)), scaling, say)
        values, vectors = np.linalg.eigh(covariance / np.outer(self.scale, self.scale))
        keep = values > 1e-10 * max(float(values[-1]), 1e-300)
        self.values, self.axes = count * values[keep], vectors[:, keep]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._features), len(self.values)

    def __matmul__(self, theta: np.ndarray) -> np.ndarray:
        """(R, K) -> (N, K)."""
        weight = (self.axes @ theta) / self.scale[:, None]
        out: np.ndarray = np.concatenate([part @ weight for part in self._parts()]) - self.mean @ weight
        return out

    def pull(self, slope: np.ndarray) -> np.ndarray:
        """(N, K) -> (R, K), the transpose's product."""
        total, start = np.zeros((len(self.mean), slope.shape[1])), 0
        for part in self._parts():
            total += part.T @ slope[start : start + len(part)]
            start += len(part)
        out: np.ndarray = self.axes.T @ ((total - np.outer(self.mean, slope.sum(axis=0))) / self.scale[:, None])
        return out

    def _parts(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self._features), CHUNK):
            yield self._features[start : start + CHUNK].astype(np.float64)


def _fit_streamed(
    features: Rows,
    targets: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray,
    kind: Kind,
    outputs: int,
    groups: np.ndarray | None,
    folds: int,
    criterion: Criterion,
    grid: tuple[float, ...],
    scaling: Scaling,
    say: np.ndarray | None,
    seed: int,
) -> LinearFit:
    """As `fit_linear`, for more features than are to be held. Items of equal weight where numbers are predicted."""
    strength, curve, held_out = grid[0], dict[float, float](), None
    if len(grid) > 1:
        sample = _sample(len(features), groups, max(1, SAMPLED // features.shape[1]), seed)
        small = fit_linear(
            features[sample],
            targets[sample],
            kind,
            outputs,
            groups=None if groups is None else groups[sample],
            weights=weights[sample],
            folds=folds,
            criterion=criterion,
            grid=grid,
            scaling=scaling,
            say=say,
            seed=seed,
        )
        strength, curve = small.strength, small.curve
        if small.held_out is not None:
            held_out = HeldOut(sample[small.held_out.items], small.held_out.logits)
    rows = Streamed(features, scaling, say)
    solution = next(_path(rows, wanted, weights, kind, (strength,), tolerance=1e-5))
    weight = (rows.axes @ solution[:-1]).T / rows.scale
    return LinearFit(weight, solution[-1] - weight @ rows.mean, strength, curve, held_out)


def _sample(count: int, groups: np.ndarray | None, most: int, seed: int) -> np.ndarray:
    """Sorted positions of about `most` items, drawn at random; a group is in it whole or not at all."""
    rng = np.random.default_rng(seed)
    units = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    order = rng.permutation(units.max() + 1)
    size = np.bincount(units)[order].cumsum()
    chosen = order[: max(1, int(np.searchsorted(size, most, side="right")))]
    return np.flatnonzero(np.isin(units, chosen))


def _path(
    rows: np.ndarray | Streamed,
    wanted: np.ndarray,
    weights: np.ndarray,
    kind: Kind,
    grid: tuple[float, ...],
    tolerance: float,
) -> Iterator[np.ndarray]:
    """(R + 1, K) weights, the bias in the last row, for each strength in order."""
    if kind == "number":
        yield from _ridge(rows, wanted, weights, grid)
        return
    theta = np.zeros((rows.shape[1] + 1, wanted.shape[1]))
    for strength in grid:
        theta = _logistic(rows, wanted, weights, kind, strength, theta, tolerance)
        yield theta


def _logistic(
    rows: np.ndarray | Streamed,
    wanted: np.ndarray,
    weights: np.ndarray,
    kind: Kind,
    strength: float,
    start: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """argmin of sum_i w_i loss_i + ||W||^2 / 2C by L-BFGS, the mean of it to within about `tolerance`^2."""
    total = weights.sum()
    ridge = np.full((len(start), 1), 1 / strength)
    ridge[-1] = BIAS_RIDGE
    rates = np.clip(weights @ wanted / total, 1 / (total + 1), 1)
    curvature = np.clip(rates * (1 - rates), 1e-3, None)  # (K,) p (1 - p), the same for every item
    squares = rows.values * total / len(weights) if isinstance(rows, Streamed) else (weights[:, None] * rows**2).sum(0)
    energy = np.append(squares, total)[:, None]  # (R + 1, 1)
    scale = np.sqrt((curvature * energy + ridge) / total)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = flat.reshape(start.shape) / scale
        scores = rows @ theta[:-1] + theta[-1]
        loss = weights @ _loss(scores, wanted, kind, "log_loss") * (1 if kind == "single" else wanted.shape[1])
        slope = weights[:, None] * (_probabilities(scores, kind) - wanted)
        gradient = np.vstack([_pull(rows, slope), slope.sum(axis=0)]) + ridge * theta
        value = (loss + 0.5 * (ridge * theta**2).sum()) / total
        return float(value), (gradient / scale / total).ravel()

    optimize = require("scipy.optimize", "train", "the probe")
    found = optimize.minimize(
        objective,
        (start * scale).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "gtol": tolerance, "ftol": tolerance**2 * 1e-2, "maxcor": 10},
    )
    solution: np.ndarray = found.x.reshape(start.shape) / scale
    return solution


def _pull(rows: np.ndarray | Streamed, slope: np.ndarray) -> np.ndarray:
    out: np.ndarray = rows.pull(slope) if isinstance(rows, Streamed) else rows.T @ slope
    return out


def _ridge(
    rows: np.ndarray | Streamed, wanted: np.ndarray, weights: np.ndarray, grid: tuple[float, ...]
) -> Iterator[np.ndarray]:
    """argmin of sum_i w_i |y - W x - b|^2 / 2 + ||W||^2 / 2C in closed form; the bias is free."""
    share = weights / weights.sum()
    if isinstance(rows, Streamed):  # centred, and on axes that do not see each other
        level = share @ wanted
        moment = rows.pull(wanted - level)
        for strength in grid:
            yield np.vstack([moment / (rows.values[:, None] + 1 / strength), level])
        return
    centre, level = share @ rows, share @ wanted
    centred = rows - centre
    values, vectors = np.linalg.eigh(centred.T @ (weights[:, None] * centred))
    moment = vectors.T @ (centred.T @ (weights[:, None] * (wanted - level)))
    for strength in grid:
        slope = vectors @ (moment / (np.maximum(values, 0)[:, None] + 1 / strength))
        yield np.vstack([slope, level - centre @ slope])


def _probabilities(scores: np.ndarray, kind: Kind) -> np.ndarray:
    out: np.ndarray
    if kind == "single":
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        out = powers / powers.sum(axis=1, keepdims=True)
    else:
        out = 0.5 * (1 + np.tanh(0.5 * scores))
    return out


def _loss(scores: np.ndarray, wanted: np.ndarray, kind: Kind, criterion: Criterion) -> np.ndarray:
    """(N,) loss of each item: log loss, error rate, or squared error; the mean over outputs where there are several."""
    out: np.ndarray
    if kind == "number":
        out = ((scores - wanted) ** 2).mean(axis=1)
    elif kind == "multi":
        each = (scores > 0) != (wanted > 0.5) if criterion == "accuracy" else np.logaddexp(0, scores) - scores * wanted
        out = each.mean(axis=1)
    elif criterion == "accuracy":
        out = (scores.argmax(axis=1) != wanted.argmax(axis=1)).astype(np.float64)
    else:
        top = scores.max(axis=1)
        out = top + np.log(np.exp(scores - top[:, None]).sum(axis=1)) - (scores * wanted).sum(axis=1)
    return out
