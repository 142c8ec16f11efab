"""A saved model proves itself, and whatever was changed in it is refused by name."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from headstart.artifacts import layout, save
from headstart.artifacts.card import CardFacts, render
from headstart.artifacts.load import LoadedModel, load_model
from headstart.core.card import ImageInput, digest_of
from headstart.core.errors import ArtifactError, ConfigError, ShapeError
from headstart.core.task import Task
from headstart.nn.model import Model
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import MultiLabel
from headstart.tasks.regression import Regression
from headstart.testing.models import save_tiny_model, tiny_model
from headstart.testing.sources import tiny_source

EVERY_FILE = (*layout.LISTED, layout.DESCRIPTION, layout.SEAL)
TASK = Classification(("cat", "dog", "owl"))
FACTS = CardFacts("mine", "photos", "ab" * 32, {"method": "probe", "n": {}, "test": {}, "verdict": None})


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("run") / "model")


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy to do damage to."""
    return Path(shutil.copytree(pristine, tmp_path / "model"))


def batch(count: int = 5) -> torch.Tensor:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).movedim(-1, 1)


def save_again(folder: Path, model: Model | None = None, task: Task = TASK, **changes: object) -> None:
    options = {
        "model": model or tiny_model(task),
        "task": task,
        "contract": tiny_source().card.input,
        "source": tiny_source().card,
        "probes": batch(),
        "facts": FACTS,
        **changes,
    }
    save.save_model(folder, **options)  # type: ignore[arg-type]


def load(path: Path, **options: Any) -> LoadedModel:
    loaded = load_model(path, **options)
    assert isinstance(loaded, LoadedModel)
    return loaded


