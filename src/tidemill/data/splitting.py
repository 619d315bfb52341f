"""From rows to the three splits: copies dropped first, then each row placed by the hash of its own content."""

from hashlib import sha256

import pandas as pd

from tidemill.config import Ingest

SPLITS = ("train", "valid", "test")
KEEPING_ORDER = {"test": 0, "valid": 1, "train": 2}
"""Of two copies in given splits, the one that was set aside for the test stays."""


def identified(rows: pd.DataFrame, content: "pd.Series[str]") -> pd.DataFrame:
    """The rows with an `id`: the first 16 hex digits of their content's sha256."""
    return rows.assign(id=[sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16] for text in content])


def without_copies(rows: pd.DataFrame, near_keys: "pd.Series[str] | None" = None) -> pd.DataFrame:
    """The rows, with a `reason` for each that contradicts or copies another, and the id that was `kept` instead."""
    rows = rows.assign(kept=None) if "kept" not in rows else rows
    rows = _reject_contradictions(rows) if near_keys is None else rows
    keys = rows["id"] if near_keys is None else near_keys
    usable = rows[rows["reason"].isna()]
    ranked = usable.sort_values("split", key=lambda split: split.map(KEEPING_ORDER).fillna(3), kind="stable")
    first = ranked.groupby(keys.loc[ranked.index])["id"].transform("first")
    copy = ranked.index[ranked.duplicated("id") if near_keys is None else first.ne(ranked["id"])]
    rows.loc[copy, "reason"] = "exact copy" if near_keys is None else "near copy"
    rows.loc[copy, "kept"] = first.loc[copy]
    return rows


def placed(rows: pd.DataFrame, params: Ingest, group: "pd.Series[str] | None" = None) -> pd.DataFrame:
    """The rows with their `split`, which depends on nothing but the row itself, or its group, and the two shares.

    Rows with a split of their own keep it; where the source sets rows aside for a split, none are moved there.
    A hash spreads every label over the splits by the same shares, so the split is stratified without quotas, which
    would move rows when others come.
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
    rows.loc[wrong, "reason"] = "the same content stands under different labels"
    return rows


def profile(kept: pd.DataFrame, rejected: pd.DataFrame) -> dict[str, object]:
    """Rows by split, label and reason of rejection."""
    tables = {split: kept[kept["split"] == split] for split in SPLITS}
    return {
        "rows": {split: len(table) for split, table in tables.items()},
        "labels": {split: _counts(table["label"]) for split, table in tables.items()},
        "rejected": _counts(rejected["reason"]),
    }


def _counts(values: "pd.Series[str]") -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}
