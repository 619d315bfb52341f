"""Rows: a text."""

import pandas as pd

from tidemill.core import text
from tidemill.tasks.common import rows as common

INPUTS = ("text",)
TARGETS = ("label",)

content = common.text_content
group = common.text_content
near_copies = common.near_texts


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the texts as they are, but for line ends, control characters and Unicode NFC."""
    return rows.assign(text=rows["text"].fillna("").astype(str).map(text.tidied))


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise the text; rows without any get a reason."""
    rows = normalise(rows)
    return common.reject_empty(rows.assign(text=rows["text"].str.strip(), label=None))
