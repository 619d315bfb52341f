"""The fingerprint of a training: one hash of all that it reads, so that only the same training resumes a checkpoint."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

import tidemill
from tidemill.core.files import sha256_file
from tidemill.core.spec import Spec


def fingerprint(task: str, model: str, params: dict[str, Any], spec: Spec) -> str:
    """Hash the params, the spec (which holds the hash of the shards), the code and torch's version.

    Args:
        task: name of the task.
        model: name of the model.
    """
    documents = [json.dumps({"task": task, **params}, sort_keys=True), json.dumps(spec, sort_keys=True)]
    return sha256("\n".join([*documents, torch.__version__, *code(task, model)]).encode()).hexdigest()


def code(task: str, model: str) -> list[str]:
    """Name and hash of every module that the weights may depend on."""
    house = Path(tidemill.__file__).parent
    return [f"{file.relative_to(house)} {sha256_file(file)}" for file in _modules(house, task, model)]


def _modules(house: Path, task: str, model: str) -> Iterator[Path]:
    for room in ("core", "tokens", "training", "models/common", f"models/{model}"):
        yield from sorted((house / room).rglob("*.py"))
    for part in ("common", task):
        yield house / "tasks" / part / "learning.py"
