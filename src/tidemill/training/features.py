"""Features of a frozen base: computed once, kept as shards, and read in every epoch instead of what they are made of."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn

from tidemill.config import Training
from tidemill.errors import TidemillError
from tidemill.files import finished_folder
from tidemill.tasks import Task
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards, ShardWriter
from tidemill.training import determinism
from tidemill.training.key import code

Rows = dict[str, Shards | MemoryShards]
"""Packed rows by split."""
BATCH = 32
"""Rows that go through the base at once: more do not fit a CPU's cache."""


def frozen_base(network: nn.Module) -> nn.Module | None:
    """The network's base, if it has one of which nothing is trained, so that its features never change."""
    base = getattr(network, "base", None)
    trained = base is None or any(weight.requires_grad for weight in base.parameters())
    return None if trained else base


def computed(base: nn.Module, task: Task, params: Training, rows: Rows, spec: dict[str, Any], folder: Path) -> Rows:
    """The rows of each split with the base's features in place of its input.

    They stand in `folder` by the hash of the base's weights, of the spec (which names those of the rows) and of the
    code; those of another base or of other rows are removed.

    Raises:
        TidemillError: what the base sees is to change from epoch to epoch.
    """
    if params.augment is not None:
        raise TidemillError(
            "training.augment changes what the base sees in every epoch, but the features of a frozen base are computed "
            "once: set model.unfreeze to 1 or more, or augment to null"
        )
    place = folder / _key(base, spec)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # trials of a sweep train at the same time
        if not place.exists():
            print("computes the features of the frozen base, once", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            base.to(determinism.device(params)).eval()
            with finished_folder(folder) as partial:
                for split, table in rows.items():
                    _write(base, task, table, partial / place.name / split)
            base.cpu()
    return {split: Shards(place / split) for split in rows}


def _write(base: nn.Module, task: Task, rows: Shards | MemoryShards, folder: Path) -> None:
    device = next(base.parameters()).device
    with ShardWriter(folder) as writer, torch.inference_mode():
        for batch in Batches(rows, BATCH):
            features = task.features(base, {name: value.to(device) for name, value in batch.items()})
            writer.append({"features": features.float().cpu().numpy(), "labels": batch["labels"].int().numpy()})


def _key(base: nn.Module, spec: dict[str, Any]) -> str:
    hashed = sha256("\n".join([torch.__version__, *code(), json.dumps(spec, sort_keys=True)]).encode())
    for name, value in base.state_dict().items():
        hashed.update(name.encode())
        hashed.update(value.detach().cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()
