"""Packed shards: a table of numbers as flat, memory-mapped arrays, a file a column, whatever its size.

A folder holds `index.json` (rows; of each column its dtype, number of values, shape of a value and its files' sha256)
and `<column>.bin`. A column whose values differ in length also has `<column>.offsets.bin`: `rows + 1` int64 numbers,
value i standing at `[offsets[i], offsets[i + 1])`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, write_json


@dataclass(frozen=True)
class Ragged:
    """Values of differing lengths in one flat array."""

    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of each value (B,)."""
        return np.diff(self.offsets)

    def padded(self, rows: np.ndarray, fill: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return some values as one array (B, T), short ones padded at the end, and their lengths (B,)."""
        lengths = self.lengths[rows]
        place = np.arange(lengths.max(initial=0))
        inside = place < lengths[:, None]
        block = np.full(inside.shape, fill, self.values.dtype)
        block[inside] = self.values[(self.offsets[rows][:, None] + place)[inside]]
        return block, lengths


Column = np.ndarray | list[np.ndarray] | Ragged
"""Values of one shape as an array (B, …), or ragged ones as arrays (T,) in a list or in one flat array."""


class ShardWriter:
    """Appends rows, block by block; memory holds one block. Use as a context manager: `index.json` comes last."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._columns: dict[str, _ColumnWriter] = {}
        self.rows = 0

    def append(self, block: Mapping[str, Column]) -> None:
        """Append the rows of a block, which has the same columns each time."""
        (rows,) = {len(column) for column in block.values()}
        for name, column in block.items():
            if name not in self._columns:
                self._columns[name] = _ColumnWriter(self._folder / name, column)
            self._columns[name].append(column)
        self.rows += rows

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        headers = {name: column.close() for name, column in self._columns.items()}
        if kind is None:
            write_json(self._folder / "index.json", {"rows": self.rows, "columns": headers})


class _ColumnWriter:
    def __init__(self, path: Path, first: Column) -> None:
        self._ragged = not isinstance(first, np.ndarray)
        sample = _flat(_packed(first))
        self._dtype, self._shape = sample.dtype, list(sample.shape[1:])
        self._values, self._count = _HashedFile(path.with_name(f"{path.name}.bin")), 0
        self._offsets: _HashedFile | None = None
        if self._ragged:
            self._offsets = _HashedFile(path.with_name(f"{path.name}.offsets.bin"))
            self._offsets.write(np.zeros(1, np.int64))

    def append(self, column: Column) -> None:
        packed = _packed(column)
        if isinstance(packed, Ragged) and self._offsets is not None:
            self._offsets.write(packed.offsets[1:] + self._count)
        values = _flat(packed).astype(self._dtype, casting="safe", copy=False)
        self._values.write(values)
        self._count += values.size

    def close(self) -> dict[str, Any]:
        header = {"dtype": self._dtype.name, "values": self._count, "shape": self._shape, "ragged": self._ragged}
        hashes = {"sha256": self._values.close()}
        if self._offsets is not None:
            hashes["offsets_sha256"] = self._offsets.close()
        return header | hashes


class _HashedFile:
    def __init__(self, path: Path) -> None:
        self._file, self._hash = path.open("wb"), sha256()

    def write(self, values: np.ndarray) -> None:
        content = np.ascontiguousarray(values).data
        self._file.write(content)
        self._hash.update(content)

    def close(self) -> str:
        self._file.close()
        return self._hash.hexdigest()


class MemoryShards:
    """Columns in memory that are never written, e.g. those of a request."""

    def __init__(self, block: Mapping[str, Column]) -> None:
        self.columns: dict[str, np.ndarray | Ragged] = {name: _packed(column) for name, column in block.items()}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def _packed(column: Column) -> np.ndarray | Ragged:
    if not isinstance(column, list):
        return column
    return Ragged(np.concatenate(column), np.cumsum([0, *map(len, column)], dtype=np.int64))


def _flat(column: np.ndarray | Ragged) -> np.ndarray:
    return column.values if isinstance(column, Ragged) else column


class Shards:
    """A folder of packed columns, mapped into memory: nothing is read before it is used."""

    def __init__(self, folder: Path) -> None:
        try:
            index = read_json(folder / "index.json")
        except (FileNotFoundError, json.JSONDecodeError) as error:
            raise TidemillError(f"{folder} holds no finished shards: run the tokenize stage again") from error
        self.folder = folder
        self.rows: int = index["rows"]
        self.headers: dict[str, dict[str, Any]] = index["columns"]
        self.columns: dict[str, np.ndarray | Ragged] = {name: self._open(name) for name in self.headers}

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, name: str) -> np.ndarray | Ragged:
        return self.columns[name]

    @property
    def sha256(self) -> str:
        """The hash of the content of all columns."""
        return sha256(json.dumps(self.headers, sort_keys=True).encode()).hexdigest()

    def _open(self, name: str) -> np.ndarray | Ragged:
        header = self.headers[name]
        values = self._map(f"{name}.bin", header["dtype"], header["values"])
        if header["ragged"]:
            return Ragged(values, self._map(f"{name}.offsets.bin", "int64", self.rows + 1))
        return values.reshape(self.rows, *header["shape"])

    def _map(self, file: str, dtype: str, values: int) -> np.ndarray:
        path, size = self.folder / file, values * np.dtype(dtype).itemsize
        if not path.exists() or path.stat().st_size != size:
            raise TidemillError(f"{path} is truncated, it should hold {size} bytes: run the tokenize stage again")
        return np.memmap(path, dtype=dtype, mode="r") if size else np.empty(0, dtype)


def windows(shards: Shards, columns: Sequence[str], length: int) -> MemoryShards:
    """Return the values of ragged columns, end to end, as rows of `length` values; a remainder at the end is dropped.

    Neighbours share one value: the last value of a row is only a target, and is the first input of the next row.

    Raises:
        TidemillError: there are fewer values than one row has.
    """
    first = _flat(shards[columns[0]])
    if len(first) < length:
        raise TidemillError(
            f"{shards.folder} holds {len(first)} {columns[0]}, fewer than one window of {length}: "
            "lower tokenize.length, or bring more text"
        )
    values = {name: _flat(shards[name]) for name in columns if name in shards.columns}
    cut = np.lib.stride_tricks.sliding_window_view
    return MemoryShards({name: cut(value, length)[:: length - 1] for name, value in values.items()})