def refusal(folder: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        load_model(folder)
    return str(caught.value)


def rehash(folder: Path) -> None:
    """Make every hash agree again, as someone who knows the format could."""
    description = json.loads((folder / layout.DESCRIPTION).read_bytes())
    description["files"] = {name: layout.sha256((folder / name).read_bytes()) for name in layout.LISTED}
    (folder / layout.DESCRIPTION).write_bytes(layout.to_json(description))
    reseal(folder)


def reseal(folder: Path) -> None:
    (folder / layout.SEAL).write_bytes(layout.seal((folder / layout.DESCRIPTION).read_bytes()))


# -- what was saved is what is loaded ---------------------------------------------------------------------------------


def test_what_is_loaded_computes_what_was_saved(pristine: Path) -> None:
    loaded = load(pristine, device="cpu")
    model = tiny_model(TASK)
    with torch.inference_mode():
        expected = model((batch().float() / 255 - 0.5) / 0.5).double().numpy()
    np.testing.assert_allclose(loaded.logits(batch()), expected, rtol=1e-4, atol=1e-4)
    scaled = np.exp(expected / 1.5)
    np.testing.assert_allclose(loaded.scores(batch()), scaled / scaled.sum(1, keepdims=True), atol=1e-4)
    assert loaded.temperature == 1.5
    assert loaded.task == TASK
    assert loaded.source == tiny_source().card
    assert loaded.contract == tiny_source().card.input


def test_a_run_folder_stands_for_its_model(pristine: Path) -> None:
    assert load_model(pristine.parent).folder == load(pristine).folder == pristine


@pytest.mark.parametrize(
    "task", [MultiLabel(("red", "round")), Regression(("width", "height"), (10.0, 20.0), (2.0, 3.0))]
)
def test_every_task_comes_back_and_only_one_label_is_tempered(tmp_path: Path, task: Task) -> None:
    save_again(tmp_path / "model", task=task, temperature=3.0)
    loaded = load(tmp_path)
    assert loaded.task == task
    logits = loaded.logits(batch())
    np.testing.assert_allclose(loaded.scores_of(logits), task.scores(logits))


def test_saving_and_loading_leave_the_model_and_the_random_state_alone(tmp_path: Path) -> None:
    model = tiny_model(TASK).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    save_again(tmp_path / "model", model)
    load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_channels_last_weights_and_reduced_precision_are_saved(tmp_path: Path) -> None:
    save_again(tmp_path / "model", tiny_model(TASK).to(memory_format=torch.channels_last), precision="bfloat16")
    loaded = load(tmp_path, device="cpu")
    assert loaded.precision == "bfloat16"
    exact = load(tmp_path, device="cpu", precision="float32")
    difference = np.abs(loaded.logits(batch()) - exact.logits(batch())).max()
    assert 0 < difference < 1


def test_a_precision_that_is_not_to_be_had_here_is_replaced_by_the_exact_one(tmp_path: Path) -> None:
    save_again(tmp_path / "model", precision="float16")
    assert load(tmp_path, device="cpu").precision == "float32"
    with pytest.raises(ConfigError, match="float16 needs a CUDA device"):
        load_model(tmp_path, device="cpu", precision="float16")


def test_saving_is_reproducible_byte_for_byte(pristine: Path, tmp_path: Path) -> None:
    again = save_tiny_model(tmp_path / "model")
    assert [name for name in EVERY_FILE if (again / name).read_bytes() != (pristine / name).read_bytes()] == []


def test_only_safe_formats_are_written(pristine: Path) -> None:
    assert sorted(path.name for path in pristine.iterdir()) == sorted(EVERY_FILE)
    assert not list(pristine.parent.glob(".model*"))
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", layout.SEAL], cwd=pristine, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("wrong", ["float", "small", "single", "channels-last"])
def test_a_batch_of_another_shape_is_refused(pristine: Path, wrong: str) -> None:
    given = {
        "float": batch().float(),
        "small": batch()[:, :, :16],
        "single": batch()[0],
        "channels-last": batch().movedim(1, -1),
    }[wrong]
    with pytest.raises(ShapeError, match=r"uint8 pictures of shape \(B, 3, 32, 32\)"):
        load(pristine).logits(given)


# -- tampering --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("name", EVERY_FILE)
def test_one_flipped_bit_anywhere_is_refused_by_name(folder: Path, name: str, place: float) -> None:
    data = bytearray((folder / name).read_bytes())
    data[int(place * len(data))] ^= 1
    (folder / name).write_bytes(data)
    message = refusal(folder)
    assert name in message
    assert "changed" in message


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refusal(folder)


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_truncated_file_is_named(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    assert name in refusal(folder)


def edit(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_bytes())
        change(content)
        (folder / name).write_bytes(layout.to_json(content))

    return apply


def swap_labels(folder: Path) -> None:
    (folder / layout.LABELS).write_bytes(layout.to_json(["dog", "cat", "owl"]))


def nudge_weights(folder: Path) -> None:
    tensors = safetensors.torch.load_file(folder / layout.WEIGHTS)
    tensors["head.weight"][0, 0] += 10
    safetensors.torch.save_file(tensors, folder / layout.WEIGHTS)


def drop_a_weight(folder: Path) -> None:
    tensors = safetensors.torch.load_file(folder / layout.WEIGHTS)
    del tensors["head.bias"]
    safetensors.torch.save_file(tensors, folder / layout.WEIGHTS)


def poison_weights(folder: Path) -> None:
    tensors = safetensors.torch.load_file(folder / layout.WEIGHTS)
    tensors["head.weight"][0, 0] = float("nan")
    safetensors.torch.save_file(tensors, folder / layout.WEIGHTS)


def garble_weights(folder: Path) -> None:
    (folder / layout.WEIGHTS).write_bytes(b"not a safetensors file")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap_labels, ["labels.json", "different labels"]),
        (edit(layout.PREPROCESSING, lambda c: c.update(digest="0" * 64)), ["preprocessing.json", "different"]),
        (edit(layout.DESCRIPTION, lambda c: c["input"].update(mean=[0, 0, 0])), ["preprocessing"]),
        (edit(layout.DESCRIPTION, lambda c: c["task"].update(classes=["a", "b", "c"])), ["labels"]),
        (edit(layout.DESCRIPTION, lambda c: c.update(width=77)), ["77", "256"]),
        (edit(layout.DESCRIPTION, lambda c: c.update(temperature=-1)), ["model.json", "temperature"]),
        (edit(layout.DESCRIPTION, lambda c: c.update(extra=1)), ["model.json", "extra"]),
        (edit(layout.DESCRIPTION, lambda c: c["architecture"].update(library="nowhere")), ["'nowhere'", "built"]),
        (nudge_weights, ["does not reproduce", "probes", "allowed"]),
        (poison_weights, ["does not reproduce"]),
        (drop_a_weight, ["model.safetensors", "head.bias"]),
        (garble_weights, ["model.safetensors", "safetensors file"]),
    ],
)
def test_a_change_that_also_forges_the_hashes_does_not_get_through_the_other_checks(
    folder: Path, change: Callable[[Path], None], words: list[str]
) -> None:
    change(folder)
    rehash(folder)
    message = refusal(folder)
    assert [word for word in words if word not in message] == []


