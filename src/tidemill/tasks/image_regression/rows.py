"""Rows: a picture and a number."""

import pandas as pd

from tidemill.core import pictures
from tidemill.tasks.common import rows as common

INPUTS = ("image",)
TARGETS = ("target",)


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the pictures as bytes or arrays; size and colours become alike when they are encoded.

    Raises:
        TidemillError: a value is no picture, e.g. a text that is not base64.
    """
    return rows.assign(image=rows["image"].map(pictures.from_input))


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Describe the pictures; those that cannot be read, or have no target, get a reason.

    Raises:
        TidemillError: the targets are none at all, no numbers, or all the same.
    """
    from tidemill.rows.pictures import described

    return described(common.clean_target(rows))


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the hash of the pixels, and the target: the same picture with two numbers is two examples."""
    return common.table_content(rows, ["pixels", "target"])


def group(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the hash of the pixels."""
    return rows["pixels"]


def near_copies(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Return a group name that pictures share whose difference hashes agree in at least that share of their bits."""
    from tidemill.rows import near_copies

    return near_copies.pictures(rows["image"], similarity)
