"""Rows: a picture and a label."""

import pandas as pd

from tidemill.core import pictures
from tidemill.tasks.common import rows as common

INPUTS = ("image",)
TARGETS = ("label",)


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the pictures as bytes or arrays; size and colours become alike when they are encoded.

    Raises:
        TidemillError: a value is no picture, e.g. a text that is not base64.
    """
    return rows.assign(image=rows["image"].map(pictures.from_input))


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Describe the pictures (size, mode, range, hash of the pixels); those that cannot be read, or have no label, get a
    reason.

    Raises:
        TidemillError: the labels are none at all, one only, nearly one a row, or too many.
    """
    from tidemill.rows.pictures import described

    return described(common.clean_labels(rows))


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the hash of the pixels: the same picture in another file format is the same example."""
    return rows["pixels"]


group = content


def near_copies(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Return a group name that pictures share whose difference hashes agree in at least that share of their bits."""
    from tidemill.rows import near_copies

    return near_copies.pictures(rows["image"], similarity)
