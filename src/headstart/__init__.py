"""headstart: transfer learning as one system.

The names below are the public Python API, the verbs of the command line. Each is imported when it is first used, so
that `import headstart` costs next to nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.artifacts.load import LoadedEnsemble, LoadedModel
    from headstart.artifacts.load import load_model as load
    from headstart.core.config import TrainConfig
    from headstart.core.errors import HeadstartError, UserError
    from headstart.core.method import Method
    from headstart.core.source import Source
    from headstart.core.task import Task
    from headstart.data.dataset import Dataset, Item
    from headstart.recipes.compare import compare
    from headstart.recipes.doctor import doctor
    from headstart.recipes.ensemble import ensemble
    from headstart.recipes.evaluate import evaluate
    from headstart.recipes.explain import explain
    from headstart.recipes.fit import fit, resume
    from headstart.recipes.predict import Prediction, predict
    from headstart.recipes.pretrain import PretrainedRun, pretrain
    from headstart.recipes.rank import Ranking, rank
    from headstart.recipes.run import Run
    from headstart.recipes.sources import install_sources, list_sources
    from headstart.recipes.tune import tune
    from headstart.recipes.tuning.result import Study

__version__ = "0.1.0"

# Threads of torch that wait for each other do so by spinning, which on a machine with other work to do costs a third of
# the time of everything; a short spin costs nothing. It must be said before torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_HOMES = {
    "Dataset": "headstart.data.dataset:Dataset",
    "HeadstartError": "headstart.core.errors:HeadstartError",
    "Item": "headstart.data.dataset:Item",
    "LoadedEnsemble": "headstart.artifacts.load:LoadedEnsemble",
    "LoadedModel": "headstart.artifacts.load:LoadedModel",
    "Method": "headstart.core.method:Method",
    "Prediction": "headstart.recipes.predict:Prediction",
    "PretrainedRun": "headstart.recipes.pretrain:PretrainedRun",
    "Ranking": "headstart.recipes.rank:Ranking",
    "Run": "headstart.recipes.run:Run",
    "Source": "headstart.core.source:Source",
    "Study": "headstart.recipes.tuning.result:Study",
    "Task": "headstart.core.task:Task",
    "TrainConfig": "headstart.core.config:TrainConfig",
    "UserError": "headstart.core.errors:UserError",
    "compare": "headstart.recipes.compare:compare",
    "doctor": "headstart.recipes.doctor:doctor",
    "ensemble": "headstart.recipes.ensemble:ensemble",
    "evaluate": "headstart.recipes.evaluate:evaluate",
    "explain": "headstart.recipes.explain:explain",
    "fit": "headstart.recipes.fit:fit",
    "install_sources": "headstart.recipes.sources:install_sources",
    "list_sources": "headstart.recipes.sources:list_sources",
    "load": "headstart.artifacts.load:load_model",
    "predict": "headstart.recipes.predict:predict",
    "pretrain": "headstart.recipes.pretrain:pretrain",
    "rank": "headstart.recipes.rank:rank",
    "resume": "headstart.recipes.fit:resume",
    "tune": "headstart.recipes.tune:tune",
}

__all__ = [
    "Dataset",
    "HeadstartError",
    "Item",
    "LoadedEnsemble",
    "LoadedModel",
    "Method",
    "Prediction",
    "PretrainedRun",
    "Ranking",
    "Run",
    "Source",
    "Study",
    "Task",
    "TrainConfig",
    "UserError",
    "__version__",
    "compare",
    "doctor",
    "ensemble",
    "evaluate",
    "explain",
    "fit",
    "install_sources",
    "list_sources",
    "load",
    "predict",
    "pretrain",
    "rank",
    "resume",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}. It has: {', '.join(__all__)}")
    module, _, attribute = _HOMES[name].partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        from headstart.core.extras import explained

        raise explained(error, f"headstart.{name}") or error from None
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
