"""Tables as text, one row per line: separated by commas, tabs or other characters, as RFC 4180 describes."""

import csv
from collections import Counter, deque
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats.common import decoding, files
from tidemill.formats.common.files import Split

DELIMITERS = ",;\t|"
"""Characters that may separate fields; without `delimiter`, it is the most frequent one in the first line."""


Block = tuple[pd.DataFrame, list[int], list[str | None]]
"""Rows, the number of the line that each begins on, and what is wrong with it."""


class Options(Params):
    """How the files are divided into rows and fields."""

    files: str = "*.[ct]sv*"
    """Which files of a folder; `**/*.csv` includes the folders inside it."""
    splits: dict[Split, str] = Field(default={})
    """Which files hold which split, instead: `{train: train*.csv, test: test*.csv}`."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """The character between fields; null detects it in the first line."""
    quote: str | None = Field(default='"', min_length=1, max_length=1)
    """The character around fields that hold delimiters or line ends; null: quotes are ordinary characters."""
    names: list[str] | None = Field(default=None, min_length=1)
    """Names of the columns, for files without a header."""
    encoding: str = "utf-8-sig"
    """Encoding of the files; the default is UTF-8, with or without a byte order mark."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: theirs, as text; `row`, `reason`, `split`."""
    found = files.split_files(path, options.files, options.splits)
    tables = [_read_file(file, path, options, {"split": split} if split else {}) for file, split in found]
    return pd.concat(tables, ignore_index=True)


def blocks(file: Path, options: Options, size: int | None) -> Iterator[Block]:
    """Yield the rows of one file, `size` at a time, with the line that each begins on and what is wrong with it.

    A size of None yields all at once.
    """
    records = _records(file, _Lines(decoding.lines(file, options.encoding, newline="")), options)
    first = next(records, None)
    if first is None or (options.names is None and first[2]):
        raise TidemillError(f"{file} has no header: {first[2] if first else 'it holds blank lines only'}")
    decoding.check_decoding([file], options.encoding, [decoding.flaw("".join(first[1]), options.encoding)])
    names = _names(file, options.names or first[1])
    rows = chain([first] if options.names else [], records)
    block = list(islice(rows, size))
    yield _block(file, options, names, block)
    while block := list(islice(rows, size)):
        yield _block(file, options, names, block)


def _read_file(file: Path, source: Path, options: Options, given: dict[str, str]) -> pd.DataFrame:
    table, numbers, reasons = next(blocks(file, options, None))
    places = [f"{files.place(file, source)}:{number}" for number in numbers]
    return table.assign(row=places, reason=pd.Series(reasons, dtype=object), **given)


def _block(file: Path, options: Options, names: list[str], rows: "list[Record]") -> Block:
    reasons = [reason or _fields_flaw(fields, names, options.encoding) for _, fields, reason in rows]
    decoding.check_decoding([file], options.encoding, reasons)
    cells = [_cells(fields, len(names), reason) for (_, fields, _), reason in zip(rows, reasons, strict=True)]
    return pd.DataFrame(cells, columns=names, dtype="str"), [number for number, _, _ in rows], reasons


class _Lines(Iterator[str]):
    """Lines of a file that can be given back: a quote left open then costs its own line, not those after it."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines, self.ahead, self.taken, self.number = lines, deque[str](), list[str](), 1

    def __next__(self) -> str:
        self.taken.append(self.ahead.popleft() if self.ahead else next(self.lines))
        return self.taken[-1]

    def begin_record(self) -> int:
        """Return the number of the next line, from 1."""
        self.number += len(self.taken)
        self.taken.clear()
        return self.number

    def give_back(self) -> str:
        """Give back all lines taken since the record began except its first, which is returned."""
        self.ahead.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
        return self.taken[0]


Record = tuple[int, list[str], str | None]
"""Number of the first line, fields, and what is wrong."""


def _records(file: Path, lines: _Lines, options: Options) -> Iterator[Record]:
    reader = None
    csv.field_size_limit(files.LONGEST_LINE)
    while True:
        number = lines.begin_record()
        try:
            reader = reader or _reader(lines, options)
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "field larger" in str(error):
                limit = f"{files.LONGEST_LINE:,} characters"
                raise TidemillError(
                    f"{file}:{number} opens a cell of more than {limit}: is a quote left open?"
                ) from error
            yield number, [lines.give_back().strip()], f"a quote is left open, or not followed by a delimiter ({error})"
            continue
        if fields:
            yield number, fields, None


def _reader(lines: _Lines, options: Options) -> Any:
    delimiter = options.delimiter or _delimiter(next(lines, ""), options.quote)
    if lines.taken:  # the first line was only inspected
        lines.ahead.appendleft(lines.taken.pop())
    if options.quote is None:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=delimiter, quotechar=options.quote, strict=True)


def _delimiter(line: str, quote: str | None) -> str:
    outside = "".join(line.split(quote)[::2]) if quote else line
    return max(DELIMITERS, key=outside.count)


def _names(file: Path, fields: list[str]) -> list[str]:
    names = [field.strip() or f"column{number}" for number, field in enumerate(fields, 1)]
    files.check_columns(file, len(names))
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise TidemillError(f"{file} has two columns named {twice!r}: rename one, or set source.options.names")
    return names


def _fields_flaw(fields: list[str], names: list[str], encoding: str) -> str | None:
    flaw = decoding.flaw("".join(fields), encoding)
    if flaw is None and len(fields) != len(names):
        return f"{len(fields)} fields where the header has {len(names)}"
    return flaw


def _cells(fields: list[str], count: int, reason: str | None) -> list[str | None]:
    """Return a cell for each column; of a row that cannot be used, what is readable."""
    readable = [decoding.SURROGATE.sub("\ufffd", field) for field in fields] if reason else fields
    return [*readable[:count], *[None] * (count - len(readable))]
