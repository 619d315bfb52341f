"""Folds of rows for cross-validation: by content, so that a row stays in its fold whatever other rows come."""

import pandas as pd

from tidemill.rows.cleaning import Cleaning
from tidemill.rows.params import CrossValidation, Ingest
from tidemill.rows.splitting import identified


def numbered(rows: pd.DataFrame, task: Cleaning, ingest: Ingest, params: CrossValidation) -> "pd.Series[int]":
    """Return the fold of each row, from 1 up; rows that belong together, and near copies, share one.

    Args:
        rows: ingested rows of one split.
        ingest: the params by which they were ingested.
    """
    groups, count = [task.group(rows)], len(params.folds)
    if ingest.near_duplicates is None:  # otherwise near copies have been dropped
        groups.append(task.near_copies(rows, params.near_copies))
    digits = identified(rows, "fold of " + _first(rows["id"], groups))["id"]  # not the hash that chose the split
    return digits.map(lambda digits: int(digits, 16) * count // 16 ** len(digits) + 1)


def _first(ids: "pd.Series[str]", groups: "list[pd.Series[str]]") -> "pd.Series[str]":
    """Return the lowest id of all rows that each is tied to, through any chain of shared groups."""
    while True:
        before = ids
        for group in groups:
            ids = ids.groupby(group).transform("min")
        if ids.equals(before):
            return ids
