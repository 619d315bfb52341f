"""Reading the ingested tables, whole or block by block."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from tidemill.core.errors import TidemillError

SPLITS = ("train", "valid", "test")
NOT_INPUTS = ("id", "row", "split", "reason", "kept")
"""Columns that ingesting adds, beside those of the source."""
BLOCK = 1024
"""Rows in memory at once where a table is streamed."""
BUFFER = 2**20
"""Bytes of the file in memory at once; by itself the library reads a row group whole, which may be the whole table."""


def read_table(path: Path) -> pd.DataFrame:
    """Read a whole table.

    Raises:
        TidemillError: it is missing or damaged.
    """
    _check(path)
    return pd.read_parquet(path)


def blocks(path: Path) -> Iterator[pd.DataFrame]:
    """Read a table of any size, `BLOCK` rows at a time.

    Raises:
        TidemillError: it is missing or damaged.
    """
    import pyarrow.parquet

    _check(path)
    for batch in pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False).iter_batches(BLOCK):
        yield batch.to_pandas()


def _check(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    try:
        pyarrow.parquet.ParquetFile(path).close()
    except FileNotFoundError as error:
        raise TidemillError(f"{path} is missing: run the ingest stage") from error
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise TidemillError(f"{path} is not a whole Parquet file: run the ingest stage again ({error})") from error
