"""Batches: every row once an epoch, another order each epoch, and the same order after a stop at any batch."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch

from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards


@pytest.fixture
def shards() -> MemoryShards:
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 40, 1000)
    return MemoryShards(
        {
            "tokens": [np.full(length, row % 60000, np.uint16) for row, length in enumerate(lengths)],
            "labels": np.arange(1000, dtype=np.int32),
        }
    )


def rows(batches: Batches) -> list[list[int]]:
    return [batch["labels"].tolist() for batch in batches]


@pytest.mark.parametrize("bucket", [None, "tokens"])
def test_every_row_comes_once_an_epoch_in_another_order_each_time(shards: MemoryShards, bucket: str | None) -> None:
    batches = Batches(shards, 16, shuffle=True, seed=3, bucket=bucket)
    first, second = rows(batches), rows(batches)
    assert len(first) == len(batches) == 63
    assert Counter(chain(*first)) == Counter(chain(*second)) == Counter(range(1000))
    assert first != second
    assert first == rows(Batches(shards, 16, shuffle=True, seed=3, bucket=bucket))
    assert first != rows(Batches(shards, 16, shuffle=True, seed=4, bucket=bucket))


def test_without_shuffling_the_order_is_that_of_the_table(shards: MemoryShards) -> None:
    assert list(chain(*rows(Batches(shards, 16)))) == list(range(1000))


@pytest.mark.parametrize("stop", [1, 17, 62, 63, 64, 100, 126])
def test_it_goes_on_after_any_batch(shards: MemoryShards, stop: int) -> None:
    def stream(batches: Batches, count: int) -> list[list[int]]:
        found: list[list[int]] = []
        while len(found) < count:
            for batch in batches:
                found.append(batch["labels"].tolist())
                if len(found) == count:
                    break
        return found

    whole = Batches(shards, 16, shuffle=True, seed=1, bucket="tokens")
    expected = stream(whole, 189)
    before = Batches(shards, 16, shuffle=True, seed=1, bucket="tokens")
    begun = stream(before, stop)
    after = Batches(shards, 16, shuffle=True, seed=1, bucket="tokens")
    after.load_state_dict(before.state_dict())
    assert begun + stream(after, 189 - stop) == expected


def test_buckets_leave_little_padding(shards: MemoryShards) -> None:
    def padding(bucket: str | None) -> float:
        batches = list(Batches(shards, 16, shuffle=True, bucket=bucket))
        cells = sum(batch["tokens"].numel() for batch in batches)
        return 1 - sum(int(batch["tokens_length"].sum()) for batch in batches) / cells

    assert padding("tokens") < 0.05 < 0.3 < padding(None)


def test_tokens_come_as_what_torch_indexes_by_and_pixels_as_bytes() -> None:
    shards = MemoryShards({"tokens": [np.array([1, 2], np.uint16)], "pixels": np.zeros((1, 2, 2, 1), np.uint8)})
    (batch,) = Batches(shards, 4)
    assert batch["tokens"].dtype == torch.int64
    assert batch["pixels"].dtype == torch.uint8
