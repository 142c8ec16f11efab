"""The main job on real photographs with real weights, against an independent probe written with other tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.metrics.intervals import wilson
from headstart.recipes.fit import fit
from headstart.sources import PACKS


@pytest.fixture(scope="module")
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def independent_probe(photos: Path) -> float:
    """Test accuracy of scikit-learn on features that timm computes in float32 from photos that it reads itself."""
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    state = PACKS["efficientnet-lite0"].load().state_dict()
    network.load_state_dict({name.removeprefix("network."): tensor for name, tensor in state.items()})
    network = network.eval().to(memory_format=torch.channels_last)
    transform = timm.data.create_transform(
        (3, 224, 224), interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3, crop_pct=0.875
    )
    rows: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    labels: dict[str, list[str]] = {"train": [], "test": []}
    for split in rows:
        paths = sorted((photos / split).glob("*/*.jpg"))
        labels[split] = [path.parent.name for path in paths]
        for start in range(0, len(paths), 32):
            batch = torch.stack([transform(Image.open(p).convert("RGB")) for p in paths[start : start + 32]])
            with torch.inference_mode():
                rows[split].append(network(batch.to(memory_format=torch.channels_last)).numpy())
    search = GridSearchCV(LogisticRegression(max_iter=200, tol=1e-3), {"C": [1e-3, 1e-2, 1e-1]}, cv=3)
    model = make_pipeline(StandardScaler(), search)
    model.fit(np.concatenate(rows["train"]), labels["train"])
    return float(np.mean(model.predict(np.concatenate(rows["test"])) == np.array(labels["test"])))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("threads")
def test_the_probe_is_as_good_as_an_independent_one(repository: Path, tmp_path: Path) -> None:
    photos = repository / "examples" / "clothing"
    run = fit(photos, source="efficientnet-lite0", method="probe", out=tmp_path / "run")
    ours, n = run.metrics["test"]["accuracy"], run.metrics["n"]["test"]
    theirs = independent_probe(photos)
    assert ours["low"] <= theirs <= ours["high"], f"ours {ours}, independent {theirs:.3f}"
    assert wilson(ours["value"] * n, n).low <= theirs
    assert run.metrics["verdict"]["transfer"] == "positive"
    assert run.metrics["baselines"]["no_transfer"]["accuracy"]["value"] < ours["low"]
