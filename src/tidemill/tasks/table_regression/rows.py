"""Rows: columns of numbers and categories, and the number to be predicted from them."""

import pandas as pd

from tidemill.tasks.common import rows as common

INPUTS = ()
TARGETS = ("target",)

near_copies = common.no_near_copies


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as they are: the columns' encoding, fitted in training, knows what each cell has to be."""
    return rows


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Give each column its type; rows with a cell of another type, or without a target, get a reason.

    Raises:
        TidemillError: there is no column beside the target, or the targets are none at all, no numbers, or all the same.
    """
    return common.clean_columns(common.clean_target(rows), "target")


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return all cells and the target: the same row measured twice is two examples."""
    return common.table_content(rows, [*common.table_columns(rows, "target"), "target"])


def group(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return all cells: what is known of a row is in one split, whatever its target."""
    return common.table_content(rows, common.table_columns(rows, "target"))
