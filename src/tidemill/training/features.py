"""Features of a frozen base: computed once, cached as shards, and read in every epoch instead of its input."""

import json
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import nn

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder
from tidemill.core.spec import Spec
from tidemill.tasks.common.learning import LearningPart
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards, ShardWriter
from tidemill.training import determinism
from tidemill.training.params import Training

Rows = dict[str, Shards | MemoryShards]
"""Packed rows by split."""
BATCH = 16
"""Rows that go through the base at once: more do not fit a CPU's cache."""


def frozen_base(network: nn.Module) -> nn.Module | None:
    """Return the network's `base` if it has one and none of its weights is trained, so that its features never change."""
    base = dict(network.named_children()).get("base")
    trained = base is None or any(weight.requires_grad for weight in base.parameters())
    return None if trained else base


def computed(
    base: nn.Module, task: LearningPart, params: Training, rows: Rows, spec: Spec, code: Sequence[str], cache: Path
) -> Rows:
    """Return the rows of each split with the features of the base in place of its input.

    They are cached in `cache` under the hash of the base's weights, of the spec (which holds the hashes of the rows)
    and of the code; what was cached for another base or other rows is removed.

    Args:
        code: name and hash of each module that the features may depend on.

    Raises:
        TidemillError: the input of the base is to change from epoch to epoch.
    """
    if params.augment is not None:
        raise TidemillError(
            "training.augment changes the input of the base in every epoch, but the features of a frozen base are "
            "computed once: set model.unfreeze to 1 or more, or augment to null"
        )
    folder = cache / _fingerprint(base, spec, code)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_suffix(".lock")):  # trials of a sweep train at the same time
        if not folder.exists():
            print("computing the features of the frozen base, once", flush=True)
            shutil.rmtree(cache, ignore_errors=True)
            base.to(determinism.device(params)).eval()
            with finished_folder(cache) as partial:
                for split, table in rows.items():
                    _write(base, task, table, partial / folder.name / split)
            base.cpu()
    return {split: Shards(folder / split) for split in rows}


def _write(base: nn.Module, task: LearningPart, rows: Shards | MemoryShards, folder: Path) -> None:
    if task.features is None:
        raise TidemillError("this task cannot use the features of a frozen base: set model.unfreeze to 1 or more")
    device = next(base.parameters()).device
    with ShardWriter(folder) as writer, torch.inference_mode():
        for batch in Batches(rows, BATCH):
            features = task.features(base, {name: value.to(device) for name, value in batch.items()})
            writer.append({"features": features.float().cpu().numpy(), **_targets(batch)})


def _targets(batch: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {"target": batch["target"].numpy()} if "target" in batch else {"labels": batch["labels"].int().numpy()}


def _fingerprint(base: nn.Module, spec: Spec, code: Sequence[str]) -> str:
    hashed = sha256("\n".join([torch.__version__, *code, json.dumps(spec, sort_keys=True)]).encode())
    for name, value in base.state_dict().items():
        hashed.update(name.encode())
        hashed.update(value.detach().cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()
