"""Plain text, a row a line or a file."""

from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from tidemill.config import Params
from tidemill.data.formats import _files


class Options(Params):
    """How the files are cut into rows."""

    files: str = "*.txt*"
    """Which files of a folder; `**/*.txt*` looks into the folders inside it, too."""
    splits: dict[_files.Split, str] = Field(default={})
    """Which files hold which split, instead: `{train: train/*, test: test/*}`."""
    unit: Literal["line", "file"] = "line"
    label: Literal["name", "folder"] | None = None
    """Whether the name of the file, or of its folder, is the label."""
    encoding: str = "utf-8-sig"


def read(path: Path, options: Options) -> pd.DataFrame:
    """Columns: `text`, `row`, `reason` and, where asked for, `label` and `split`."""
    found = _files.split_files(path, options.files, options.splits)
    read_file = _read_lines if options.unit == "line" else _read_document
    tables = [read_file(file, path, options).assign(split=split) for file, split in found]
    rows = pd.concat(tables, ignore_index=True)
    if options.unit == "file":
        _files.check_decoding([file for file, _ in found], options.encoding, rows["reason"])
    return rows


def _read_lines(file: Path, source: Path, options: Options) -> pd.DataFrame:
    texts = [line.removesuffix("\n") for line in _files.lines(file, options.encoding)]
    places = [f"{_files.place(file, source)}:{number}" for number in range(1, len(texts) + 1)]
    table = _table(file, texts, places, options)
    _files.check_decoding([file], options.encoding, table["reason"])
    return table


def _read_document(file: Path, source: Path, options: Options) -> pd.DataFrame:
    """One row; an empty file is an empty document, for the task to judge."""
    text = "".join(_files.lines(file, options.encoding)) if file.stat().st_size else ""
    return _table(file, [text], [_files.place(file, source)], options)


def _table(file: Path, texts: list[str], places: list[str], options: Options) -> pd.DataFrame:
    reasons = [_files.flaw(text, options.encoding) for text in texts]
    usable = ["" if reason else text for text, reason in zip(texts, reasons, strict=True)]
    table = pd.DataFrame({"text": usable, "row": places}).assign(reason=pd.Series(reasons, dtype=object))
    return table if options.label is None else table.assign(label=_label(file, options.label))


def _label(path: Path, kind: str) -> str:
    return _files.plain_stem(path) if kind == "name" else path.parent.name
