"""Batches cut straight from packed shards, with no work per row in Python."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tidemill.tokens.shards import MemoryShards, Ragged, Shards

BUCKET_BATCHES = 50
"""Batches whose rows are sorted by length together: enough for little padding, few enough to stay shuffled."""


class Batches:
    """The batches of a table, one epoch after another, in an order that depends on the seed and the epoch.

    Iterating yields the batches of one epoch as tensors by column; a ragged column becomes a padded one (B, T) and
    `<column>_length` (B,). The state is two numbers, so an epoch can be resumed at any batch.

    Args:
        size: rows of a batch.
        bucket: the ragged column by whose length rows share a batch.
    """

    def __init__(
        self,
        shards: Shards | MemoryShards,
        size: int,
        shuffle: bool = False,
        seed: int = 0,
        bucket: str | None = None,
    ) -> None:
        self.shards, self.size, self.shuffle, self.seed = shards, size, shuffle, seed
        self._lengths = None if bucket is None else _ragged(shards, bucket).lengths
        self.epoch = self.position = 0

    def __len__(self) -> int:
        return -(-len(self.shards) // self.size)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        if self.position == len(self):
            self.epoch, self.position = self.epoch + 1, 0
        for rows in self.plan()[self.position :]:
            self.position += 1
            yield self.cut(rows)

    def plan(self) -> list[np.ndarray]:
        """Return the row numbers of each batch of the current epoch."""
        order = np.arange(len(self.shards))
        if not self.shuffle:
            return self._slices(order)
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(order)
        if self._lengths is None:
            return self._slices(order)
        window = self.size * BUCKET_BATCHES
        windows = [order[start : start + window] for start in range(0, len(order), window)]
        batches = [
            rows for part in windows for rows in self._slices(part[np.argsort(self._lengths[part], kind="stable")])
        ]
        return [batches[number] for number in generator.permutation(len(batches))]

    def cut(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return the batch of some rows, by their numbers (B,)."""
        batch: dict[str, torch.Tensor] = {}
        for name, column in self.shards.columns.items():
            if isinstance(column, Ragged):
                values, lengths = column.padded(rows)
                batch[f"{name}_length"] = torch.from_numpy(lengths)
            else:
                values = column[rows]
            batch[name] = torch.from_numpy(_widened(values))
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, and the batches of it that have been iterated."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state: the next batch is the one after those already iterated."""
        self.epoch, self.position = state["epoch"], state["position"]

    def _slices(self, order: np.ndarray) -> list[np.ndarray]:
        return [order[start : start + self.size] for start in range(0, len(order), self.size)]


def _ragged(shards: Shards | MemoryShards, name: str) -> Ragged:
    column = shards.columns[name]
    assert isinstance(column, Ragged), f"column {name} has no lengths to bucket by"
    return column


def _widened(values: np.ndarray) -> np.ndarray:
    """Return token ids and labels as int64, which torch indexes by; pixels stay bytes until they are on the device."""
    wide = values.dtype.kind in "iu" and values.dtype != np.uint8
    return values.astype(np.int64, copy=False) if wide else values
