"""Rows: columns of numbers and categories, and a label."""

import pandas as pd

from tidemill.tasks.common import rows as common

INPUTS = ()
TARGETS = ("label",)

near_copies = common.no_near_copies


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as they are: the columns' encoding, fitted in training, knows what each cell has to be."""
    return rows


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Give each column its type; rows with a cell of another type, or without a label, get a reason.

    Raises:
        TidemillError: there is no column beside the label, or the labels are none at all, one only, nearly one a row, or
            too many.
    """
    return common.clean_columns(common.clean_labels(rows), "label")


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return all cells and the label: rows that differ in the label alone do not contradict each other, but chance."""
    return common.table_content(rows, [*common.table_columns(rows, "label"), "label"])


def group(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return all cells: what is known of a row is in one split, whatever its label."""
    return common.table_content(rows, common.table_columns(rows, "label"))
