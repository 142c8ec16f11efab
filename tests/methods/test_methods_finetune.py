"""What each method does that the contract does not ask of all: phases, rates, starting points, choices."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from headstart.core.config import TrainConfig
from headstart.core.errors import ConfigError
from headstart.core.method import Loop, Phase
from headstart.methods import METHODS, make_method
from headstart.methods.shared import share_epochs, starting_point
from headstart.nn.encoder import Encoder
from headstart.nn.freeze import weighted_blocks
from headstart.nn.interpolate import interpolate
from headstart.nn.model import Model
from headstart.tasks import from_json
from headstart.testing.loop import MemoryLoop, Part
from headstart.testing.methods import TASKS, Outcome, run, toy
from headstart.testing.sources import tiny_source

ENCODER = tiny_source().load()


def tiny() -> Encoder:
    return copy.deepcopy(ENCODER)


def fitted(name: str, **options: Any) -> Outcome:
    return run(make_method(name, options), tiny)


def phases(outcome: Outcome) -> list[Phase]:
    return [entry.phase for entry in outcome.loop.done if entry.phase]


class Last:
    """A loop whose phases end with their last weights, not their best."""

    def __init__(self, loop: MemoryLoop) -> None:
        self._loop = loop

    def train(self, phase: Phase) -> None:
        self._loop.train(replace(phase, keep_best=False))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@given(defaults=st.lists(st.integers(1, 60), min_size=1, max_size=9), total=st.integers(0, 200))
def test_shared_epochs_add_up_and_keep_proportion(defaults: list[int], total: int) -> None:
    shares = share_epochs(total, defaults)
    assert sum(shares) == total
    for share, default in zip(shares, defaults, strict=True):
        assert abs(share - total * default / sum(defaults)) < 1
    assert share_epochs(None, defaults) == defaults
    assert share_epochs(sum(defaults), defaults) == defaults


def test_few_epochs_go_to_the_late_phases() -> None:
    assert share_epochs(2, [1, 1, 1, 1]) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("full", {"blocks": 2}, "unknown option of the method 'full'.*method.blocks.*Known: method.head"),
        ("scratch", {"head": "zero"}, "'scratch' has no options"),
        ("partial", {"blocks": 0}, "method.blocks=0: expected a number above 0"),
        ("partial", {"blocks": "two"}, "method.blocks=two: expected whole number"),
        ("probe", {"folds": 1}, "method.folds=1: expected 2 or more"),
        ("probe", {"criterion": "auc"}, r"expected log_loss \| accuracy"),
        ("llrd", {"decay": 1.5}, "method.decay=1.5: expected a number above 0 and at most 1"),
        ("l2-sp", {"alpha": -1}, "method.alpha=-1: expected 0 or more|method.alpha=-1.0: expected 0 or more"),
        ("l1", {"strength": -1.0}, "method.strength=-1.0: expected 0 or more"),
        ("elastic", {"l2": -1.0}, "method.l2=-1.0: expected 0 or more"),
        ("gradual", {"factor": 0.5}, "method.factor=0.5: expected 1 or more"),
        ("gradual", {"groups": 0}, "method.groups=0"),
        ("lora", {"rank": 0}, "method.rank=0"),
        ("lora", {"dropout": 1.0}, "method.dropout=1.0"),
        ("soup", {"runs": 0}, "method.runs=0"),
        ("wise-ft", {"points": 0}, "method.points=0"),
        ("lpft", {}, "unknown method 'lpft'. Did you mean 'lp-ft'"),
    ],
)
def test_wrong_options_are_told(name: str, options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_method(name, options)


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_named_as_registered(name: str) -> None:
    assert METHODS[name].name == name
    assert METHODS[name].pretrained == (name != "scratch")


def test_the_probe_is_scikit_learns_on_the_encoders_features() -> None:
    outcome = fitted("probe")
    features, targets = outcome.loop.features("train")
    unseen, truth = outcome.loop.features("validation")
    scaler = StandardScaler().fit(features.astype(np.float64))
    chosen = outcome.loop.notes["probe"]["C"]
    reference = LogisticRegression(C=chosen, tol=1e-8, max_iter=10_000).fit(scaler.transform(features), targets)
    with torch.no_grad():
        ours = torch.softmax(outcome.model.head(torch.from_numpy(unseen)), 1).numpy()
    np.testing.assert_allclose(ours, reference.predict_proba(scaler.transform(unseen)), atol=2e-3)
    assert (ours.argmax(1) == truth).mean() > 0.6


def test_the_probe_predicts_numbers_in_the_units_of_the_network() -> None:
    outcome = run(make_method("probe"), tiny, kind="number")
    bias = outcome.model(toy("number", ENCODER.input, 64, 5).inputs).mean().item()
    assert abs(bias) < 2, "targets around 50 should be fitted in standard units"


def test_the_probe_heeds_class_weighting() -> None:
    rare = toy("single", ENCODER.input, 60, 1)
    rows = np.flatnonzero((rare.targets != 2) | (np.arange(60) % 10 == 0))
    part = Part(rare.inputs[rows], rare.targets[rows])
    means = []
    for weighting in ("none", "balanced"):
        model = Model(tiny(), 3)
        config = TrainConfig.model_validate({"class_weighting": weighting})
        loop = MemoryLoop(model, from_json(TASKS["single"]), part, toy("single", ENCODER.input, 30, 2), config=config)
        make_method("probe").fit(model, loop)
        with torch.no_grad():
            means.append(torch.softmax(model.eval()(rare.inputs), 1)[:, 2].mean().item())
    assert means[1] > means[0]


def test_gradual_unfreezes_from_the_top() -> None:
    outcome = fitted("gradual", groups=3)
    counts = [phase.blocks for phase in phases(outcome)]
    assert counts == [3, 5, 7]
    assert [phase.epochs for phase in phases(outcome)] == [1, 1, 3]
    assert all(phase.schedule == "slanted" for phase in phases(outcome))
    trained = [entry.trained for entry in outcome.loop.done if entry.phase]
    assert trained[0] < trained[1] < trained[2]
    assert phases(outcome)[0].layer_decay ** (7 / 3) == pytest.approx(1 / 2.6)
    assert [p.blocks for p in phases(fitted("gradual", groups=99, head="zero"))] == list(range(8))


def test_partial_and_head_hold_the_rest() -> None:
    blocks = weighted_blocks(Model(tiny(), 3))
    top = {f"encoder.{name}" for block in blocks[-2:] for name, _ in block.parameters}
    assert fitted("partial", blocks=2).loop.done[-1].trained == top | {"head.weight", "head.bias"}
    assert fitted("head").loop.done[-1].trained == {"head.weight", "head.bias"}


def test_bitfit_trains_vectors_and_the_head_alone() -> None:
    outcome = fitted("bitfit")
    shapes = {name: p.ndim for name, p in outcome.model.named_parameters()}
    assert outcome.loop.done[-1].trained == {n for n, d in shapes.items() if d == 1 or n.startswith("head.")}


def test_lora_trains_adapters_and_the_head_alone() -> None:
    entry = next(entry for entry in fitted("lora", blocks=2).loop.done if entry.phase)
    assert entry.trained
    assert all("lora_" in name or name.startswith("head.") for name in entry.trained)
    before, after = entry.before, entry.after
    assert all(torch.equal(before[name], after[name]) for name in before if "base_layer" in name)


@pytest.mark.parametrize("name", ["l1", "l2-sp", "elastic"])
def test_penalties_hold_the_weights_near_the_source(name: str) -> None:
    strong = {"l1": {"strength": 0.1}, "l2-sp": {"alpha": 1e3}, "elastic": {"l1": 0.1, "l2": 1e3}}[name]
    weak: dict[str, float] = dict.fromkeys(strong, 0.0)

    def way(options: dict[str, float]) -> float:
        """From the source's weights to where the last epoch ended, not to the best one."""
        model = Model(tiny(), 3)
        start = starting_point(model)
        loop = MemoryLoop(
            model,
            from_json(TASKS["single"]),
            toy("single", ENCODER.input, 48, 1),
            Part(torch.zeros(2, 3, 32, 32), np.arange(2)),
        )
        make_method(name, {**options, "head": "zero"}).fit(model, Last(loop))
        return sum(float((p - start[n]).abs().sum()) for n, p in model.state_dict().items() if n in start)

    assert way(strong) < 0.7 * way(weak)


