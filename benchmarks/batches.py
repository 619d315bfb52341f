"""Batches of a language model from packed shards, beside random crops of a memmap and a DataLoader of items.

    python benchmarks/batches.py --rounds 5

The ways take turns on the same 20 million tokens; each gives (rows, length + 1) int64 tokens. A batch of ours is compared
with the windows it stands for.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from timing import show
from torch.utils.data import DataLoader, Dataset

from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import Shards, ShardWriter, windows

TOKENS, ROWS, LENGTH = 20_000_000, 64, 256


def main() -> None:
    """Print microseconds a batch, and ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=500)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {ROWS} rows of {LENGTH} tokens, microseconds a batch")
    with TemporaryDirectory() as folder:
        path = packed(Path(folder))
        ways = {"tidemill": tidemill(path), "random crops": crops(path), "DataLoader": loader(path)}
        check(path)
        found = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, batches in ways.items():
                start = time.perf_counter()
                for batch in islice(batches, arguments.batches):
                    assert batch.shape == (ROWS, LENGTH + 1)
                found[name].append((time.perf_counter() - start) / arguments.batches * 1e6)
    for name, values in found.items():
        show(name, values)
        print(f"{'':36} {median(values) / median(found['tidemill']):.1f} times tidemill")


def packed(folder: Path) -> Path:
    """Shards of drawn tokens: what they say makes no difference here."""
    tokens = np.random.default_rng(0).integers(0, 50257, TOKENS).astype(np.uint16)
    with ShardWriter(folder) as writer:
        writer.append({"tokens": np.split(tokens, 1000)})
    return folder


def of(path: Path) -> Batches:
    return Batches(windows(Shards(path), "tokens", LENGTH + 1), ROWS, shuffle=True)


def check(path: Path) -> None:
    """A batch of ours is the windows of its rows."""
    batches, tokens = of(path), Shards(path)["tokens"].values
    rows = batches.plan()[0]
    expected = np.stack([tokens[row * LENGTH : row * LENGTH + LENGTH + 1] for row in rows])
    assert np.array_equal(next(iter(batches))["tokens"].numpy(), expected)


def tidemill(path: Path) -> Iterator[torch.Tensor]:
    batches = of(path)
    while True:
        for batch in batches:
            if len(batch["tokens"]) == ROWS:
                yield batch["tokens"]


def crops(path: Path) -> Iterator[torch.Tensor]:
    """As small GPT training scripts do it: a place drawn for each row, its tokens copied, the rows stacked."""
    while True:
        tokens = np.memmap(path / "tokens.bin", np.uint16, "r")
        places = torch.randint(len(tokens) - LENGTH, (ROWS,))
        yield torch.stack(
            [torch.from_numpy(tokens[place : place + LENGTH + 1].astype(np.int64)) for place in places.tolist()]
        )


class Items(Dataset):
    """A window an item."""

    def __init__(self, path: Path) -> None:
        self.tokens = np.memmap(path / "tokens.bin", np.uint16, "r")

    def __len__(self) -> int:
        return (len(self.tokens) - 1) // LENGTH

    def __getitem__(self, row: int) -> torch.Tensor:
        return torch.from_numpy(self.tokens[row * LENGTH : row * LENGTH + LENGTH + 1].astype(np.int64))


def loader(path: Path) -> Iterator[torch.Tensor]:
    while True:
        yield from DataLoader(Items(path), ROWS, shuffle=True, drop_last=True)


if __name__ == "__main__":
    main()