def test_a_wrong_contract_in_both_places_fails_the_probes(folder: Path) -> None:
    description = json.loads((folder / layout.DESCRIPTION).read_bytes())
    contract = tiny_source().card.input.model_copy(update={"mean": (0.0, 0.0, 0.0)})
    description["input"] = contract.model_dump(mode="json")
    (folder / layout.DESCRIPTION).write_bytes(layout.to_json(description))
    stated = {"input": contract.model_dump(mode="json"), "digest": contract.digest()}
    (folder / layout.PREPROCESSING).write_bytes(layout.to_json(stated))
    rehash(folder)
    assert "does not reproduce its stored outputs: 4 of 4 probes differ" in refusal(folder)


def test_a_model_from_before_its_contract_had_a_field_is_read(folder: Path) -> None:
    description = json.loads((folder / layout.DESCRIPTION).read_bytes())
    contract = description["input"]
    assert contract.pop("interpolation") == ImageInput().interpolation
    (folder / layout.DESCRIPTION).write_bytes(layout.to_json(description))
    stated = {"input": contract, "digest": digest_of(contract)}
    (folder / layout.PREPROCESSING).write_bytes(layout.to_json(stated))
    rehash(folder)
    assert load(folder).contract == tiny_source().card.input


def test_a_newer_format_says_what_to_do(folder: Path) -> None:
    edit(layout.DESCRIPTION, lambda c: c.update(format=9, headstart="9.0"))(folder)
    message = refusal(folder)
    assert all(word in message for word in ("format 9", "headstart 9.0", "pip install --upgrade headstart"))


