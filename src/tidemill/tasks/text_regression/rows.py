"""Rows: a text and a number."""

import pandas as pd

from tidemill.tasks.common import rows as common

INPUTS = ("text",)
TARGETS = ("target",)

normalise = common.normalise_text
group = common.text_content
near_copies = common.near_texts


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise the text; rows without any, or without a target, get a reason.

    Raises:
        TidemillError: the targets are none at all, no numbers, or all the same.
    """
    return common.reject_empty(common.clean_target(normalise(rows)))


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the text and the target: the same text with two numbers is two examples."""
    return common.table_content(rows, ["text", "target"])
