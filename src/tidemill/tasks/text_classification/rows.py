"""Rows: a text and a label."""

import pandas as pd

from tidemill.tasks.common import rows as common

INPUTS = ("text",)
TARGETS = ("label",)

normalise = common.normalise_text
content = common.text_content
group = common.text_content
near_copies = common.near_texts


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise the text; rows without any, or without a label, get a reason.

    Raises:
        TidemillError: the labels are none at all, one only, nearly one a row, or too many.
    """
    return common.reject_empty(common.clean_labels(normalise(rows)))
