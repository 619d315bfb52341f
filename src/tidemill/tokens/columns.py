"""Columns of a table as numbers and codes: standardised numbers, categories with an "other", and dates.

The encoding is fitted to the training rows, read once, and stands as JSON in the spec.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core import cells
from tidemill.core.errors import TidemillError

if TYPE_CHECKING:
    import torch

Column = dict[str, Any]
"""How a column is encoded: `name`, `kind` (number, date or category), and what was fitted."""

WITHOUT, OTHER = 0, 1
"""Codes of a category that is missing, and of one that is not among the `values`, which follow."""
FARTHEST = 1000.0
"""Standard deviations from the mean beyond which a number counts as that far."""
CYCLES = ("day of the year", "day of the week", "hour of the day")
"""What of a date recurs; each becomes a sine and a cosine, so that its end is next to its beginning."""


@dataclass
class _Numbers:
    """Mean and variance of numbers that come in blocks (Chan, Golub and LeVeque, 1983)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    missing: bool = False

    def add(self, values: NDArray[np.float64]) -> None:
        present = values[~np.isnan(values)]
        self.missing = self.missing or len(present) < len(values)
        if not len(present):
            return
        own, total = float(present.mean()), self.count + len(present)
        gap = own - self.mean
        self.squares += float(((present - own) ** 2).sum()) + gap**2 * self.count * len(present) / total
        self.mean += gap * len(present) / total
        self.count = total

    @property
    def deviation(self) -> float:
        return float(np.sqrt(self.squares / max(1, self.count)))

    def fitted(self) -> Column | None:
        """Return mean and deviation; None where all rows are alike."""
        varies = self.deviation > 1e-12 * max(1.0, abs(self.mean))
        if not varies and not (self.missing and self.count):
            return None
        return {"mean": self.mean, "deviation": self.deviation if varies else 1.0, "missing": self.missing}


@dataclass
class _Categories:
    counts: Counter[str] = field(default_factory=Counter)
    missing: int = 0

    def add(self, values: "pd.Series[str]") -> None:
        self.counts.update(values.dropna().tolist())
        self.missing += int(values.isna().sum())

    def fitted(self, most: int, fewest: int) -> Column | None:
        """Return the values that are told apart; None where all rows are alike."""
        ordered = sorted(self.counts, key=lambda value: (-self.counts[value], value))
        values = [value for value in ordered if self.counts[value] >= fewest][:most]
        others = len(values) < len(self.counts)
        return {"values": values} if len(values) + others + bool(self.missing) > 1 else None


def fit(
    blocks: Iterable[pd.DataFrame], left_out: Collection[str], forced: Collection[str], most: int, fewest: int
) -> tuple[list[Column], list[str]]:
    """Return how each column is encoded, and the names of those that tell no rows apart.

    Args:
        blocks: the training rows.
        left_out: columns that are no input.
        forced: columns of numbers that are names of something.
        most: values of a category that are told apart, the commonest first.
        fewest: rows that a value must occur in to be told apart.

    Raises:
        TidemillError: there is no column that tells rows apart, or none of a name that is forced.
    """
    kinds: dict[str, str] = {}
    numbers, categories = dict[str, _Numbers](), dict[str, _Categories]()
    for block in blocks:
        kinds = kinds or {str(name): _kind(block[name], name in forced) for name in block if name not in left_out}
        for name, kind in kinds.items():
            if kind == "category":
                categories.setdefault(name, _Categories()).add(cells.categories(block[name]))
            else:
                numbers.setdefault(name, _Numbers()).add(_single(block[name], kind))
    if unknown := [name for name in forced if name not in kinds]:
        raise TidemillError(f"tokenize.categories: no column {unknown[0]!r}; there are: {', '.join(kinds)}")
    fitted = {name: found.fitted() for name, found in numbers.items()}
    fitted |= {name: found.fitted(most, fewest) for name, found in categories.items()}
    columns = [{"name": name, "kind": kind, **found} for name, kind in kinds.items() if (found := fitted[name])]
    if not columns:
        raise TidemillError("no column of the training rows tells one from another: each is constant, or all different")
    return columns, [name for name in kinds if fitted[name] is None]


