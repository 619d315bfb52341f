"""Finding and unpacking the files of a source, and reading Parquet files."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from tidemill.core.errors import TidemillError
from tidemill.core.unpacking import Bounded, most

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
BUFFER = 2**20
"""Bytes unpacked at once."""
MOST_COLUMNS = 2**14
"""Columns of a table; more come from rows taken for columns, or from names that are values."""
MOST_CELLS = 2**30
"""Cells of a Parquet file, all of which are in memory at once."""
LONGEST_LINE = 2**24
"""Characters of a line or cell; a longer one comes from another kind of file, or from a quote left open."""

Split = Literal["train", "valid", "test"]

UNPACKING_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def existing(path: str | Path) -> Path:
    """Return the path if something is there.

    Raises:
        TidemillError: nothing is.
    """
    if not Path(path).exists():
        raise TidemillError(
            f"{path} is missing: `tidemill fetch` downloads the sources of params.yaml, `dvc pull` a snapshot"
        )
    return Path(path)


def matching(path: Path, pattern: str) -> list[Path]:
    """Return the file itself, or the files of a folder that match a pattern, sorted by name; no hidden ones.

    Raises:
        TidemillError: the pattern is not valid, or no file matches it.
    """
    try:
        found = [path] if path.is_file() else sorted(entry for entry in path.glob(pattern) if entry.is_file())
    except (ValueError, NotImplementedError) as error:
        raise TidemillError(f"source.options: {pattern!r} is not a pattern of files inside {path}: {error}") from error
    files = [file for file in found if file == path or not _hidden(file.relative_to(path))]
    if not files:
        raise TidemillError(f"{path} holds no file that matches {pattern!r}: see source.options")
    return files


def split_files(path: Path, pattern: str, splits: Mapping[Split, str]) -> list[tuple[Path, str | None]]:
    """Return the files to read, each with the split that all its rows belong to, if any."""
    if not splits:
        return [(file, None) for file in matching(path, pattern)]
    return [(file, split) for split, pattern in splits.items() for file in matching(path, pattern)]


def place(file: Path, source: Path) -> str:
    """Return how messages name a file: its path inside the source."""
    return file.name if file == source else file.relative_to(source).as_posix()


def read_bytes(path: Path) -> bytes:
    """Read the whole content, unpacked if the name of the file says that it is packed."""
    with opened(path) as stream:
        return stream.read()


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open the content as a stream, unpacked if the name of the file says that it is packed.

    Raises:
        TidemillError: the file is empty, truncated or damaged, or unpacks to far more than its size.
    """
    if path.stat().st_size == 0:
        raise TidemillError(f"{path} is empty")
    try:
        with _unpacked(path) as stream:
            yield io.BufferedReader(Bounded(stream, path.stat().st_size), BUFFER) if is_packed(path) else stream
    except UNPACKING_ERRORS as error:
        raise TidemillError(f"{path} cannot be unpacked: {error}") from error


def parquet_rows(file: Path, source: Path, split: str | None) -> "pd.DataFrame":
    """Read the rows of a Parquet file, with `row` and, if given, `split`.

    Raises:
        TidemillError: the file is empty, damaged or no Parquet file, or has a cell longer than `LONGEST_LINE`.
    """
    table = _parquet_table(file)
    rows: pd.DataFrame = table.to_pandas(integer_object_nulls=True, ignore_metadata=True)
    coded = rows.select_dtypes("category").columns
    rows = rows.astype(dict.fromkeys(coded, object))
    places = [f"{place(file, source)}:{number}" for number in range(1, len(rows) + 1)]
    return rows.assign(row=places, **({"split": split} if split else {}))


def pieces(path: Path, size: int = 2**20) -> Iterator[bytes]:
    """Yield the unpacked content, `size` bytes at a time."""
    with opened(path) as stream:
        while piece := stream.read(size):
            yield piece


def check_columns(file: Path, count: int) -> None:
    """Refuse a table with too many columns.

    Raises:
        TidemillError: there are more than `MOST_COLUMNS`.
    """
    if count > MOST_COLUMNS:
        raise TidemillError(f"{file} has more than {MOST_COLUMNS:,} columns: are its rows the columns?")


def column_names(records: Iterable[Mapping[str, Any]], file: Path) -> list[str]:
    """Return the names in records, in the order of their first use.

    Raises:
        TidemillError: there are more than `MOST_COLUMNS`.
    """
    names: dict[str, None] = {}
    for record in records:
        names.update(dict.fromkeys(record))
        check_columns(file, len(names))
    return list(names)


def is_packed(path: Path) -> bool:
    """Whether the name of a file says that it is packed."""
    return path.suffix.lower() in PACKED


def plain_stem(path: Path) -> str:
    """Return the name without its endings: `pos` for `pos.txt.gz`."""
    return Path(unpacked_name(path)).stem


def unpacked_name(path: Path) -> str:
    """Return the name without the endings of packing: `pos.txt` for `pos.txt.gz`."""
    name = path.name
    while Path(name).suffix.lower() in PACKED:
        name = Path(name).stem
    return name


def _parquet_table(file: Path) -> "pa.Table":
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    try:
        opened_file = pyarrow.parquet.ParquetFile(file)
        _check_declared(file, opened_file.metadata)
        table = opened_file.read()
        table.validate(full=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise TidemillError(f"{file} is not a whole Parquet file: {error}") from error
    for name in table.column_names:
        column = table[name]
        longest = pyarrow.compute.max(pyarrow.compute.utf8_length(column)).as_py() if _is_text(column.type) else 0
        if (longest or 0) > LONGEST_LINE:
            raise TidemillError(f"{file}: column {name!r} has a cell of {longest:,} characters: shorten or remove it")
    return table


def _check_declared(file: Path, metadata: Any) -> None:
    """Refuse a Parquet file whose metadata declare more than memory holds, before any of it is read."""
    check_columns(file, metadata.num_columns)
    cells = metadata.num_rows * metadata.num_columns
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if cells > MOST_CELLS or size > most(file.stat().st_size):
        raise TidemillError(f"{file} declares {cells:,} cells of {size:,} bytes: split it, or leave columns out")


def _is_text(kind: Any) -> bool:
    import pyarrow.types

    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _unpacked(path: Path) -> Any:
    match path.suffix.lower():
        case ".gz":
            return gzip.open(path)
        case ".bz2":
            return bz2.open(path)
        case ".xz":
            return lzma.open(path)
        case ".zst":
            return _zstandard(path)
        case ".zip":
            return _only_member(path)
    return path.open("rb")


def _zstandard(path: Path) -> Any:
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")


def _only_member(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    members = [member for member in archive.namelist() if not member.endswith("/") and "__MACOSX" not in member]
    if len(members) != 1:
        raise TidemillError(
            f"{path} holds {len(members)} files, not one: unpack it, and name the folder as source.path"
        )
    try:
        return archive.open(members[0])
    except RuntimeError as error:  # raised for a password
        raise TidemillError(f"{path} cannot be unpacked: {error}") from error


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
