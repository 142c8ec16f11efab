"""The formulas of the shallow adapters: other libraries' answers, slow references, cases with a known answer."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.linalg import eigh, sqrtm
from scipy.optimize import linear_sum_assignment, minimize
from sklearn.covariance import ledoit_wolf

from headstart.core.errors import ConfigError, ShapeError
from headstart.methods.adaptation.shallow.bbse import BBSE
from headstart.methods.adaptation.shallow.bda import BDA
from headstart.methods.adaptation.shallow.components import components, contrast, guessing_components
from headstart.methods.adaptation.shallow.coral import Coral
from headstart.methods.adaptation.shallow.density_ratio import DensityRatio
from headstart.methods.adaptation.shallow.easyadapt import EasyAdapt
from headstart.methods.adaptation.shallow.gfk import GFK
from headstart.methods.adaptation.shallow.jda import JDA
from headstart.methods.adaptation.shallow.jdot import JDOT
from headstart.methods.adaptation.shallow.kliep import KLIEP
from headstart.methods.adaptation.shallow.kmm import KMM
from headstart.methods.adaptation.shallow.monge import LinearMonge
from headstart.methods.adaptation.shallow.pot import exact_plan, smooth_plan
from headstart.methods.adaptation.shallow.prior_em import PriorEM
from headstart.methods.adaptation.shallow.shared import (
    covariance,
    gaussian,
    median_width,
    nearest,
    principal_axes,
    proxy_a_distance,
    squared_distances,
)
from headstart.methods.adaptation.shallow.standardise import Standardise
from headstart.methods.adaptation.shallow.subspace import SubspaceAlignment
from headstart.methods.adaptation.shallow.tca import TCA
from headstart.methods.adaptation.shallow.tcr import TCR
from headstart.methods.adaptation.shallow.transport import ClassTransport

needs_pot = pytest.mark.skipif(find_spec("ot") is None, reason="POT is not installed (headstart[adapt])")


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """The pair that the reference values of other libraries were taken on."""
    state = np.random.RandomState(0)
    return state.randn(16, 8), state.randn(16, 8) * 1.5 + 0.5


# -- second moments ---------------------------------------------------------------------------------------------------


def test_coral_and_the_monge_map_as_skada_has_them(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair
    coral = Coral(ridge=1e-6).fit(source, target)
    moved = coral.transform(source, "source")
    assert np.linalg.norm(moved - target.mean(axis=0)) == pytest.approx(15.305526, abs=1e-5)  # skada keeps means apart
    monge = LinearMonge(ridge=1e-6).fit(source, target)
    assert np.linalg.norm(monge.transform(source, "source")) == pytest.approx(16.306922, abs=1e-5)


@pytest.mark.parametrize("make", [Coral, LinearMonge])
def test_the_source_takes_on_mean_and_covariance_of_the_target(make: type[Coral | LinearMonge]) -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)) + 3
    target = rng.normal(size=(150, 4)) @ rng.normal(size=(4, 4)) - 1
    adapter = make(ridge=0.0).fit(source, target)
    moved = adapter.transform(source, "source")
    assert np.allclose(np.cov(moved.T), np.cov(target.T))
    assert np.allclose(moved.mean(axis=0), target.mean(axis=0))
    assert np.array_equal(adapter.transform(target, "target"), target)
    a, b = np.cov(source.T), np.cov(target.T)
    if make is Coral:
        assert np.allclose(adapter.map_, np.linalg.inv(sqrtm(a)) @ sqrtm(b))
    else:  # the only symmetric positive map that carries one normal distribution into the other
        assert np.allclose(adapter.map_, adapter.map_.T)
        assert (np.linalg.eigvalsh(adapter.map_) > 0).all()


def test_a_stretch_is_undone_and_the_same_domain_stays() -> None:
    rng = np.random.default_rng(1)
    source = rng.normal(size=(400, 3))
    stretch = np.array([0.5, 1.0, 4.0])
    for adapter in (Coral(), LinearMonge()):
        same = adapter.fit(source, source).transform(source, "source")
        assert np.allclose(same, source)
    exact = LinearMonge(ridge=0.0).fit(source, source * stretch - 2).transform(source, "source")
    assert np.allclose(exact, source * stretch - 2)


def test_the_covariance_shrinks_as_scikit_learn_says() -> None:
    for items, width in ((50, 5), (10, 30)):
        rows = np.random.default_rng(2).normal(size=(items, width)) * np.arange(1, width + 1)
        assert np.allclose(covariance(rows, None), ledoit_wolf(rows)[0])


def test_each_domain_is_standardised_by_itself(pair: tuple[np.ndarray, np.ndarray]) -> None:
    adapter = Standardise().fit(*pair)
    for rows, domain in zip(pair, ("source", "target"), strict=True):
        moved = adapter.transform(rows, "source" if domain == "source" else "target")
        assert np.allclose(moved.mean(axis=0), 0)
        assert np.allclose(moved.std(axis=0), 1)


def test_easyadapt_gives_every_feature_three_meanings() -> None:
    adapter = EasyAdapt().fit(np.ones((2, 2)), np.ones((2, 2)))
    row = np.array([[3.0, 4.0]])
    assert adapter.transform(row, "source").tolist() == [[3, 4, 3, 4, 0, 0]]
    assert adapter.transform(row, "target").tolist() == [[3, 4, 0, 0, 3, 4]]


# -- subspaces --------------------------------------------------------------------------------------------------------


def test_subspace_alignment_by_its_definition(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair
    adapter = SubspaceAlignment(3).fit(source, target)
    axes = [np.linalg.eigh(np.cov(rows.T))[1][:, ::-1][:, :3] for rows in pair]
    similarity = (source - source.mean(0)) @ axes[0] @ axes[0].T @ axes[1] @ axes[1].T @ (target - target.mean(0)).T
    assert np.allclose(adapter.transform(source, "source") @ adapter.transform(target, "target").T, similarity)
    assert np.linalg.norm(adapter.transform(source, "source")) == pytest.approx(4.7486967, abs=1e-5)  # skada 0.6.0


@pytest.mark.parametrize("number", [2, 6])
def test_the_geodesic_flow_kernel_is_the_integral(pair: tuple[np.ndarray, np.ndarray], number: int) -> None:
    """By the midpoint rule over the geodesic; with 6 of 8 axes the subspaces must share some, with an angle of 0."""
    source, target = pair
    adapter = GFK(number).fit(source, target)
    first, last = principal_axes(source, number), principal_axes(target, number)
    u, cosines, v = np.linalg.svd(first.T @ last)
    angles = np.arccos(np.clip(cosines, -1, 1))
    start, sideways = first @ u, last @ v.T - first @ u * cosines
    sideways = sideways / np.maximum(np.sin(angles), 1e-12) * (angles > 1e-7)
    flow = [start * np.cos(t * angles) + sideways * np.sin(t * angles) for t in (np.arange(2000) + 0.5) / 2000]
    kernel = np.mean([step @ step.T for step in flow], axis=0)
    assert np.allclose(adapter.axes_ @ adapter.axes_.T, kernel, atol=1e-6)


def test_the_kernel_of_a_domain_with_itself_is_its_subspace(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, _ = pair
    axes = principal_axes(source, 3)
    found = GFK(3).fit(source, source + 5).axes_
    assert np.allclose(found @ found.T, axes @ axes.T)


# -- components -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["linear", "gaussian"])
def test_tca_solves_the_eigenproblem_of_the_paper(pair: tuple[np.ndarray, np.ndarray], kernel: str) -> None:
    """(K L K / |L| + penalty I) w = K H K w phi over the items, with all matrices written out."""
    source, target = pair
    rows = np.concatenate(pair)
    adapter = TCA(3, penalty=0.1, kernel="linear" if kernel == "linear" else "gaussian").fit(source, target)
    centred = rows - rows.mean(axis=0)
    gram = centred @ centred.T / np.mean((centred**2).sum(axis=1))
    if kernel == "gaussian":
        gram = np.exp(-squared_distances(rows, rows) / (2 * median_width(rows) ** 2))
    sides = np.repeat([1 / 16, -1 / 16], 16)
    mmd = np.outer(sides, sides) / np.linalg.norm(np.outer(sides, sides))
    centring = np.eye(32) - 1 / 32
    _, vectors = eigh(gram @ centring @ gram, gram @ mmd @ gram + 0.1 * np.eye(32))
    axes = vectors[:, ::-1][:, :3]
    expected = gram @ (axes / np.linalg.norm(axes, axis=0))
    found = np.concatenate([adapter.transform(source, "source"), adapter.transform(target, "target")])
    found, expected = found - found.mean(axis=0), expected - expected.mean(axis=0)
    signs = np.sign((found * expected).sum(axis=0))
    assert np.allclose(found * signs, expected, atol=1e-6)


def test_tca_brings_the_means_together(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair

    def gap(penalty: float) -> float:
        adapter = TCA(3, penalty).fit(source, target)
        moved = [adapter.transform(source, "source"), adapter.transform(target, "target")]
        return float(np.linalg.norm(moved[0].mean(0) - moved[1].mean(0)) / np.concatenate(moved).std())

    assert gap(1e-4) < 0.02 < gap(1e4)


def test_components_do_not_see_the_unit_of_the_features(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair
    labels = np.arange(16) % 3
    for adapter in (TCA(3), JDA(3), BDA(3), TCA(3, kernel="gaussian")):
        before = adapter.fit(source, target, labels).transform(source, "source")
        after = adapter.fit(7 * source + 2, 7 * target + 2, labels).transform(7 * source + 2, "source")
        assert np.allclose(squared_distances(before, before), squared_distances(after, after) / _unit(before, after))


def _unit(before: np.ndarray, after: np.ndarray) -> float:
    return float((after.var(axis=0).sum()) / before.var(axis=0).sum())


def test_the_discrepancy_of_classes_is_counted() -> None:
    """The matrix of JDA written out: the domains and two classes, guessed right; it is one round of the loop."""
    rng = np.random.default_rng(3)
    labels = np.arange(20) % 2
    source = rng.normal(size=(20, 5)) + 6 * labels[:, None]
    target = rng.normal(size=(20, 5)) + 6 * labels[:, None] + rng.normal(size=5)
    rows = np.concatenate([source, target])
    rows = rows - rows.mean(axis=0)
    found = guessing_components(rows, labels, lambda *_: 0.5, 2, 1.0, rounds=1)
    whole = np.zeros((40, 40))
    for chosen in (labels >= 0, labels == 0, labels == 1):
        sides = np.concatenate([chosen / chosen.sum(), -(chosen / chosen.sum())])
        whole += np.outer(sides, sides)
    _, vectors = eigh(rows.T @ rows, rows.T @ whole @ rows / np.linalg.norm(whole) + np.eye(5))
    expected = vectors[:, ::-1][:, :2] / np.linalg.norm(vectors[:, ::-1][:, :2], axis=0)
    assert np.allclose(np.abs((found * expected).sum(axis=0)), 1)


def test_bda_without_classes_is_tca(pair: tuple[np.ndarray, np.ndarray]) -> None:
    source, target = pair
    labels = np.arange(16) % 2
    alone = BDA(3, balance=0.0).fit(source, target, labels).axes_
    assert np.allclose(np.abs((alone * TCA(3).fit(source, target).axes_).sum(axis=0)), 1)
    even = BDA(3, balance=0.5).fit(source, target, labels).transform(target, "target")
    assert np.array_equal(even, JDA(3).fit(source, target, labels).transform(target, "target"))
    with pytest.raises(ConfigError, match=r"balance=1.5: expected a number from 0 to 1"):
        BDA(balance=1.5).fit(source, target, labels)


def test_contrasts_have_the_weights_of_means() -> None:
    assert contrast(np.ones(2), np.array([True, False, True])).tolist() == [0.5, 0.5, -0.5, 0, -0.5]
    rows = np.random.default_rng(0).normal(size=(6, 2))
    assert components(rows, [(1.0, contrast(np.ones(3), np.ones(3)))], 5, 1.0).shape == (2, 2)


def test_the_proxy_a_distance_by_leaving_items_out() -> None:
    rng = np.random.default_rng(4)
    source, target = rng.normal(size=(15, 2)), rng.normal(size=(10, 2)) + 1.0
    rows, sides = np.concatenate([source, target]), np.repeat([1.0, -1.0], [15, 10])
    weights = np.repeat([0.5 / 15, 0.5 / 10], [15, 10])
    ridge = 1e-3 * (weights @ (rows - weights @ rows) ** 2).sum()
    wrong = 0.0
    for i in range(25):
        kept = np.arange(25) != i
        design = np.hstack([rows - weights @ rows, np.ones((25, 1))])
        inside = (design[kept] * weights[kept, None]).T @ design[kept] + np.diag([ridge, ridge, 0])
        fitted = design[i] @ np.linalg.solve(inside, (design[kept] * weights[kept, None]).T @ sides[kept])
        wrong += weights[i] * (fitted * sides[i] <= 0)
    assert proxy_a_distance(source, target) == pytest.approx(max(0.0, 2 * (1 - 2 * wrong)))
    assert proxy_a_distance(source, source + 100) == 2
    assert proxy_a_distance(source, source) == 0


def test_tcr_predicts_quantities_of_a_moved_domain() -> None:
    rng = np.random.default_rng(5)
    source, target = rng.normal(size=(150, 6)), rng.normal(size=(150, 6))
    slope = np.array([2.0, -1, 0.5, 0, 0, 0])
    drift = np.zeros(6)
    drift[5] = 8.0  # an instrument's offset that has nothing to do with the quantity
    adapter = TCR(components=5, penalty=1e-3).fit(source, target + drift, source @ slope + 10)
    assert np.corrcoef(adapter.scores(target + drift)[:, 0], target @ slope)[0, 1] > 0.99
    with pytest.raises(ShapeError, match="should be numbers"):
        TCR().fit(source, target, np.array(["a"] * 150))


# -- weights ----------------------------------------------------------------------------------------------------------


def test_kmm_solves_its_quadratic_program() -> None:
    rng = np.random.default_rng(6)
    source, target = rng.normal(size=(12, 2)), rng.normal(size=(9, 2)) + 0.5
    kernel, wanted = gaussian(source, source, 1.0), 12 * gaussian(source, target, 1.0).mean(axis=1)
    slack = 1 - 1 / np.sqrt(12)

    def cost(b: np.ndarray) -> float:
        return float(b @ kernel @ b / 2 - wanted @ b)

    rules = [{"type": "ineq", "fun": lambda b, s=s: 12 * slack - s * (b.sum() - 12)} for s in (1, -1)]
    best = minimize(cost, np.ones(12), bounds=[(0, 10)] * 12, constraints=rules, method="SLSQP", tol=1e-12)
    found = KMM(width=1.0).fit(source, target).weights_
    assert cost(found * best.x.mean()) == pytest.approx(best.fun, rel=1e-4)
    tight = KMM(width=1.0, bound=1.5, slack=0.0).fit(source, target).weights_
    assert tight.max() <= 1.5 + 1e-6
    assert tight.mean() == pytest.approx(1)


def test_kliep_is_the_best_of_its_kind() -> None:
    """Against a general optimiser over the same centres and width."""
    rng = np.random.default_rng(7)
    source, target = rng.normal(size=(30, 1)), 0.5 * rng.normal(size=(6, 1)) + 1
    adapter = KLIEP(width=0.7).fit(source, target)
    at_source, at_target = gaussian(source, target, 0.7), gaussian(target, target, 0.7)

    def worth(log_a: np.ndarray) -> float:
        a = np.exp(log_a)
        return -float(np.log(at_target @ a / (at_source @ a).mean()).mean())

    best = np.exp(minimize(worth, np.zeros(6), method="BFGS").x)
    weights = at_source @ best
    assert np.allclose(adapter.weights_, weights / weights.mean(), atol=0.02)


@pytest.mark.parametrize(("adapter", "like"), [(KMM(), 0.5), (KLIEP(), 0.75), (DensityRatio(), 0.99)])
def test_weights_follow_the_true_density_ratio(adapter: KMM | KLIEP | DensityRatio, like: float) -> None:
    """Two normal distributions of one width, whose ratio is exp(x - 1/2)."""
    rng = np.random.default_rng(8)
    source, target = rng.normal(size=(300, 1)), rng.normal(size=(250, 1)) + 1
    weights = adapter.fit(source, target).weights_
    assert np.corrcoef(weights, np.exp(source[:, 0] - 0.5))[0, 1] > like
    assert weights @ source[:, 0] / 300 == pytest.approx(1, abs=0.25)
    assert adapter.effective_size() < 250


# -- class shares -----------------------------------------------------------------------------------------------------


def drawn(shares: np.ndarray, items: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and the probabilities of a model of three normal classes that is right where classes are even."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, items, p=shares)
    values = rng.normal(size=items) + 2 * labels
    logits = -0.5 * (values[:, None] - 2 * np.arange(3)) ** 2
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("adapter", [BBSE(), BBSE(soft=True), PriorEM()])
def test_class_shares_of_the_target_are_found(adapter: BBSE | PriorEM) -> None:
    labels, source = drawn(np.full(3, 1 / 3), 6000, 0)
    true = np.array([0.7, 0.1, 0.2])
    hidden, target = drawn(true, 6000, 1)
    adapter.fit(source, labels, target)
    assert np.allclose(adapter.priors_, true, atol=0.03)
    before = (target.argmax(axis=1) == hidden).mean()
    assert (adapter.correct(target).argmax(axis=1) == hidden).mean() > before + 0.02


def test_bbse_by_the_inverse_and_with_a_classifier_that_knows_nothing() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    source = np.eye(2)[[0, 0, 1, 1, 1, 1, 1, 0]]
    target = np.eye(2)[[0, 0, 0, 1, 0]]
    confusion = np.array([[2, 1], [1, 4]]) / 8
    weights = np.linalg.inv(confusion) @ [0.8, 0.2]
    expected = np.maximum(weights, 0) * [3 / 8, 5 / 8]
    assert np.allclose(BBSE().fit(source, labels, target).priors_, expected / expected.sum())
    blind = np.full((8, 2), 0.5)
    assert np.allclose(BBSE().fit(blind, labels, blind[:5]).priors_, [3 / 8, 5 / 8])


def test_prior_em_climbs_to_the_likeliest_shares() -> None:
    labels, source = drawn(np.array([0.2, 0.5, 0.3]), 500, 2)
    _, target = drawn(np.array([0.6, 0.1, 0.3]), 80, 3)
    adapter = PriorEM().fit(source, labels, target)
    ratio = target / adapter.source_priors_

    def negative(free: np.ndarray) -> float:
        shares = np.exp(np.append(free, 0)) / np.exp(np.append(free, 0)).sum()
        return -float(np.log(ratio @ shares).sum())

    best = np.exp(np.append(minimize(negative, np.zeros(2)).x, 0))
    assert np.allclose(adapter.priors_, best / best.sum(), atol=1e-3)


def test_a_class_that_the_source_lacks_gets_nothing() -> None:
    labels, source = drawn(np.array([0.5, 0.5, 0.0]), 200, 4)
    for adapter in (BBSE(), PriorEM()):
        adapter.fit(source, labels, drawn(np.full(3, 1 / 3), 100, 5)[1])
        assert adapter.priors_[2] == 0
        assert np.isfinite(adapter.correct(np.eye(3))).all()
    with pytest.raises(ShapeError, match="class numbers from 0 to 2"):
        BBSE().fit(source, labels + 1.0, source)
    with pytest.raises(ShapeError, match="not logits"):
        BBSE().fit(source * 3, labels, source)


# -- transport --------------------------------------------------------------------------------------------------------


@needs_pot
def test_plans_against_an_assignment_and_a_naive_loop(pair: tuple[np.ndarray, np.ndarray]) -> None:
    cost = squared_distances(*pair)
    cost = cost / cost.mean()
    rows, columns = linear_sum_assignment(cost)
    exact = exact_plan(cost)
    assert (exact * cost).sum() == pytest.approx(cost[rows, columns].mean())
    assert (exact * cost).sum() == pytest.approx(0.546947932, abs=1e-8)  # ot.emd2 of POT 0.9.7
    kernel, u, v = np.exp(-cost / 0.1), np.ones(16), np.ones(16)
    for _ in range(3000):
        u = 1 / 16 / (kernel @ v)
        v = 1 / 16 / (kernel.T @ u)
    assert np.allclose(smooth_plan(cost, 0.1), u[:, None] * kernel * v, atol=1e-6)


@needs_pot
def test_transport_in_one_dimension_is_by_rank() -> None:
    rng = np.random.default_rng(9)
    source, target = rng.normal(size=(30, 1)), 3 * rng.normal(size=(30, 1)) + 5
    adapter = ClassTransport(entropy=1e-3, together=0.0).fit(source, target, np.zeros(30))
    moved = adapter.transform(source, "source")
    ranked = np.sort(target[:, 0])[source[:, 0].argsort().argsort()]
    assert np.abs(ranked - moved[:, 0]).mean() < 0.15, "neighbours are blurred by the entropy, and no more"
    assert np.array_equal(adapter.transform(target, "target"), target)


@needs_pot
def test_classes_are_kept_together() -> None:
    """A target item gets its mass from fewer classes the more that counts."""
    rng = np.random.default_rng(10)
    labels = np.arange(40) % 2
    source = rng.normal(size=(40, 2)) + labels[:, None]
    target = rng.normal(size=(30, 2)) + (np.arange(30) % 2)[:, None]

    def mixed(together: float) -> float:
        plan = ClassTransport(0.2, together).fit(source, target, labels).plan_
        shares = np.stack([plan[labels == c].sum(axis=0) for c in (0, 1)]) * 30
        return float(np.sqrt(shares).sum(axis=0).mean())

    assert mixed(0.0) > mixed(0.1) + 0.01 > mixed(1.0) + 0.02
    assert mixed(1.0) == pytest.approx(1, abs=0.05), "each target item from one class"


@needs_pot
def test_jdot_follows_a_turn_that_the_source_model_does_not() -> None:
    """Two moons of labels in a domain turned by 40 degrees, and a quantity of a domain that has moved."""
    rng = np.random.default_rng(11)
    labels, hidden = np.repeat([0, 1], 40), np.repeat([0, 1], 30)
    centres = np.array([[-1.5, 0.0], [1.5, 0.0]])
    turn = np.array([[0.77, 0.64], [-0.64, 0.77]])
    source = centres[labels] + 0.4 * rng.normal(size=(80, 2))
    target = (centres[hidden] + 0.4 * rng.normal(size=(60, 2))) @ turn
    model = JDOT().fit(source, target, np.array(["no", "yes"])[labels])
    assert model.classes_ is not None
    assert model.classes_.tolist() == ["no", "yes"]
    assert (model.scores(target).argmax(axis=1) == hidden).mean() > 0.95
    along = rng.uniform(0, 3, (60, 1))
    moved = JDOT("number").fit(along, along[::-1] + 1, np.sin(along))
    assert np.corrcoef(moved.scores(along + 1)[:, 0], np.sin(along[:, 0]))[0, 1] > 0.95


# -- real data --------------------------------------------------------------------------------------------------------


def test_office_caltech_as_published(shared_data: Path) -> None:
    """DSLR to Webcam, SURF features: the nearest neighbour to two decimals, and better after each method."""
    domains = []
    for name in ("dslr", "webcam"):
        file = loadmat(shared_data / "office_caltech10" / "features_surf" / f"{name}.mat")
        rows = file["fts"] / file["fts"].sum(axis=1, keepdims=True)
        scale = rows.std(axis=0)
        domains.append(((rows - rows.mean(axis=0)) / np.where(scale > 0, scale, 1), file["labels"].ravel()))
    (source, labels), (target, hidden) = domains

    def accuracy(rows: np.ndarray, others: np.ndarray) -> float:
        return float((labels[nearest(others, rows)] == hidden).mean())

    assert round(100 * accuracy(source, target), 2) == 63.39
    for adapter, published in ((SubspaceAlignment(), 0.7695), (GFK(), 0.7559), (TCA(), 0.861), (JDA(), 0.8949)):
        adapter.fit(source, target, labels)
        found = accuracy(adapter.transform(source, "source"), adapter.transform(target, "target"))
        assert found > published - 0.03, adapter.name
