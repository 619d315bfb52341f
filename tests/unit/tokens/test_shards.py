"""Packed shards give back what was written, and say so when they were cut short."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import Ragged, Shards, ShardWriter, windows

ROWS = st.lists(st.lists(st.integers(0, 65535), max_size=9), min_size=1, max_size=20)


def write(folder: Path, rows: list[list[int]], block: int = 7) -> Shards:
    with ShardWriter(folder) as writer:
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            writer.append(
                {"tokens": [np.array(row, np.uint16) for row in part], "labels": np.arange(len(part), dtype=np.int32)}
            )
    return Shards(folder)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_rows_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, rows: list[list[int]]) -> None:
    shards = write(tmp_path_factory.mktemp("shards"), rows)
    tokens = shards["tokens"]
    assert isinstance(tokens, Ragged)
    assert [tokens[row].tolist() for row in range(len(shards))] == rows
    assert tokens.values.dtype == np.uint16


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data())
def test_padding_fills_up_at_the_end(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[int]], data: st.DataObject
) -> None:
    tokens = write(tmp_path_factory.mktemp("shards"), rows)["tokens"]
    assert isinstance(tokens, Ragged)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1))
    block, lengths = tokens.padded(np.array(chosen), fill=7)
    longest = max(len(rows[row]) for row in chosen)
    assert block.tolist() == [rows[row] + [7] * (longest - len(rows[row])) for row in chosen]
    assert lengths.tolist() == [len(rows[row]) for row in chosen]


def test_the_hash_follows_the_content_and_not_the_blocks_it_came_in(tmp_path: Path) -> None:
    rows = [[1, 2], [3], [4, 5, 6]]
    labels = np.array([0, 1, 1], np.int32)
    hashes = []
    for name, content in (("one", labels), ("same", labels), ("other", labels[::-1].copy())):
        with ShardWriter(tmp_path / name) as writer:
            writer.append({"tokens": [np.array(row, np.uint16) for row in rows], "labels": content})
        hashes.append(Shards(tmp_path / name).sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_hashes_are_those_of_the_files_whatever_the_blocks(tmp_path: Path) -> None:
    rows = [[1, 2], [], [3], [4, 5, 6]]
    whole, parts = (write(tmp_path / name, rows, block) for name, block in (("whole", 4), ("parts", 2)))
    assert whole.headers["tokens"] == parts.headers["tokens"]
    assert whole.headers["tokens"]["sha256"] == sha256_file(tmp_path / "parts/tokens.bin")
    assert whole.headers["tokens"]["offsets_sha256"] == sha256_file(tmp_path / "parts/tokens.offsets.bin")


def test_a_shard_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x", [[1, 2, 3]])
    file = tmp_path / "x/tokens.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TidemillError, match=r"tokens\.bin is truncated"):
        Shards(tmp_path / "x")


def test_a_writer_that_failed_leaves_no_index(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ShardWriter(tmp_path / "x") as writer:
        writer.append({"labels": np.zeros(3, np.int32)})
        raise RuntimeError
    with pytest.raises(TidemillError, match="no finished shards"):
        Shards(tmp_path / "x")


def test_memory_stays_flat_however_much_is_written(tmp_path: Path) -> None:
    block = {"pixels": np.zeros((64, 32, 32, 3), np.uint8)}

    def peak(blocks: int) -> int:
        tracemalloc.start()
        with ShardWriter(tmp_path / str(blocks)) as writer:
            for _ in range(blocks):
                writer.append(block)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(2)
    assert peak(40) < 1.5 * peak(4)


def test_windows_stand_end_to_end_and_share_one_value(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append({"tokens": [np.arange(7, dtype=np.uint16), np.arange(7, 18, dtype=np.uint16)]})
    cut = windows(Shards(tmp_path), ["tokens"], 5)
    assert cut.columns["tokens"].tolist() == [
        [0, 1, 2, 3, 4],
        [4, 5, 6, 7, 8],
        [8, 9, 10, 11, 12],
        [12, 13, 14, 15, 16],
    ]
    (batch,) = Batches(cut, 4)
    assert batch["tokens"].tolist() == cut.columns["tokens"].tolist()


def test_too_few_values_for_a_window_are_told(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append({"tokens": [np.arange(4, dtype=np.uint16)]})
    with pytest.raises(TidemillError, match=r"holds 4 tokens, fewer than one window of 5"):
        windows(Shards(tmp_path), ["tokens"], 5)


def test_flat_ragged_values_are_written_as_a_list_of_them_is(tmp_path: Path) -> None:
    values = [np.arange(3, dtype=np.uint16), np.arange(0, dtype=np.uint16), np.arange(2, dtype=np.uint16)]
    flat = Ragged(np.concatenate(values), np.array([0, 3, 3, 5]))
    for name, column in {"list": values, "flat": flat}.items():
        with ShardWriter(tmp_path / name) as writer:
            writer.append({"tokens": column})
            writer.append({"tokens": column})
    assert Shards(tmp_path / "list").sha256 == Shards(tmp_path / "flat").sha256
    tokens = Shards(tmp_path / "flat")["tokens"]
    assert [tokens[row].tolist() for row in range(6)] == [value.tolist() for value in values * 2]
