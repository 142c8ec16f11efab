"""An ensemble computes what its members say together, proves it, and refuses a member that is not its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from headstart.artifacts import layout
from headstart.artifacts.card import CardFacts
from headstart.artifacts.load import LoadedEnsemble, LoadedModel, describe, load_model
from headstart.artifacts.save import Member, save_ensemble
from headstart.core.card import ImageInput
from headstart.core.errors import ArtifactError, ConfigError, ShapeError
from headstart.core.task import Task
from headstart.sources import resolve
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import MultiLabel
from headstart.tasks.regression import Regression
from headstart.testing.models import save_tiny_ensemble, save_tiny_model, tiny_model
from headstart.testing.sources import tiny_source

TASK = Classification(("cat", "dog", "owl"))
FACTS = CardFacts("both", "photos", "ab" * 32, {"method": "ensemble", "n": {}, "test": {}, "verdict": None})


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_ensemble(tmp_path_factory.mktemp("run") / "model")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy to do damage to."""
    return Path(shutil.copytree(pristine, tmp_path / "model"))


def load(path: Path, **options: Any) -> LoadedEnsemble:
    loaded = load_model(path, **options)
    assert isinstance(loaded, LoadedEnsemble)
    return loaded


def crops(ensemble: LoadedEnsemble) -> list[int]:
    return [member.contract.crop for member in ensemble.members if isinstance(member.contract, ImageInput)]


def batches(ensemble: LoadedEnsemble, count: int = 5) -> list[torch.Tensor]:
    rng = np.random.default_rng(1)
    sides = crops(ensemble)
    return [torch.from_numpy(rng.integers(0, 256, (count, 3, side, side), dtype=np.uint8)) for side in sides]


def each(ensemble: LoadedEnsemble, count: int = 5) -> list[np.ndarray]:
    return [member.logits(batch) for member, batch in zip(ensemble.members, batches(ensemble, count), strict=True)]


def member(seed: int = 0, task: Task = TASK, **changes: Any) -> Member:
    card = tiny_source(seed).card
    probes = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8))
    return Member(tiny_model(task, seed), card.input, card, probes, **changes)