def test_a_place_without_a_model_is_told_apart(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "neither a run folder nor a model folder" in refusal(tmp_path)
    (tmp_path / "recipe.yaml").touch()
    assert f"headstart resume {tmp_path}" in refusal(tmp_path)


def test_the_model_of_a_run_that_was_not_finished_is_not_taken_for_a_finished_one(folder: Path) -> None:
    run = folder.parent
    (run / "recipe.yaml").touch()
    assert f"not finished. Go on with: headstart resume {run}" in refusal(run)
    (run / "metrics.json").touch()
    assert load_model(run).folder == folder


# -- saving is whole or not at all ------------------------------------------------------------------------------------


def no_space(name: str) -> Callable[[Path, bytes], None]:
    """A disk that fills up while `name` is being written."""

    def write(path: Path, data: bytes) -> None:
        if path.name == name:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(data)

    return write


@pytest.mark.parametrize("name", [layout.WEIGHTS, layout.DESCRIPTION, layout.SEAL])
def test_a_full_disk_leaves_nothing_that_looks_like_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(save, "_write", no_space(name))
    with pytest.raises(ArtifactError, match=r"No space left on device\. Free some space"):
        save_again(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_keeps_the_model_that_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(folder).logits(batch())
    with monkeypatch.context() as patch:
        patch.setattr(save, "_write", no_space(layout.LABELS))
        with pytest.raises(ArtifactError):
            save_again(folder)
    np.testing.assert_array_equal(load(folder).logits(batch()), before)
    changed = tiny_model(TASK)
    with torch.no_grad():
        changed.head.bias.add_(1)
    save_again(folder, changed)
    np.testing.assert_allclose(load(folder).logits(batch()), before + 1, atol=1e-4)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_when_the_last_move_fails_the_old_model_is_put_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self == layout.writing(folder):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ArtifactError, match="Input/output error"):
        save_again(folder)
    assert load(folder).temperature == 1.5


def test_a_replacement_killed_between_its_two_moves_says_how_to_go_back(folder: Path) -> None:
    folder.rename(layout.previous(folder))
    layout.writing(folder).mkdir()
    with pytest.raises(ArtifactError, match="neither"):
        load_model(folder.parent / ".model.writing")
    message = refusal(folder.parent)
    assert f"mv {layout.previous(folder)} {folder}" in message
    save_again(folder)
    assert load(folder.parent).temperature == 1.0
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_model_that_does_not_prove_itself_is_not_saved(tmp_path: Path) -> None:
    lying = tiny_model(TASK)
    lying.encoder.architecture = lying.encoder.architecture.model_copy(update={"options": {"act_layer": "gelu"}})
    with pytest.raises(ArtifactError, match=r"not saved, because .* does not reproduce its stored outputs"):
        save_again(tmp_path / "model", lying)
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = tiny_model(TASK)
    with torch.no_grad():
        model.head.bias[0] = float("inf")
    with pytest.raises(ArtifactError, match="not finite"):
        save_again(tmp_path / "model", model)


@pytest.mark.parametrize(
    ("shape", "words"), [((0, 3, 32, 32), "one probe at least"), ((2, 32, 32, 3), "pictures of shape")]
)
def test_probes_are_needed_and_have_a_shape(tmp_path: Path, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        save_again(tmp_path / "model", probes=torch.zeros(shape, dtype=torch.uint8))


# -- elsewhere --------------------------------------------------------------------------------------------------------

WITHOUT_EXTRAS = """
import sys

class Without:
    NAMES = {"accelerate", "peft", "sklearn", "scipy", "pandas", "matplotlib", "tensorboard", "jinja2", "imagehash",
             "transformers", "datasets", "pyarrow"}
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in self.NAMES else self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import numpy as np
from headstart.artifacts.load import load_model
model = load_model(sys.argv[1])
print(model.task.decode(model.scores(np.zeros((2, 3, 32, 32), np.uint8))))
assert not Without.NAMES & set(sys.modules)
"""


def test_it_loads_and_predicts_without_the_training_extras(pristine: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, str(pristine)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = load(pristine)
    assert done.stdout.strip() == str(loaded.task.decode(loaded.scores(np.zeros((2, 3, 32, 32), np.uint8))))


# -- the card ---------------------------------------------------------------------------------------------------------


def card(task: Task = TASK, license: str = "Apache-2.0") -> tuple[dict[str, Any], str]:
    interval = {"value": 0.85, "low": 0.8, "high": 0.9}
    metrics = {
        "method": "lp-ft",
        "n": {"train": 100, "validation": 20, "test": 40},
        "test": {"accuracy": interval, "f1_macro": interval},
        "verdict": {
            "transfer": "positive",
            "gain": 0.2,
            "low": 0.1,
            "high": 0.3,
            "p_value": 0.001,
            "against": "scratch",
            "test": "paired bootstrap",
        },
    }
    source = tiny_source().card.model_copy(update={"license": license})
    facts = CardFacts("my `run`", "photos", "ab" * 32, metrics, 3, ("two images\nare `rotated`",))
    text = render(task=task, sources=[source], contracts=[source.input], facts=facts)
    _, front, body = text.split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_card_has_the_hub_s_front_matter() -> None:
    front, _ = card()
    assert front["license"] == "apache-2.0"
    assert front["base_model"] == "tiny-0"
    assert front["library_name"] == "headstart"
    assert front["pipeline_tag"] == "image-classification"
    assert front["metrics"] == ["accuracy", "f1"]
    (entry,) = front["model-index"]
    (result,) = entry["results"]
    assert result["dataset"] == {"name": "photos", "type": "photos", "split": "test"}
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("accuracy", 0.85), ("f1", 0.85)]


def test_the_card_tells_the_numbers_the_verdict_the_data_and_the_limits() -> None:
    _, body = card()
    sections = [line for line in body.splitlines() if line.startswith("## ")]
    assert sections == [
        f"## {name}" for name in ("Intended use", "Data", "Evaluation", "Limits", "How to use", "Provenance")
    ]
    for words in (
        "| Accuracy | 0.850 | 0.800 to 0.900 |",
        "**positive**: gain +0.200 [+0.100, +0.300] against `scratch`, p = 0.001",
        "100 training, 20 validation and 40 test items",
        "- two images are 'rotated'",
        "seed 3",
        "`cat`, `dog`, `owl`",
    ):
        assert words in body


def test_a_licence_that_the_hub_does_not_know_is_named() -> None:
    front, _ = card(license="None stated")
    assert (front["license"], front["license_name"]) == ("other", "none-stated")


def test_a_card_of_numbers_claims_no_labels() -> None:
    front, body = card(Regression(("weight",), (0.0,), (1.0,)))
    assert "pipeline_tag" not in front
    assert "the quantities `weight`" in body
    assert "probabilities" not in body
