"""Cells of a table's column as numbers, dates or categories, however a file or a request writes them."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What a file writes, in small or capital letters, where a value is missing."""
DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
"""ISO 8601, with or without a time."""
NEARLY_ALL = 0.95
"""Share of the cells from which a column counts as one of numbers or dates: what else stands there is a mistake."""


class Typed(NamedTuple):
    """A column with the type that nearly all of its cells have."""

    values: "pd.Series[Any]"
    """Float64, datetime64 or str; a missing value, or one that cannot be read, is NaN."""
    unreadable: "pd.Series[bool]"


def typed(values: "pd.Series[Any]") -> Typed:
    """Return a column as numbers or dates if nearly all of its cells are, otherwise as categories."""
    texts = categories(values)
    present = texts.notna() & ~_is_infinite(texts)
    for read in (_numbers, _dates):
        found = read(values)
        if (found.notna() | ~present).mean() >= NEARLY_ALL and (found.notna().any() or not present.any()):
            return Typed(found, present & found.isna())
    return Typed(texts, ~present & False)


def numbers(values: "pd.Series[Any]") -> "pd.Series[float]":
    """Return cells as float64; a missing or infinite one is NaN.

    Raises:
        ValueError: a cell is no number.
    """
    return _checked(values, _numbers(values), "number")


def dates(values: "pd.Series[Any]") -> "pd.Series[pd.Timestamp]":
    """Return cells as points in time, those with a time zone in UTC; a missing one is NaT.

    Raises:
        ValueError: a cell is no date.
    """
    return _checked(values, _dates(values), "date as 2026-01-31 or 2026-01-31T12:00")


def categories(values: "pd.Series[Any]") -> "pd.Series[str]":
    """Return cells as texts: `1` for 1.0, `true` for True; a missing one is NaN."""
    if pd.api.types.is_string_dtype(values) and not pd.api.types.is_object_dtype(values):
        texts = values.astype("str")
    else:
        texts = values.map(_text, na_action="ignore").astype("str")
    texts = texts.str.strip().str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    return texts.mask(texts.str.lower().isin(MISSING))


def _numbers(values: "pd.Series[Any]") -> "pd.Series[float]":
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    found = pd.to_numeric(values if is_number else categories(values), errors="coerce").astype("float64")
    return found.where(np.isfinite(found))


def _dates(values: "pd.Series[Any]") -> "pd.Series[pd.Timestamp]":
    if not pd.api.types.is_datetime64_any_dtype(values):
        texts = categories(values)
        values = texts.where(texts.str.fullmatch(DATE).fillna(False).astype(bool))
    found: pd.Series[pd.Timestamp] = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
    return found.dt.tz_localize(None).astype("datetime64[us]")


def _checked(values: "pd.Series[Any]", found: "pd.Series[Any]", what: str) -> "pd.Series[Any]":
    present = values.notna() & categories(values).notna()
    unreadable = present & found.isna() & ~_is_infinite(values)
    if unreadable.any():
        raise ValueError(f"column {values.name}: {str(values[unreadable].iloc[0])[:40]!r} is no {what}")
    return found


def _is_infinite(values: "pd.Series[Any]") -> "pd.Series[bool]":
    return pd.to_numeric(values, errors="coerce").abs().eq(np.inf)


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
