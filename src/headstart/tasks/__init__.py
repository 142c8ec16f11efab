"""Tasks: what the head predicts, how it is trained, decoded and judged. One file a task, for every modality."""

from __future__ import annotations

from typing import Any

from headstart.core.registry import Registry
from headstart.core.task import Task

TASKS: Registry[type[Task]] = Registry(
    "task",
    {
        "classification": "headstart.tasks.classification:Classification",
        "multilabel": "headstart.tasks.multilabel:MultiLabel",
        "question-answering": "headstart.tasks.question_answering:QuestionAnswering",
        "regression": "headstart.tasks.regression:Regression",
        "token-classification": "headstart.tasks.token_classification:TokenClassification",
    },
    group="headstart.tasks",
)
"""What is predicted -> the class that does it. The modality of the input is a field of the task, not of the key."""


def from_json(data: dict[str, Any]) -> Task:
    """Make again the task whose `to_json` gave `data`; `data["name"]` is "<modality>-<key of TASKS>".

    Raises ConfigError for a name that nobody registered, or fields that are missing or wrong.
    """
    from headstart.core.errors import ConfigError

    name = data.get("name")
    if not isinstance(name, str) or "-" not in name:
        raise ConfigError(f"a task's \"name\" should read like 'image-classification', but it is {name!r}.")
    kind = TASKS[name.partition("-")[2]]
    try:
        task: Task = kind.from_json(data)  # type: ignore[attr-defined]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"the description of task {name!r} is damaged or incomplete: {error!r}.") from error
    return task
