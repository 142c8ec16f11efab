"""More than a hundred bad inputs through the real commands: one clear line, exit code 2, nothing left to be trusted."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from headstart.cli import app as cli
from headstart.testing.models import save_tiny_model
from headstart.testing.sources import tiny_source

Make = Callable[[Path], None]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, toy_photos: Path) -> Path:
    """A folder with good photos, a good model and good weights, beside which bad things are put."""
    root = tmp_path_factory.mktemp("bad")
    shutil.copytree(toy_photos, root / "good")
    save_tiny_model(root / "model", classes=("checks", "disc", "stripes"))
    state = {n.removeprefix("network."): t.contiguous() for n, t in tiny_source().load().state_dict().items()}
    save_file(state, root / "tiny.safetensors")
    return root


def refused(capsys: pytest.CaptureFixture[str], root: Path, *words: str | Path) -> str:
    """Run a command that must be refused; its one line."""
    before = set(root.iterdir())
    capsys.readouterr()
    code = cli.run([str(word) for word in words])
    out, err = capsys.readouterr()
    told = [line for line in err.splitlines() if line.strip()]
    assert code == 2, (words, out, err)
    assert out == ""
    assert "Traceback" not in err
    usage = [line for line in told if line.startswith(("Usage: ", "Try "))]  # Click says these above its own message
    assert len(told) - len(usage) == 1, err
    assert len(told[-1]) > 15
    assert set(root.iterdir()) == before, "something was left behind"
    return told[-1]


def photo(seed: int, form: str = "JPEG", size: int = 48) -> bytes:
    rng = np.random.default_rng(seed)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(out, form)
    return out.getvalue()


def bomb() -> bytes:
    """A PNG whose header promises 60,000 x 60,000 pixels."""
    data = bytearray(photo(0, "PNG"))
    data[16:24] = (60000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


FILES: dict[str, bytes] = {
    "empty.jpg": b"",
    "text.jpg": b"this is no photo",
    "cut.jpg": photo(1)[:400],
    "cut.png": photo(1, "PNG")[:400],
    "bomb.png": bomb(),
    "zip.png": b"PK\x03\x04" + bytes(64),
    "html.jpg": b"<!doctype html><title>404</title>",
    "nul.webp": bytes(300),
    "header.gif": b"GIF89a",
    "header.bmp": b"BM" + bytes(10),
}


def no_photos(folder: Path) -> None:
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "notes.txt").write_text("x")


def empty_classes(folder: Path) -> None:
    for name in "ab":
        (folder / name).mkdir(parents=True)


def loose_files(folder: Path) -> None:
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.jpg").write_bytes(photo(i))


def looping_link(folder: Path) -> None:
    folder.mkdir()
    (folder / "self").symlink_to(folder)


def fill(root: Path, counts: dict[str, int]) -> None:
    seed = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            seed += 1
            (root / name / f"{i}.jpg").write_bytes(photo(seed))


FOLDERS: dict[str, Make] = {
    "nothing": lambda p: p.mkdir(),
    "no-photos": no_photos,
    "empty-classes": empty_classes,
    "one-class": lambda p: fill(p, {"a": 8}),
    "single-items": lambda p: fill(p, {"a": 1, "b": 1}),
    "loose-files": loose_files,
    "only-test": lambda p: fill(p, {"test/a": 5, "test/b": 5}),
    "new-class-in-test": lambda p: fill(p, {"train/a": 5, "train/b": 5, "test/a": 3, "test/c": 3}),
    "a-class-without-training": lambda p: fill(p, {"train/a": 5, "validation/b": 5, "test/a": 3}),
    "looping-link": looping_link,
}

TABLES: dict[str, str | bytes] = {
    "nothing.csv": "",
    "header.csv": "image,label\n",
    "missing-files.csv": "image,label\nnowhere.jpg,a\nneither.jpg,b\n",
    "no-label.csv": "image\ngood/train/disc/00.jpg\n",
    "ragged.csv": "image,label\ngood/train/disc/00.jpg,a,b,c\n",
    "outside.csv": "image,label\n../../../etc/passwd,a\n../../etc/hosts,b\n",
    "bytes.csv": b"\xff\xfe\x00\x01\x02image",
    "broken.jsonl": '{"image": "good/train/disc/00.jpg", "label": "a"}\n{"image": \n',
    "list.jsonl": "[1, 2]\n[3, 4]\n",
    "numbers.jsonl": '{"image": 3, "label": 4}\n',
    "not.parquet": b"PAR0",
    "nan.csv": "image,label\ngood/train/disc/00.jpg,nan\ngood/train/disc/01.jpg,inf\ngood/train/disc/02.jpg,1.5\n",
}

FIT_WORDS: list[list[str]] = [
    ["--source", "efficientnet-lite9"],
    ["--source", "timm:no_such_net"],
    ["--source", "torchvision:resnet9000"],
    ["--source", "torchvision:resnet18.IMAGENET9"],
    ["--source", "transformers:nobody/nothing"],
    ["--source", "nowhere.safetensors@timm:resnet18"],
    ["--source", "tiny.safetensors"],
    ["--source", "tiny.safetensors@timm:test_vit"],
    ["--source", "good"],
    ["--method", "lpft"],
    ["--method", "lora", "--set", "method.rank=0"],
    ["--method", "lora", "--set", "method.rank=x"],
    ["--method", "probe", "--set", "method.rank=4"],
    ["--set", "epochs=-1"],
    ["--set", "epochs=many"],
    ["--set", "epohs=1"],
    ["--set", "learning_rate=-1"],
    ["--set", "learning_rate=nan"],
    ["--set", "batch_size=0"],
    ["--set", "dropout=1"],
    ["--set", "optimizer=adamm"],
    ["--set", "schedule=cosinus"],
    ["--set", "augment.policy=all"],
    ["--set", "augment.mixup=-1"],
    ["--set", "adversarial.attack=laser"],
    ["--set", "adversarial.epsilon=2"],
    ["--set", "precision=float8"],
    ["--set", "precision=float16"],
    ["--set", "monitor=auc"],
    ["--set", "epochs"],
    ["--set", "epochs=!!python/object/apply:os.system [id]"],
    ["--seed", "one"],
    ["--seed", "-3"],
    ["--epochs", "1.5"],
    ["--task", "clasification"],
    ["--task", "regression"],
    ["--verdict", "perhaps"],
    ["--track", "tensorbord"],
    ["--label", "kind"],
    ["--out", "good"],
    ["--out", "tiny.safetensors"],
    ["--out", "/proc/nowhere/run"],
]

COMMANDS: list[list[str]] = [
    ["predict", "nowhere", "good"],
    ["predict", "good", "good"],
    ["predict", "model", "nowhere.jpg"],
    ["predict", "model", "tiny.safetensors"],
    ["predict", "model"],
    ["predict", "model", "good", "--batch-size", "0"],
    ["predict", "tiny.safetensors", "good"],
    ["evaluate", "model", "nowhere"],
    ["evaluate", "nowhere", "good"],
    ["evaluate", "model", "tiny.safetensors"],
    ["resume", "nowhere"],
    ["resume", "good"],
    ["resume", "model"],
    ["compare", "model", "good"],
    ["compare", "nowhere", "neither"],
    ["fit", "nowhere"],
    ["fit", "tiny.safetensors"],
    ["fit", "hf:nobody/nothing"],
    ["fit", "good/recipe.yaml"],
    ["sources", "show", "efficientnet"],
    ["sources", "install", "efficientnet"],
    ["fitt", "good"],
    ["fit", "good", "--fast"],
]


SOURCE = ["--source", "tiny.safetensors@timm:test_efficientnet", "--verdict", "none"]


@pytest.fixture(autouse=True)
def beside(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["fit", "predict", "evaluate"])
def test_a_bad_file_among_good_ones(capsys: pytest.CaptureFixture[str], place: Path, name: str, command: str) -> None:
    bad = place / "good" / "train" / "disc" / name
    bad.write_bytes(FILES[name])
    try:
        told = {
            "fit": lambda: refused(capsys, place, "fit", "good", *SOURCE, "--out", "run"),
            "predict": lambda: refused(capsys, place, "predict", "model", bad),
            "evaluate": lambda: refused(capsys, place, "evaluate", "model", "good/train"),
        }[command]()
    finally:
        bad.unlink()
    assert name in told


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_a_bad_folder(capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path, name: str, command: str) -> None:
    folder = tmp_path / name
    FOLDERS[name](folder)
    if command == "fit":
        refused(capsys, place, "fit", folder, *SOURCE, "--out", "run")
    else:
        refused(capsys, place, "evaluate", "model", folder)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_a_bad_table(capsys: pytest.CaptureFixture[str], place: Path, name: str, command: str) -> None:
    content = TABLES[name]
    table = place / name
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        if command == "fit":
            refused(capsys, place, "fit", table, *SOURCE, "--out", "run")
        else:
            refused(capsys, place, "evaluate", "model", table)
    finally:
        table.unlink()


@pytest.mark.parametrize("words", FIT_WORDS, ids=" ".join)
def test_bad_words_to_fit(capsys: pytest.CaptureFixture[str], place: Path, words: list[str]) -> None:
    out = [] if "--out" in words else ["--out", "run"]
    refused(capsys, place, "fit", "good", *SOURCE, *out, *words)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_bad_commands(capsys: pytest.CaptureFixture[str], place: Path, words: list[str]) -> None:
    refused(capsys, place, *words, *(["--out", "run"] if words[0] == "fit" else []))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300),
    suffix=st.sampled_from([".jpg", ".png", ".webp", ".csv", ".jsonl", ".parquet", ".yaml"]),
)
def test_any_bytes_by_any_name(
    capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(content)
    refused(capsys, place, "fit", path, *SOURCE, "--out", "run")
    refused(capsys, place, "evaluate", "model", path)
