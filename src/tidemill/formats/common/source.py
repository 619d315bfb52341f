"""A source: which files hold its rows, in which format, and what its columns are called."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Protocol

import pandas as pd
from pydantic import Field

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats.common import files

OURS = ("id", "kept")
"""Columns that the ingest stage adds: those of a source with the same names are dropped."""
SPLITS = {"validation": "valid", "val": "valid", "dev": "valid", "training": "train", "testing": "test"}
"""Other names of our splits."""
WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+")


class Format(Protocol):
    """What a module of `tidemill/formats/` defines."""

    Options: type[Params]
    """The format's own params, as `source.options`."""

    def read(self, path: Path, options: Any) -> pd.DataFrame:
        """Read all rows of a file or folder.

        Returns:
            The columns of the content, `row` (where the row is, for messages) and, where the source has them, `label`,
            `split` (train, valid or test) and `reason` (why a row cannot be used).

        Raises:
            TidemillError: the files are missing, damaged or not of this format.
        """

    bring: Callable[[Path, Any], None] | None
    """`bring(path, options)` downloads the files to a path; None where they cannot be downloaded."""


class Source(Params):
    """Where a system's rows come from and how to read them."""

    path: str
    """A file or folder; the ingest stage depends on it."""
    format: str
    """A module of `tidemill/formats/`."""
    options: Any = Field(default_factory=dict)
    """The format's own params: the `Options` that its module declares."""
    columns: dict[str, str] = Field(default={})
    """The source's name of a column by ours: `{text: review, label: stars}`."""
    drop: list[str] = Field(default=[])
    """Columns of the source that are left out, by its own names: of a table, those that are not known when it predicts."""
    lists: dict[str, Annotated[str, Field(min_length=1)]] = Field(default={})
    """Our columns whose cells hold several values as one text, and what separates them: `{labels: ";"}`."""


def read_rows(source: Source) -> pd.DataFrame:
    """Read all rows of a source, with its columns renamed to ours and labels as text.

    Raises:
        TidemillError: the source is missing, empty, truncated or wrongly encoded, lacks a column that is named, or has
            no row that can be used.
    """
    path = bring(source)
    rows: pd.DataFrame = _format(source).read(path, source.options)
    if rows.empty:
        raise TidemillError(f"{path} holds no rows")
    rows = _with_lists(_renamed(_without(rows, path, source.drop), path, source.columns), path, source.lists)
    rows = rows.assign(**{name: None for name in ("label", "split", "reason") if name not in rows})
    _check_usable(path, rows)
    _check_labels(path, rows["label"])
    splits = _known_splits(path, rows["split"])
    return _storable(rows.assign(label=_as_labels(rows["label"]), split=splits))


def bring(source: Source) -> Path:
    """Download the files of a source if they are missing and its format can, and return their path.

    Raises:
        TidemillError: the source is missing, and cannot be downloaded.
    """
    path, download = Path(source.path), _format(source).bring
    if download is not None and not path.exists():
        download(path, source.options)
    return files.existing(path)


def _format(source: Source) -> Format:
    module: Format = plugins.load("formats", source.format)
    return module


def _without(rows: pd.DataFrame, path: Path, dropped: list[str]) -> pd.DataFrame:
    missing = [name for name in dropped if name not in rows]
    if missing:
        raise TidemillError(f"{path} has no column {missing[0]!r}, which source.drop names")
    return rows.drop(columns=dropped)


def _renamed(rows: pd.DataFrame, path: Path, columns: dict[str, str]) -> pd.DataFrame:
    missing = sorted(set(columns.values()) - set(rows.columns))
    if missing:
        theirs = rows.columns.drop(["row", "reason", "split"], errors="ignore")
        raise TidemillError(f"{path} has no column {missing[0]!r}; it has: {', '.join(map(str, theirs))}")
    clashing = [name for name in rows if name not in columns.values() and (name in columns or name in OURS)]
    return rows.drop(columns=clashing).rename(columns={theirs: ours for ours, theirs in columns.items()})


def _with_lists(rows: pd.DataFrame, path: Path, separators: dict[str, str]) -> pd.DataFrame:
    """Split cells that hold several values as one text into lists; an empty one holds none."""
    missing = sorted(set(separators) - set(rows.columns))
    if missing:
        raise TidemillError(f"{path} has no column {missing[0]!r}, which source.lists names")
    return rows.assign(
        **{name: rows[name].map(lambda cell, by=by: _values(cell, by)) for name, by in separators.items()}
    )


def _values(cell: Any, separator: str) -> list[str]:
    return [value.strip() for value in cell.split(separator) if value.strip()] if isinstance(cell, str) else []


def _check_usable(path: Path, rows: pd.DataFrame) -> None:
    if rows["reason"].notna().all():
        first = rows.iloc[0]
        raise TidemillError(f"{path}: none of the {len(rows)} rows can be used; {first['row']}: {first['reason']}")


def _check_labels(path: Path, labels: "pd.Series[Any]") -> None:
    if labels.map(pd.api.types.is_list_like).any():
        raise TidemillError(
            f"{path}: column 'label' holds lists: task multilabel_classification takes several labels a row, "
            "as source.columns.labels"
        )


def _known_splits(path: Path, splits: "pd.Series[Any]") -> "pd.Series[Any]":
    known = splits.map(
        lambda word: SPLITS.get(str(word).strip().lower(), str(word).strip().lower()), na_action="ignore"
    )
    unknown = known[known.notna() & ~known.isin(("train", "valid", "test", ""))]
    if len(unknown):
        raise TidemillError(
            f"{path}: column 'split' holds {unknown.iloc[0]!r}, not train, valid or test: "
            "name another in source.columns.split, or rename it"
        )
    return known.where(known.ne(""), None)


def _as_labels(labels: "pd.Series[Any]") -> "pd.Series[Any]":
    """Write labels as a person would: `1` for 1.0, `true` for True; missing ones stay missing."""
    written = labels.map(_as_label, na_action="ignore")
    texts = [label for label in written.dropna().unique() if isinstance(label, str)]
    whole = {text: match[1] for text in texts if (match := WHOLE_NUMBER.fullmatch(text))}
    if not whole or not all(text in whole or text.lstrip("-").isdecimal() for text in texts):
        return written
    return written.map(lambda text: whole.get(text, text), na_action="ignore")


def _as_label(value: Any) -> Any:
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value) if pd.api.types.is_number(value) else value


def _storable(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of mixed types, which no Parquet file can hold, into text."""
    rows = rows.copy()
    for name in rows.select_dtypes("object"):
        if not _has_one_type(rows[name]):
            rows[name] = rows[name].map(str, na_action="ignore")
    return rows


def _has_one_type(values: "pd.Series[Any]") -> bool:
    import pyarrow

    try:
        pyarrow.array(values, from_pandas=True)
    except (pyarrow.ArrowException, OverflowError, UnicodeError):
        return False
    return True