def refusal(folder: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        load_model(folder)
    return str(caught.value)


def softmax(z: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return shares


def forge(folder: Path, change: dict[str, Any]) -> None:
    """Change model.json of an ensemble, and every hash and its seal with it."""
    described = json.loads((folder / layout.DESCRIPTION).read_bytes()) | change
    described["files"] = {name: layout.sha256((folder / name).read_bytes()) for name in layout.LISTED_OF_ENSEMBLE}
    for entry in described["members"]:
        place = folder / entry["folder"]
        if place.is_dir():
            entry["sha256"] = layout.sha256((place / layout.DESCRIPTION).read_bytes())
    (folder / layout.DESCRIPTION).write_bytes(layout.to_json(described))
    (folder / layout.SEAL).write_bytes(layout.seal((folder / layout.DESCRIPTION).read_bytes()))


# -- what they say together -------------------------------------------------------------------------------------------


def test_probabilities_are_the_weighted_mean_of_the_members_calibrated_ones(pristine: Path) -> None:
    ensemble = load(pristine, device="cpu")
    one, other = each(ensemble)
    mean = 0.25 * softmax(one / 1.5) + 0.75 * softmax(other / 0.5)
    together = ensemble.combine([one, other])
    np.testing.assert_allclose(together, np.log(mean), rtol=1e-9)
    tempered = mean ** (1 / 1.2)
    np.testing.assert_allclose(ensemble.scores_of(together), tempered / tempered.sum(1, keepdims=True), rtol=1e-9)


def test_logits_are_summed_with_their_weights(tmp_path: Path) -> None:
    ensemble = load(save_tiny_ensemble(tmp_path / "model", combine="logits"), device="cpu")
    one, other = each(ensemble)
    np.testing.assert_allclose(ensemble.combine([one, other]), 1 * one / 1.5 + 3 * other / 0.5, rtol=1e-9)


def test_many_labels_are_averaged_one_by_one_without_temperatures(tmp_path: Path) -> None:
    ensemble = load(save_tiny_ensemble(tmp_path / "model", task=MultiLabel(("red", "round"))), device="cpu")
    one, other = each(ensemble)
    mean = 0.25 / (1 + np.exp(-one)) + 0.75 / (1 + np.exp(-other))
    np.testing.assert_allclose(ensemble.scores_of(ensemble.combine([one, other])), mean, rtol=1e-9)


@pytest.mark.parametrize("combine", ["logits", "probabilities"])
def test_numbers_are_averaged_in_the_users_units(tmp_path: Path, combine: Any) -> None:
    task = Regression(("width", "height"), (10.0, 20.0), (2.0, 3.0))
    members = [member(0, task, weight=0.25), member(1, task, weight=0.75)]
    save_ensemble(tmp_path / "model", members=members, combine=combine, task=task, facts=FACTS)
    ensemble = load(tmp_path, device="cpu")
    one, other = each(ensemble)
    expected = 0.25 * task.scores(one) + 0.75 * task.scores(other)
    np.testing.assert_allclose(ensemble.scores_of(ensemble.combine([one, other])), expected)


def test_a_head_over_joined_features_is_the_sum_of_its_slices(tmp_path: Path) -> None:
    one, other = member(0), member(1)
    save_ensemble(tmp_path / "model", members=[one, other], combine="logits", task=TASK, facts=FACTS)
    ensemble = load(tmp_path, device="cpu")
    batch = batches(ensemble)[0]
    prepared = (batch.float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        joined = torch.cat([m.model.encoder(prepared).pooled for m in (one, other)], dim=1)
        weight = torch.cat([m.model.head.weight for m in (one, other)], dim=1)
        expected = joined @ weight.T + one.model.head.bias + other.model.head.bias
    together = ensemble.combine([m.logits(batch) for m in ensemble.members])
    np.testing.assert_allclose(together, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_the_order_of_members_changes_nothing(pristine: Path, tmp_path: Path) -> None:
    forth, back = load(pristine), load(save_tiny_ensemble(tmp_path / "model", reverse=True))
    one, other = each(forth)
    np.testing.assert_allclose(back.combine([other, one]), forth.combine([one, other]), rtol=1e-12)


def test_every_member_keeps_its_contract_its_source_and_its_precision(pristine: Path, tmp_path: Path) -> None:
    ensemble = load(pristine)
    assert crops(ensemble) == [32, 48]
    assert [card.name for card in ensemble.sources] == ["tiny-0", "tiny-1"]
    save_ensemble(
        tmp_path / "model",
        members=[member(0, precision="bfloat16"), member(1)],
        combine="probabilities",
        task=TASK,
        facts=FACTS,
    )
    assert [m.precision for m in load(tmp_path, device="cpu").members] == ["bfloat16", "float32"]
    assert load(tmp_path).weights == (0.5, 0.5)


def test_a_member_is_a_model_and_a_source_of_its_own(pristine: Path) -> None:
    ensemble = load(pristine, device="cpu")
    for number, part in enumerate(ensemble.members):
        alone = load_model(pristine / "members" / str(number), device="cpu")
        assert isinstance(alone, LoadedModel)
        batch = batches(ensemble)[number]
        np.testing.assert_array_equal(alone.logits(batch), part.logits(batch))
        encoder = resolve(str(pristine / "members" / str(number))).load()
        for name, tensor in part.model.encoder.state_dict().items():
            assert torch.equal(encoder.state_dict()[name], tensor), name


def test_its_description_is_read_without_its_members(folder: Path) -> None:
    shutil.rmtree(folder / "members")
    assert describe(folder).task == TASK.to_json()


# -- tampering --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*layout.LISTED_OF_ENSEMBLE, layout.DESCRIPTION, layout.SEAL])
def test_one_flipped_bit_in_what_joins_them_is_refused_by_name(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    message = refusal(folder)
    assert name in message
    assert "changed" in message


@pytest.mark.parametrize("name", [*layout.LISTED, layout.DESCRIPTION, layout.SEAL])
def test_one_flipped_bit_in_a_member_is_refused_by_its_name(folder: Path, name: str) -> None:
    path = folder / "members" / "1" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    message = refusal(folder)
    assert name in message
    assert "members/1" in message


def test_a_missing_member_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "members" / "0")
    assert "members/0" in refusal(folder)


def test_a_member_that_was_exchanged_is_refused_though_it_is_whole(folder: Path) -> None:
    shutil.rmtree(folder / "members" / "0")
    save_tiny_model(folder / "members" / "0")
    assert "members/0 is not the member that was saved with it" in refusal(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"combine": "logits"}, ["does not reproduce its stored outputs"]),
        ({"members": []}, ["members"]),
        ({"task": {**TASK.to_json(), "classes": ["a", "b", "c"]}}, ["labels"]),
        ({"temperature": 0}, ["temperature"]),
        ({"members": [{"folder": f, "weight": 0.5, "sha256": ""} for f in ("members/0", "../../x")]}, ["folder"]),
        ({"members": [{"folder": f"members/{i}", "weight": 0.5, "sha256": ""} for i in (0, 1)]}, ["not reproduce"]),
        ({"members": [{"folder": f"members/{i}", "weight": 0.5, "sha256": ""} for i in (0, 7)]}, ["members/7"]),
    ],
)
def test_forged_hashes_do_not_hide_a_change(folder: Path, change: dict[str, Any], words: list[str]) -> None:
    forge(folder, change)
    message = refusal(folder)
    assert [word for word in words if word not in message] == []


def test_a_member_of_another_task_or_of_members_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "members" / "0")
    save_tiny_model(folder / "members" / "0", classes=("a", "b", "c"))
    forge(folder, {})
    assert "members/0 and model.json state different tasks" in refusal(folder)
    shutil.rmtree(folder / "members" / "0")
    save_tiny_ensemble(folder / "members" / "0")
    forge(folder, {})
    assert "an ensemble within an ensemble" in refusal(folder)


