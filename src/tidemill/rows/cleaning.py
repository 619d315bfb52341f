"""Ingesting rows: cleaned, without copies, and each in its split."""

from typing import NamedTuple, Protocol

import pandas as pd

from tidemill.rows import forgotten
from tidemill.rows.params import Ingest
from tidemill.rows.personal_data import treated
from tidemill.rows.splitting import identified, placed, without_copies


class Cleaning(Protocol):
    """What a task knows of its rows, as its part `rows.py` defines it."""

    def clean(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows in their normal form, with a `reason` where one cannot be used."""

    def content(self, rows: pd.DataFrame) -> "pd.Series[str]":
        """Return what makes a row the same as another."""

    def group(self, rows: pd.DataFrame) -> "pd.Series[str]":
        """Return what rows share that must be in one split."""

    def near_copies(self, rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
        """Return a group name that near copies share."""


class Ingested(NamedTuple):
    """Rows that are used, with their `split`, and rows that are not, with the `reason`."""

    kept: pd.DataFrame
    rejected: pd.DataFrame


def ingested(rows: pd.DataFrame, task: Cleaning, params: Ingest, to_forget: frozenset[str] = frozenset()) -> Ingested:
    """Clean the rows of a source, drop copies and what is to be forgotten, and place each of the others in a split.

    Args:
        to_forget: ids of rows.

    Raises:
        TidemillError: they hold personal data, and the params say to stop; or as the task's `clean`.
    """
    if params.personal_data is not None:
        rows = treated(rows, params.personal_data)
    rows = task.clean(rows)
    rows = without_copies(identified(rows, task.content(rows)))
    if params.near_duplicates is not None:
        usable = rows[rows["reason"].isna()]
        rows = without_copies(rows, task.near_copies(usable, params.near_duplicates))
    rows = forgotten.without(rows, to_forget)
    usable = rows[rows["reason"].isna()]
    kept = placed(usable, params, task.group(usable)).drop(columns=["reason", "kept"])
    return Ingested(kept, forgotten.emptied(rows[rows["reason"].notna()], to_forget))
