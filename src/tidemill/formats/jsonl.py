"""JSON Lines: one JSON object per line, whose names become columns."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats.common import decoding, files
from tidemill.formats.common.files import Split

Record = dict[str, Any]


class Options(Params):
    """Which files are read, and how."""

    files: str = "*.jsonl*"
    """Which files of a folder; `**/*.jsonl` includes the folders inside it."""
    splits: dict[Split, str] = Field(default={})
    """Which files hold which split, instead: `{train: train*.jsonl, test: test*.jsonl}`."""
    encoding: str = "utf-8-sig"
    """Encoding of the files; the default is UTF-8, with or without a byte order mark."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: the names of the objects; `row`, `reason`, `split`."""
    found = files.split_files(path, options.files, options.splits)
    tables = [_read_file(file, path, options.encoding, split) for file, split in found]
    return pd.concat(tables, ignore_index=True)


def records(file: Path, encoding: str) -> Iterator[tuple[int, Record, str | None]]:
    """Yield for each line that is not blank its number, its object, and why it holds none, if so."""
    found = ((number, line) for number, line in enumerate(decoding.lines(file, encoding), 1) if line.strip())
    for place, (number, line) in enumerate(found):
        if place == 0 and line.strip() == "[":
            raise TidemillError(
                f"{file} is one JSON array, not one object per line: source.format json_records reads it"
            )
        yield number, *_parsed(line, encoding)


def table(found: list[Record], file: Path) -> pd.DataFrame:
    """Return objects as rows, with a column for each name.

    Raises:
        TidemillError: there are too many names; the file is named.
    """
    names = files.column_names(found, file)
    values = {name: _column([record.get(name) for record in found]) for name in names}
    return pd.DataFrame(values, index=range(len(found)))


def _read_file(file: Path, source: Path, encoding: str, split: str | None) -> pd.DataFrame:
    found = list(records(file, encoding))
    reasons = [reason for _, _, reason in found]
    decoding.check_decoding([file], encoding, reasons)
    places = [f"{files.place(file, source)}:{number}" for number, _, _ in found]
    given = {"split": split} if split else {}
    rows = table([record for _, record, _ in found], file)
    return rows.assign(row=places, reason=pd.Series(reasons, dtype=object), **given)


def _parsed(line: str, encoding: str) -> tuple[Record, str | None]:
    """Return the object of a line, or an empty one and the reason why there is none."""
    if flaw := decoding.flaw(line, encoding):
        return {}, flaw
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {}, f"not JSON: {error}"
    if not isinstance(record, dict):
        return {}, f"a JSON {type(record).__name__}, not an object"
    if "\\ud" in line.lower() and decoding.SURROGATE.search(json.dumps(record, ensure_ascii=False)):
        return {}, "holds half of a surrogate pair"
    return record, None


def _column(values: list[Any]) -> "pd.Series[Any]":
    """Return a column in which whole numbers stay whole where some are missing."""
    return pd.Series(values, dtype=object).infer_objects()
