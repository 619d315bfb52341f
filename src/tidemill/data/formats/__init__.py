"""How raw files become rows. One module a format, named as in `params.yaml`.

A format's module has `Options`, the params only it takes, and `read(path, options)`, which returns a frame with
the columns of the content, `row` (where the row stands, for messages), and, where the source has them, `label`,
`split` (train, valid or test) and `reason` (a sentence, where the row cannot be used). Where the files can be had
from elsewhere, it also has `bring(path, options)`, which puts them at the path.
"""

import importlib
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.config import Source
from tidemill.data.formats import _files
from tidemill.errors import TidemillError

OURS = ("id", "kept", "width", "height", "mode", "minimum", "maximum", "pixels")
"""Columns that ingesting makes: those of a source that are called so would stand in their way."""
SPLITS = {"validation": "valid", "val": "valid", "dev": "valid", "training": "train", "testing": "test"}
"""Other words for our splits."""
WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+")


def read_rows(source: Source) -> pd.DataFrame:
    """All rows of a source, their columns renamed to ours, labels as text.

    Raises:
        TidemillError: the source is missing, empty, truncated or wrongly encoded, lacks a named column, or has no
            row that can be used.
    """
    path = bring(source)
    rows: pd.DataFrame = _module(source).read(path, source.options)
    if rows.empty:
        raise TidemillError(f"{path} holds no rows")
    rows = _with_lists(_renamed(rows, path, source.columns), path, source.lists)
    rows = rows.assign(**{name: None for name in ("label", "split", "reason") if name not in rows})
    _check_usable(path, rows)
    _check_labels(path, rows["label"])
    splits = _known_splits(path, rows["split"])
    return _storable(rows.assign(label=_as_labels(rows["label"]), split=splits))


def bring(source: Source) -> Path:
    """The path of the source, where its format got the files if they were missing and it knows from where.

    Raises:
        TidemillError: the source is missing, and cannot be had.
    """
    module, path = _module(source), Path(source.path)
    if not path.exists() and hasattr(module, "bring"):
        module.bring(path, source.options)
    return _files.existing(path)


def _module(source: Source) -> Any:
    return importlib.import_module(f"{__name__}.{source.format}")


def _renamed(rows: pd.DataFrame, path: Path, columns: dict[str, str]) -> pd.DataFrame:
    missing = sorted(set(columns.values()) - set(rows.columns))
    if missing:
        theirs = rows.columns.drop(["row", "reason", "split"], errors="ignore")
        raise TidemillError(f"{path} has no column {missing[0]!r}; it has: {', '.join(map(str, theirs))}")
    in_the_way = [name for name in rows if name not in columns.values() and (name in columns or name in OURS)]
    return rows.drop(columns=in_the_way).rename(columns={theirs: ours for ours, theirs in columns.items()})


def _with_lists(rows: pd.DataFrame, path: Path, separators: dict[str, str]) -> pd.DataFrame:
    """Cells that hold several values as one text, as lists; an empty one holds none."""
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
    strange = known[known.notna() & ~known.isin(("train", "valid", "test", ""))]
    if len(strange):
        raise TidemillError(
            f"{path}: column 'split' holds {strange.iloc[0]!r}, not train, valid or test: "
            "name another in source.columns.split, or rename it"
        )
    return known.where(known.ne(""), None)


def _as_labels(labels: "pd.Series[Any]") -> "pd.Series[Any]":
    """Labels as text, as a person writes them: `1` for 1.0, `true` for True; missing ones stay missing."""
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
    """The rows with columns of mixed types, which no table file can hold, as text."""
    mixed = [str(name) for name in rows.select_dtypes("object") if not _has_one_type(rows[name])]
    return rows.assign(**{name: rows[name].map(str, na_action="ignore") for name in mixed})


def _has_one_type(values: "pd.Series[Any]") -> bool:
    import pyarrow

    try:
        pyarrow.array(values, from_pandas=True)
    except (pyarrow.ArrowException, OverflowError, UnicodeError):
        return False
    return True
