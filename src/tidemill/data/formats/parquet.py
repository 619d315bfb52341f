"""Parquet tables."""

from pathlib import Path

import pandas as pd
from pydantic import Field

from tidemill.config import Params
from tidemill.data.formats import _files


class Options(Params):
    """Which files are read."""

    files: str = "*.parquet"
    """Which files of a folder; `**/*.parquet` looks into the folders inside it, too."""
    splits: dict[_files.Split, str] = Field(default={})
    """Which files hold which split, instead: `{train: train*.parquet, test: test*.parquet}`."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Columns: those of the files; `row`, `split`."""
    found = _files.split_files(path, options.files, options.splits)
    return pd.concat([_files.parquet_rows(file, path, split) for file, split in found], ignore_index=True)
