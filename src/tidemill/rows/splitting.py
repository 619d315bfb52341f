"""Splitting: copies are dropped first, then the hash of its content assigns each row to train, valid or test."""

from hashlib import sha256

import pandas as pd

from tidemill.core.tables import SPLITS
from tidemill.rows.params import Ingest

KEEPING_ORDER = {"test": 0, "valid": 1, "train": 2}
"""Of two copies in splits that the source gives, the one in the test split is kept."""


def identified(rows: pd.DataFrame, content: "pd.Series[str]") -> pd.DataFrame:
    """Return the rows with an `id`: the first 16 hexadecimal digits of the sha256 of their content."""
    return rows.assign(id=[sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16] for text in content])


def without_copies(rows: pd.DataFrame, near_copies: "pd.Series[str] | None" = None) -> pd.DataFrame:
    """Return the rows; those that contradict or copy another one get a `reason`, and copies the id that was `kept` instead.

    Args:
        near_copies: a group name for each usable row, shared by near copies; None looks for exact copies.
    """
    rows = rows.assign(kept=None) if "kept" not in rows else rows
    rows = _reject_contradictions(rows) if near_copies is None else rows
    groups = rows["id"] if near_copies is None else near_copies
    usable = rows[rows["reason"].isna()]
    ranked = usable.sort_values("split", key=lambda split: split.map(KEEPING_ORDER).fillna(3), kind="stable")
    first = ranked.groupby(groups.loc[ranked.index])["id"].transform("first")
    copy = ranked.index[ranked.duplicated("id") if near_copies is None else first.ne(ranked["id"])]
    rows.loc[copy, "reason"] = "exact copy" if near_copies is None else "near copy"
    rows.loc[copy, "kept"] = first.loc[copy]
    return rows


def placed(rows: pd.DataFrame, params: Ingest, group: "pd.Series[str] | None" = None) -> pd.DataFrame:
    """Return the rows with their `split`, which depends only on the row itself, or its group, and on the two shares.

    Rows that come with a split keep it; no row is moved to a split that the source gives. A hash spreads every label over
    the splits by the same shares, so the splits are stratified without quotas, which would move rows as others arrive.

    Args:
        group: a text for each row; rows with the same one are in the same split. None: each row stands alone.
    """
    given = set(rows["split"].dropna())
    share = {name: 0.0 if name in given else getattr(params, name) for name in ("test", "valid")}
    digits = rows["id"] if group is None else identified(rows, group)["id"]
    position = digits.map(lambda digits: int(digits, 16) / 16 ** len(digits))
    movable = rows["split"].isna() | rows["split"].eq("train")
    split = rows["split"].fillna("train")
    split = split.mask(movable & position.lt(share["test"] + share["valid"]), "valid")
    return rows.assign(split=split.mask(movable & position.lt(share["test"]), "test"))


def _reject_contradictions(rows: pd.DataFrame) -> pd.DataFrame:
    labelled = rows[rows["reason"].isna() & rows["label"].notna()]
    labels = labelled.groupby("id")["label"].transform("nunique")
    wrong = labels.index[labels > 1]
    rows.loc[wrong, "reason"] = "the same content has different labels"
    return rows


def profile(kept: pd.DataFrame, rejected: pd.DataFrame) -> dict[str, object]:
    """Count the rows by split, label and reason for rejection."""
    tables = {split: kept[kept["split"] == split] for split in SPLITS}
    return {
        "rows": {split: len(table) for split, table in tables.items()},
        "labels": {split: _counts(table["label"]) for split, table in tables.items()},
        "rejected": _counts(rejected["reason"]),
    }


def _counts(values: "pd.Series[str]") -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}
