"""One hash for all that a training reads, so that a checkpoint is only ever gone on with by the same training."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

import tidemill
from tidemill.files import sha256_file

ROOMS = ("config.py", "tokens", "tasks", "models", "training")


def training_key(params: dict[str, Any], spec: dict[str, Any]) -> str:
    """Hash of the params, the spec (which names the hash of the shards), the code and torch's version."""
    parts = [json.dumps(params, sort_keys=True), json.dumps(spec, sort_keys=True), torch.__version__, *code()]
    return sha256("\n".join(parts).encode()).hexdigest()


def code() -> list[str]:
    """Name and hash of every module that the weights may depend on."""
    house = Path(tidemill.__file__).parent
    files = [file for room in ROOMS for file in sorted([house / room, *(house / room).rglob("*.py")]) if file.is_file()]
    return [f"{file.relative_to(house)} {sha256_file(file)}" for file in files]
