"""What the training benchmarks share: the packed rows of a shipped system, our training, and a plain loop beside it."""

import ctypes
import io
from collections.abc import Iterable
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from timing import ROOT

from tidemill.core.files import read_json
from tidemill.core.spec import Spec
from tidemill.tasks.common.learning import LearningPart
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Ragged, Shards
from tidemill.training import determinism
from tidemill.training.fit import fit
from tidemill.training.memory import M_MMAP_MAX, M_TRIM_THRESHOLD
from tidemill.training.params import Training

M_MMAP_THRESHOLD = -3
"""Of `mallopt(3)`."""


def packed(system: str) -> Path:
    """The packed rows that the pipeline made."""
    folder = ROOT / "artifacts" / system / "tokenize"
    if not (folder / "tokens.json").exists():
        raise SystemExit(f"{folder} is not there: `tidemill fetch` and `dvc repro tokenize@{system}` make it")
    return folder


def spec(system: str) -> Spec:
    found: Spec = read_json(packed(system) / "tokens.json")
    return found


def some(system: str, split: str, rows: int) -> MemoryShards:
    """Rows from all over a split, which may be sorted by label."""
    shards = Shards(packed(system) / split)
    chosen = np.linspace(0, len(shards) - 1, min(rows, len(shards))).astype(int)
    return MemoryShards(
        {
            name: [column[row] for row in chosen] if isinstance(column, Ragged) else column[chosen]
            for name, column in shards.columns.items()
        }
    )


class Padded(Batches):
    """The same rows in the same batches, each text filled up to a fixed length: only the padding differs."""

    length: int

    def cut(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        batch = super().cut(rows)
        missing = self.length - batch["tokens"].shape[1]
        return batch | {"tokens": torch.nn.functional.pad(batch["tokens"], (0, missing))}


def ours(
    network: torch.nn.Module, task: LearningPart, train: Batches, valid: Batches, params: Training
) -> torch.nn.Module:
    """The training of the train stage, with its checkpoints, curves and validation; its progress is not shown."""
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        determinism.apply(params)
        return fit(network, task, train, valid, params, Path(folder), lambda points: None).network


def as_torch_has_it(params: Training) -> None:
    """Undo what our training sets for the whole process, but for the number of threads."""
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(params.threads)
    _return_freed_memory()


def _return_freed_memory() -> None:
    """As glibc does by itself at its most patient: it has then seen tensors of 32 MiB come and go."""
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(M_MMAP_MAX, 65536)
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, 64 << 20)


def plain_loop(
    network: torch.nn.Module, task: LearningPart, batches: Iterable[Any], params: Training
) -> torch.nn.Module:
    """The least that trains: no validation, no checkpoint, no curve, not even a printed loss."""
    as_torch_has_it(params)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[params.optimizer]
    optimizer = kind(network.parameters(), params.lr, weight_decay=params.weight_decay)
    network.train()
    for batch in batches:
        optimizer.zero_grad()
        task.step(network, batch, 0.0)[0].backward()
        optimizer.step()
    return network


@torch.inference_mode()
def held_out_loss(network: torch.nn.Module, task: LearningPart, valid: Batches) -> float:
    """Mean over the batches, in float32."""
    torch.set_float32_matmul_precision("highest")
    network.eval()
    return float(np.mean([float(task.step(network, batch, 0.0)[0]) for batch in islice(valid, len(valid))]))
