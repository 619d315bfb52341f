"""Inputs of any size, read a chunk of rows at a time, and written again with predictions. One class for each layout.

A chunk becomes a part: a file of its own that is there whole or not at all. Parts joined in their order are the output.
"""

import csv as csv_module
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.formats import csv, jsonl, pictures
from tidemill.formats.common import files
from tidemill.serving.predictions import records

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet computes instead of showing it."""
ADDED = ("prediction", "confidence", "version", "reason")
"""Columns added to each row: `reason` says why a row has no prediction."""


@dataclass(frozen=True)
class Chunk:
    """Some rows in the order of the input."""

    rows: pd.DataFrame
    """Their columns."""
    reasons: "list[str | None]"
    """Why a row cannot be read."""
    original: Any
    """The rows as the layout itself has them."""


class Layout(Protocol):
    """How rows lie in files."""

    ending: str

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield all rows, the same ones in the same chunks each time."""

    def total(self) -> int | None:
        """Return how many rows there are, where that is known without reading them."""

    def write(self, chunk: Chunk, predictions: pd.DataFrame, part: Path, first: bool) -> None:
        """Write the rows of a chunk with their predictions."""

    def join(self, parts: list[Path], output: Path) -> None:
        """Write all parts as one file."""


def of(path: Path, output: Path | None, spreadsheet: bool = False) -> Layout:
    """Return the layout of a file or folder; pictures are written as the output's ending says, otherwise as Parquet.

    Args:
        spreadsheet: whether cells of CSV and TSV are written so that a spreadsheet takes none for a formula.

    Raises:
        TidemillError: it is missing, or has no layout that can be read.
    """
    if not path.exists():
        raise TidemillError(f"{path} is missing")
    if path.is_dir():
        return Pictures(path, output.suffix if output else ".parquet", spreadsheet)
    ending = Path(files.unpacked_name(path)).suffix.lower()
    match ending:
        case ".csv" | ".tsv":
            return Separated(path, ending, spreadsheet)
        case ".jsonl" | ".ndjson":
            return JsonLines(path)
        case ".parquet":
            return Parquet(path)
    raise TidemillError(f"{path} is no .csv, .tsv, .jsonl, .parquet, nor a folder of pictures")


class Separated:
    """CSV and TSV; every cell stays the text it is, unless it is for a spreadsheet."""

    def __init__(self, path: Path, ending: str, spreadsheet: bool) -> None:
        self.path, self.ending, self.spreadsheet = path, ending, spreadsheet

    def total(self) -> None:
        return None

    def chunks(self, size: int) -> Iterator[Chunk]:
        delimiter = "\t" if self.ending == ".tsv" else None
        for table, _, reasons in csv.blocks(self.path, csv.Options(delimiter=delimiter), size):
            yield Chunk(table, reasons, table)

    def write(self, chunk: Chunk, predictions: pd.DataFrame, part: Path, first: bool) -> None:
        separator = "\t" if self.ending == ".tsv" else ","
        _write_csv(pd.concat([chunk.original, predictions], axis=1), part, first, self.spreadsheet, separator)

    def join(self, parts: list[Path], output: Path) -> None:
        _append(parts, output)


class JsonLines:
    """A JSON object on each line; what a line held stays as it was, beside the prediction."""

    ending = ".jsonl"

    def __init__(self, path: Path) -> None:
        self.path = path

    def total(self) -> None:
        return None

    def chunks(self, size: int) -> Iterator[Chunk]:
        lines = jsonl.records(self.path, jsonl.Options().encoding)
        while block := list(islice(lines, size)):
            found, reasons = [record for _, record, _ in block], [reason for _, _, reason in block]
            yield Chunk(jsonl.table(found, self.path), reasons, found)

    def write(self, chunk: Chunk, predictions: pd.DataFrame, part: Path, first: bool) -> None:
        rows = zip(chunk.original, records(predictions), strict=True)
        lines = [json.dumps(record | added, ensure_ascii=False) for record, added in rows]
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def join(self, parts: list[Path], output: Path) -> None:
        _append(parts, output)