def test_stored_outputs_of_another_shape_are_refused(folder: Path) -> None:
    safetensors.torch.save_file({"logits": torch.zeros(4, 2)}, folder / layout.PROBES)
    forge(folder, {})
    assert "probes.safetensors holds outputs (4, 2)" in refusal(folder)


# -- saving -----------------------------------------------------------------------------------------------------------


def test_saving_leaves_nothing_beside_it_and_is_reproducible(pristine: Path, tmp_path: Path) -> None:
    again = save_tiny_ensemble(tmp_path / "model")
    files = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [str(f) for f in files] == sorted(str(p.relative_to(pristine)) for p in pristine.rglob("*") if p.is_file())
    assert [str(f) for f in files if (again / f).read_bytes() != (pristine / f).read_bytes()] == []
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_ensemble_replaces_a_model_and_a_failed_one_does_not(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    bad = member(1)
    with torch.no_grad():
        bad.model.head.bias[0] = float("nan")
    with pytest.raises(ArtifactError, match="not finite"):
        save_ensemble(folder, members=[member(0), bad], combine="logits", task=TASK, facts=FACTS)
    assert isinstance(load_model(folder), LoadedModel)
    save_ensemble(folder, members=[member(0), member(1)], combine="logits", task=TASK, facts=FACTS)
    assert len(load(folder).members) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.5], [0.0, 0.0], [1.0, float("inf")]])
def test_weights_that_are_no_weights_are_refused(tmp_path: Path, weights: list[float]) -> None:
    members = [member(seed, weight=weight) for seed, weight in enumerate(weights)]
    with pytest.raises(ConfigError, match="two members or more|0 or larger and not all 0"):
        save_ensemble(tmp_path / "model", members=members, combine="probabilities", task=TASK, facts=FACTS)
    assert list(tmp_path.iterdir()) == []


def test_members_are_probed_with_the_same_items(tmp_path: Path) -> None:
    fewer = member(1)
    fewer = Member(fewer.model, fewer.contract, fewer.source, fewer.probes[:2])
    with pytest.raises(ShapeError, match="same items"):
        save_ensemble(tmp_path / "model", members=[member(0), fewer], combine="logits", task=TASK, facts=FACTS)


def test_the_card_names_every_source_and_how_they_are_joined(pristine: Path) -> None:
    text = (pristine / layout.CARD).read_text()
    assert "base_model:\n- tiny-0\n- tiny-1\n" in text
    assert "license: apache-2.0\n" in text
    assert "It is 2 models that answer together: the sum of their probabilities, weighted 0.25, 0.75." in text
    assert text.count("- Source: ") == text.count("- Preprocessing: ") == 2
    alone = (pristine / "members" / "1" / layout.CARD).read_text()
    assert "# tiny, member 1" in alone
    assert "It was not evaluated on held-out data." in alone