def encode(rows: pd.DataFrame, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
    """Return `numbers`, float32 (B, N), and `categories`, int32 (B, C), those of the two that there are.

    Raises:
        ValueError: a cell is no number or date where the column had them in training.
    """
    numbers = [part for column in columns if column["kind"] != "category" for part in _scaled(rows, column)]
    codes = [_codes(rows, column) for column in columns if column["kind"] == "category"]
    encoded: dict[str, NDArray[Any]] = {}
    if numbers:
        encoded["numbers"] = np.stack(numbers, axis=1).astype(np.float32)
    if codes:
        encoded["categories"] = np.stack(codes, axis=1).astype(np.int32)
    return encoded


def column_inputs(batch: "Mapping[str, torch.Tensor]") -> "tuple[torch.Tensor, torch.Tensor]":
    """Return the numbers (B, N) and the codes of the categories (B, C) of a batch; N or C may be 0."""
    import torch

    present = next(batch[name] for name in ("numbers", "categories") if name in batch)
    none = torch.zeros((len(present), 0), device=present.device)
    return batch.get("numbers", none), batch.get("categories", none.long())


def number_names(columns: Sequence[Column]) -> list[str]:
    """Return the name of each number (N)."""
    cyclic = [f"{cycle}, {wave}" for cycle in CYCLES for wave in ("sine", "cosine")]
    names = []
    for column in columns:
        if column["kind"] == "number":
            names.append(str(column["name"]))
        elif column["kind"] == "date":
            names += [str(column["name"]), *(f"{column['name']}: {part}" for part in cyclic)]
    return names


def missing_numbers(columns: Sequence[Column]) -> list[int]:
    """Return the places of the numbers (N) that a training row lacks."""
    starts, place = [], 0
    for column in columns:
        if column["kind"] != "category":
            starts += [place] if column["missing"] else []
            place += 1 if column["kind"] == "number" else 1 + 2 * len(CYCLES)
    return starts


def category_values(columns: Sequence[Column]) -> list[list[str]]:
    """Return what each code of each category stands for."""
    return [
        [f"{column['name']} is missing", *(f"{column['name']} = {value}" for value in ["another", *column["values"]])]
        for column in columns
        if column["kind"] == "category"
    ]


def plain(rows: pd.DataFrame, columns: Sequence[Column]) -> dict[str, "pd.Series[Any]"]:
    """Return each column as numbers or categories that can be compared as distributions; a date as days since 1970."""
    return {
        str(column["name"]): cells.categories(rows[str(column["name"])])
        if column["kind"] == "category"
        else pd.Series(_single(rows[str(column["name"])], column["kind"]), rows.index)
        for column in columns
    }


def _kind(values: "pd.Series[Any]", forced: bool) -> str:
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date"
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return "number" if is_number and not forced else "category"


def _single(values: "pd.Series[Any]", kind: str) -> NDArray[np.float64]:
    """Return numbers (B,); of dates, the days since 1970."""
    if kind == "number":
        return np.asarray(cells.numbers(values), np.float64)
    days = (cells.dates(values) - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    return np.asarray(days, np.float64)


def _scaled(rows: pd.DataFrame, column: Column) -> list[NDArray[np.float64]]:
    values = rows[str(column["name"])]
    single = _single(values, column["kind"])
    scaled = np.clip((single - column["mean"]) / column["deviation"], -FARTHEST, FARTHEST)
    return [scaled] if column["kind"] == "number" else [scaled, *_cyclic(cells.dates(values))]


def _cyclic(dates: "pd.Series[pd.Timestamp]") -> list[NDArray[np.float64]]:
    time = dates.dt
    shares = (time.dayofyear / 366, time.dayofweek / 7, (time.hour + time.minute / 60) / 24)
    angles = [2 * np.pi * share.to_numpy(np.float64, na_value=np.nan) for share in shares]
    return [wave(angle) for angle in angles for wave in (np.sin, np.cos)]


def _codes(rows: pd.DataFrame, column: Column) -> NDArray[np.int64]:
    values = cells.categories(rows[str(column["name"])])
    codes = pd.Index(column["values"], dtype="str").get_indexer(pd.Index(values)) + OTHER + 1
    codes[codes <= OTHER] = OTHER
    codes[values.isna().to_numpy()] = WITHOUT
    return codes