class Parquet:
    """Parquet; columns keep their types."""

    ending = ".parquet"

    def __init__(self, path: Path) -> None:
        self.path = path

    def total(self) -> int:
        with self._opened() as file:
            return int(file.metadata.num_rows)

    def chunks(self, size: int) -> Iterator[Chunk]:
        import pyarrow

        with self._opened() as file:
            for batch in file.iter_batches(size):
                yield Chunk(batch.to_pandas(ignore_metadata=True), [None] * len(batch), pyarrow.table(batch))

    def write(self, chunk: Chunk, predictions: pd.DataFrame, part: Path, first: bool) -> None:
        _write_table(chunk.original, predictions, part)

    def join(self, parts: list[Path], output: Path) -> None:
        _join_tables(parts, output)

    def _opened(self) -> Any:
        import pyarrow.parquet

        try:
            return pyarrow.parquet.ParquetFile(self.path)
        except (pyarrow.ArrowException, OSError) as error:
            raise TidemillError(f"{self.path} is not a whole Parquet file: {error}") from error


class Pictures:
    """A folder of pictures, however deep; the output names each by its path inside the folder."""

    endings: ClassVar = {".parquet", ".csv"}

    def __init__(self, path: Path, ending: str, spreadsheet: bool) -> None:
        if ending not in self.endings:
            raise TidemillError(
                f"predictions for a folder of pictures go to a .parquet or .csv file, not to {ending!r}"
            )
        self.path, self.ending, self.spreadsheet = path, ending, spreadsheet
        found = files.matching(path, "**/*")
        self.files = [file for file in found if file.suffix.lower() in pictures.ENDINGS]
        if not self.files:
            raise TidemillError(f"{path} holds no picture: none of its files ends in {', '.join(pictures.ENDINGS)}")

    def total(self) -> int:
        return len(self.files)

    def chunks(self, size: int) -> Iterator[Chunk]:
        for start in range(0, len(self.files), size):
            found = self.files[start : start + size]
            images = pd.DataFrame({"image": [file.read_bytes() for file in found]})
            yield Chunk(images, [None] * len(found), [file.relative_to(self.path).as_posix() for file in found])

    def write(self, chunk: Chunk, predictions: pd.DataFrame, part: Path, first: bool) -> None:
        import pyarrow

        if self.ending == ".csv":
            table = predictions.assign(file=chunk.original)[["file", *predictions]]
            _write_csv(table, part, first, self.spreadsheet)
        else:
            _write_table(pyarrow.table({"file": chunk.original}), predictions, part)

    def join(self, parts: list[Path], output: Path) -> None:
        (_append if self.ending == ".csv" else _join_tables)(parts, output)


def _write_csv(table: pd.DataFrame, part: Path, header: bool, spreadsheet: bool, separator: str = ",") -> None:
    """Write a table; for a spreadsheet, with an apostrophe before each cell and name that it would compute.

    A carriage return would begin a new row unless its cell is quoted, which pandas leaves out.
    """
    returns = any("\r" in cell for name in table for cell in table[name] if isinstance(cell, str))
    quoting: Any = csv_module.QUOTE_NONNUMERIC if returns else csv_module.QUOTE_MINIMAL
    table = table.map(_as_text).rename(columns=_as_text) if spreadsheet else table
    table.to_csv(part, sep=separator, index=False, header=header, quoting=quoting)


def _as_text(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _append(parts: list[Path], output: Path) -> None:
    with output.open("wb") as whole:
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, whole)


def _write_table(table: Any, predictions: pd.DataFrame, part: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    for name in predictions:
        is_number = name in ("prediction", "confidence") and pd.api.types.is_float_dtype(predictions[name])
        kind = pyarrow.float64() if is_number else pyarrow.string()  # also for a chunk whose rows all have a prediction
        table = table.append_column(name, pyarrow.array(predictions[name], type=kind, from_pandas=True))
    pyarrow.parquet.write_table(table, part)


def _join_tables(parts: list[Path], output: Path) -> None:
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(parts[0])
    with pyarrow.parquet.ParquetWriter(output, schema) as whole:
        for part in parts:
            whole.write_table(pyarrow.parquet.read_table(part, schema=schema))
