"""Parquet tables."""

from pathlib import Path

import pandas as pd
from pydantic import Field

from tidemill.core.params import Params
from tidemill.formats.common import files
from tidemill.formats.common.files import Split


class Options(Params):
    """Which files are read."""

    files: str = "*.parquet"
    """Which files of a folder; `**/*.parquet` includes the folders inside it."""
    splits: dict[Split, str] = Field(default={})
    """Which files hold which split, instead: `{train: train*.parquet, test: test*.parquet}`."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: theirs; `row`, `split`."""
    found = files.split_files(path, options.files, options.splits)
    return pd.concat([files.parquet_rows(file, path, split) for file, split in found], ignore_index=True)