def test_penalties_start_from_the_source_not_from_zero() -> None:
    for entry in fitted("l2-sp", head="zero").loop.done:
        if entry.phase and entry.phase.penalty:
            model = Model(tiny(), 3)
            assert entry.phase.penalty(model).item() == 0.0
            with torch.no_grad():
                next(model.encoder.parameters()).add_(1.0)
            assert entry.phase.penalty(model).item() > 0.0


def test_lp_ft_starts_where_the_probe_ends() -> None:
    probe, tuned = fitted("probe"), fitted("lp-ft")
    soft, hard = tuned.loop.done[0].after["head.weight"], probe.model.head.weight.detach()
    by = float(hard.norm() / soft.norm())
    assert by > 1.05, "fine-tuning should start from a softer head than the best probe's"
    torch.testing.assert_close(soft * by, hard)
    assert round(tuned.loop.validate(), 6) >= round(probe.loop.validate(), 6), "it may not end below the probe"


def test_wise_ft_ends_on_the_line_where_validation_is_best() -> None:
    outcome = fitted("wise-ft", points=4)
    probe, tuned, _ = outcome.loop.done
    note = outcome.loop.notes["wise-ft"]
    share = note["share of the fine-tuned network"]
    expected = interpolate(probe.after, tuned.after, share)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in outcome.model.state_dict().items())
    assert [point for point, _ in note["curve"]] == [0, 0.25, 0.5, 0.75, 1]
    assert dict(note["curve"])[share] == max(score for _, score in note["curve"])


def test_a_soup_is_no_worse_than_its_best_ingredient() -> None:
    outcome = fitted("soup", runs=2, epochs=2)
    snapshots = [score for entry in outcome.loop.done for score, _ in entry.snapshots]
    assert len(snapshots) == 4
    assert outcome.loop.notes["soup"]["tried"] == 5
    assert outcome.loop.validate() >= max(snapshots)
    rates = [phase.learning_rate for phase in phases(outcome)]
    assert rates[1] == pytest.approx(2 * rates[0])
    starts = [entry.before for entry in outcome.loop.done if entry.phase]
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])


def test_the_memory_loop_is_a_loop() -> None:
    loop: Loop = MemoryLoop(
        Model(tiny(), 3),
        from_json(TASKS["single"]),
        toy("single", ENCODER.input, 4, 0),
        toy("single", ENCODER.input, 4, 1),
    )
    assert loop.seed == 0
    assert loop.groups("validation") is None
    assert loop.snapshots("none") == ()
