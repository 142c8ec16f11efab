"""A finished run, as the Python API hands it over."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.core.errors import ArtifactError
from headstart.recipes.folder import is_complete

BASELINE_NAMES = {"random_network": "random network", "probe": "frozen probe", "scratch": "from scratch"}


@dataclass(frozen=True)
class Run:
    """A run folder whose run is finished. Raises ArtifactError on first use where it is not."""

    path: Path

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """`metrics.json`."""
        if not is_complete(self.path):
            raise ArtifactError(f"{self.path} holds no finished run. Go on with `headstart resume {self.path}`.")
        found: dict[str, Any] = json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))
        return found

    def predict(self, inputs: Any) -> list[Any]:
        """As `headstart.predict(run.path, inputs)`."""
        from headstart.recipes.predict import predict

        return predict(self.path, inputs)

    def evaluate(self, data: Any, **options: Any) -> Any:
        """As `headstart.evaluate(run.path, data)`."""
        from headstart.recipes.evaluate import evaluate

        return evaluate(self.path, data, **options)

    def summary(self) -> str:
        """What a person wants to know first, a few lines."""
        return "\n".join(_lines(self.metrics, self))


def _lines(metrics: dict[str, Any], run: Run) -> Iterable[str]:
    n = metrics["n"]
    primary = metrics["primary"]
    best = metrics["test"][primary]
    name = primary.replace("_", " ")
    items = f"{n['train']} training, {n['validation']} validation, {n['test']} test items"
    yield f"{metrics['method']} on {metrics['source']}: {items}"
    yield f"test {name}  {best['value']:.3f}  (95 % interval {best['low']:.3f} to {best['high']:.3f})"
    for label, row in metrics["baselines"].items():
        if primary in row and label != "no_transfer":  # which is the better of the others
            yield f"  {BASELINE_NAMES.get(label, label)}  {row[primary]['value']:.3f}"
    if metrics["verdict"]:
        yield f"verdict: {metrics['verdict']['transfer']}. {metrics['verdict']['words']}"
    probe = metrics["verdicts"].get("probe")
    if probe and metrics["method"] != "probe":
        yield f"{metrics['method']} over the frozen probe: {probe['words']}"
    yield f"report: {run.report}"
    yield f"model:  {run.model}"
