"""Plain text: each line is a row, or each file."""

from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from tidemill.core.params import Params
from tidemill.formats.common import decoding, files
from tidemill.formats.common.files import Split


class Options(Params):
    """How the files are divided into rows."""

    files: str = "*.txt*"
    """Which files of a folder; `**/*.txt*` includes the folders inside it."""
    splits: dict[Split, str] = Field(default={})
    """Which files hold which split, instead: `{train: train/*, test: test/*}`."""
    unit: Literal["line", "file"] = "line"
    """Whether each line or each file is a row."""
    label: Literal["name", "folder"] | None = None
    """Whether the name of the file, or of its folder, is the label."""
    encoding: str = "utf-8-sig"
    """Encoding of the files; the default is UTF-8, with or without a byte order mark."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: `text`, `row`, `reason` and, if set in the options, `label` and `split`."""
    found = files.split_files(path, options.files, options.splits)
    read_file = _read_lines if options.unit == "line" else _read_document
    tables = [read_file(file, path, options).assign(split=split) for file, split in found]
    rows = pd.concat(tables, ignore_index=True)
    if options.unit == "file":
        decoding.check_decoding([file for file, _ in found], options.encoding, rows["reason"])
    return rows


def _read_lines(file: Path, source: Path, options: Options) -> pd.DataFrame:
    texts = [line.removesuffix("\n") for line in decoding.lines(file, options.encoding)]
    places = [f"{files.place(file, source)}:{number}" for number in range(1, len(texts) + 1)]
    table = _table(file, texts, places, options)
    decoding.check_decoding([file], options.encoding, table["reason"])
    return table


def _read_document(file: Path, source: Path, options: Options) -> pd.DataFrame:
    """Read one file as one row; an empty file is an empty document, for the task to judge."""
    text = "".join(decoding.lines(file, options.encoding)) if file.stat().st_size else ""
    return _table(file, [text], [files.place(file, source)], options)


def _table(file: Path, texts: list[str], places: list[str], options: Options) -> pd.DataFrame:
    reasons = [decoding.flaw(text, options.encoding) for text in texts]
    usable = ["" if reason else text for text, reason in zip(texts, reasons, strict=True)]
    table = pd.DataFrame({"text": usable, "row": places}).assign(reason=pd.Series(reasons, dtype=object))
    return table if options.label is None else table.assign(label=_label(file, options.label))


def _label(path: Path, kind: str) -> str:
    return files.plain_stem(path) if kind == "name" else path.parent.name
